// What is wrong with the Proxmox of a host, said with the remedy.

/// What a host found of its Proxmox.
public struct HypervisorReadings: Hashable, Sendable, Codable {
    /// Why its API cannot be used; nil: it can.
    public var problem: String?
    public var version: String
    /// `VM.PowerMgmt on /vms`.
    public var missingPrivileges: [String]
    /// When the certificate that the API shows ends, milliseconds since 1970.
    public var certificateExpires: Int64?
    /// Hosts of the Proxmox cluster.
    public var hosts: Int
    public var isQuorate: Bool
    /// Whether a third vote outside of the hosts is configured, and whether it is given; nil: corosync could not be asked.
    public var hasQDevice: Bool?
    public var givesQDeviceVote: Bool
    /// From the loss of another host until corosync goes on without it, at most, in milliseconds.
    public var corosyncPause: Int?
    /// corosync's token, with what it grows by each host, and its consensus, in milliseconds.
    public var corosyncToken: Int?
    public var corosyncConsensus: Int?
    /// What Proxmox's own high availability manages: `vm:120`.
    public var managed: [String]
    /// Why the watchdog that is configured cannot be had.
    public var watchdogProblem: String?
    /// What of the host is out of its service's reach, so that no guest is run from there.
    public var outOfReach: [String]?
    /// What helps against that.
    public var reachAdvice: String?
    /// Guests that Proxmox starts by itself when the host starts: `vm:120`.
    public var startedAtBoot: [String]?
    /// Witnesses of the cluster that run in guests of the host: `witness in vm:105`, `witness in a container of this host`.
    public var witnesses: [String]?

    public init(version: String = "", hosts: Int = 1, isQuorate: Bool = true) {
        problem = nil
        (self.version, self.hosts, self.isQuorate) = (version, hosts, isQuorate)
        (missingPrivileges, managed) = ([], [])
        (certificateExpires, hasQDevice, watchdogProblem) = (nil, nil, nil)
        givesQDeviceVote = false
        (outOfReach, reachAdvice, startedAtBoot, corosyncPause, witnesses) = (nil, nil, nil, nil, nil)
        (corosyncToken, corosyncConsensus) = (nil, nil)
    }
}

public enum HypervisorDiagnosis {
    /// A certificate that ends sooner is told of: a pinned one has to be configured anew by a person.
    static let leastCertificateMilliseconds: Int64 = 30 * 86_400_000
    /// Within this a lost host's guests are to be started elsewhere, in milliseconds.
    static let longestCorosyncPause = 3_000

    static func judge(_ readings: SelfReadings, _ nowMilliseconds: Int64) -> [Finding] {
        guard let proxmox = readings.hypervisor else { return [] }
        let member = readings.member
        var findings: [Finding] = []
        func find(_ verdict: Finding.Verdict, _ sentence: String, _ remedy: String) {
            findings.append(Finding(verdict, member, sentence, remedy: remedy))
        }
        if let problem = proxmox.problem {
            find(.wrong, "its Proxmox cannot be driven: \(problem)", "correct it; the agent tries again by itself")
        }
        if let missing = proxmox.outOfReach, !missing.isEmpty {
            find(
                .wrong, "no guest can be run from there: \(missing.joined(separator: "; "))",
                proxmox.reachAdvice ?? "let the service see and change what it needs, and restart it")
        }
        if !proxmox.missingPrivileges.isEmpty {
            find(
                .wrong, "the token lacks \(proxmox.missingPrivileges.joined(separator: ", "))",
                "pveum role modify with these privileges, and pveum acl modify PATH --tokens TOKEN --roles ROLE")
        }
        certificate(proxmox.certificateExpires, nowMilliseconds, find)
        quorum(proxmox, find)
        consensus(proxmox, find)
        if !proxmox.managed.isEmpty {
            find(
                .advice,
                "Proxmox's own high availability manages \(proxmox.managed.joined(separator: ", ")), which Holdfast leaves "
                    + "alone; and it may reset the host by its watchdog",
                "ha-manager remove \(proxmox.managed[0]), for what Holdfast is to manage")
        }
        if let guests = proxmox.startedAtBoot, let first = guests.first {
            let tool = first.hasPrefix("ct:") ? "pct" : "qm"
            find(
                .wrong,
                "Proxmox starts \(guests.joined(separator: ", ")) by itself when the host starts, before anybody has asked "
                    + "whether it runs elsewhere by then",
                "\(tool) set \(first.split(separator: ":").last ?? "") --onboot 0; the agent starts what belongs there")
        }
        for witness in proxmox.witnesses ?? [] {
            let name = witness.prefix { $0 != " " }
            find(
                .wrong, "\(witness) runs on this host, and both votes are lost with it",
                "join a witness on a machine of its own, then: holdfast cluster remove \(name)")
        }
        if let problem = proxmox.watchdogProblem {
            find(
                .wrong, "its watchdog cannot be armed: \(problem)",
                "in proxmox.json: \"watchdog\": \"proxmox\", and systemctl status watchdog-mux")
        }
        if findings.isEmpty { findings.append(Finding(.fine, member, "its Proxmox \(proxmox.version) can be driven")) }
        return findings
    }

    private static func certificate(
        _ ends: Int64?, _ now: Int64, _ find: (Finding.Verdict, String, String) -> Void
    ) {
        guard let ends, ends - now < leastCertificateMilliseconds else { return }
        let days = (ends - now) / 86_400_000
        find(
            ends <= now ? .wrong : .advice,
            ends <= now ? "its Proxmox's certificate has ended" : "its Proxmox's certificate ends in \(days) days",
            "pvecm updatecerts --force, then configure the new fingerprint in proxmox.json: pvenode cert info")
    }

    /// What deploy/corosync.sh makes of it: a token of one second and 0.65 for each host beyond two, and a consensus of 0.3 s
    /// or, with three hosts or more, of 1.2 times the token; corosync.conf(5).
    private static func shortestCorosyncPause(_ hosts: Int) -> Int {
        hosts == 2 ? 1_300 : (1_000 + 650 * (hosts - 2)) * 22 / 10
    }

    /// A consensus that was made short for two hosts stays in the file when a third one joins, and the token grows. It makes
    /// the pause shorter, so that the pause alone shows nothing.
    private static func consensus(_ proxmox: HypervisorReadings, _ find: (Finding.Verdict, String, String) -> Void) {
        // Rounded down as where the file says nothing of it.
        guard proxmox.hosts > 2, let token = proxmox.corosyncToken, let consensus = proxmox.corosyncConsensus,
            consensus < token * 12 / 10
        else { return }
        let least = consensus < token ? "its token" : "1.2 times its token"
        find(
            .wrong,
            "with \(proxmox.hosts) hosts corosync's consensus (\(consensus) ms) is shorter than \(least) (\(token) ms), which is "
                + "safe with two only: hosts that are well may drop out when another is lost",
            "/usr/share/holdfast/corosync.sh --apply; it takes consensus out of /etc/pve/corosync.conf, and corosync then takes "
                + "1.2 times the token")
    }

    private static func quorum(_ proxmox: HypervisorReadings, _ find: (Finding.Verdict, String, String) -> Void) {
        if !proxmox.isQuorate, proxmox.problem == nil {
            find(.wrong, "its Proxmox cluster has no quorum: nothing can be started there", "pvecm status")
        }
        if proxmox.hosts > 1, let pause = proxmox.corosyncPause,
            pause > max(longestCorosyncPause, shortestCorosyncPause(proxmox.hosts))
        {
            let consensus = proxmox.hosts == 2 ? " and consensus: 300" : ""
            find(
                .advice,
                "when another host is lost, corosync lets nobody write to /etc/pve for up to \((pause + 500) / 1_000) s, and no "
                    + "guest is taken over before",
                "/usr/share/holdfast/corosync.sh; it sets in /etc/pve/corosync.conf: token: 1000\(consensus) under totem, "
                    + "and timeout: 1000 and sync_timeout: 3000 under a QDevice")
        }
        guard proxmox.hosts == 2, let hasQDevice = proxmox.hasQDevice else { return }
        if !hasQDevice {
            find(
                .advice,
                "its Proxmox cluster has two hosts and no third vote: when one is lost the other must lower the votes first",
                "on the witness: apt install corosync-qnetd; on a host: pvecm qdevice setup WITNESS")
        } else if !proxmox.givesQDeviceVote {
            find(.wrong, "its Proxmox cluster's third vote is not given", "corosync-qdevice-tool -s, and the witness")
        }
    }
}
