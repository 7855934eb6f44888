// What may be wrong with this host's Proxmox, looked at for `doctor`. Changes nothing, and asks for little: each question has
// two seconds. What follows from the answers is said by Decisions.

import Cluster
import Consensus
import Glibc

/// What was found.
public struct ProxmoxExamination: Hashable, Sendable {
    /// Why its API cannot be used; nil: it can.
    public var problem: String?
    public var version = ""
    /// `VM.PowerMgmt on /vms`, in the order of `ProxmoxPrivileges.needed`.
    public var missingPrivileges: [String] = []
    /// When the certificate that the API shows ends, seconds since 1970; nil: it could not be asked.
    public var certificateEnds: Int64?
    /// Hosts of the Proxmox cluster.
    public var hosts = 0
    public var isQuorate = false
    /// Whether a third vote outside of the hosts is configured, and whether it is given. nil: corosync could not be asked.
    public var hasQDevice: Bool?
    public var givesQDeviceVote = false
    /// From the loss of another host until corosync goes on without it, at most, in milliseconds; nil: not known.
    public var corosyncPause: Int?
    /// corosync's token, with what it grows by each host, and its consensus, in milliseconds; nil: not known.
    public var corosyncToken: Int?
    public var corosyncConsensus: Int?
    /// What Proxmox's own high availability manages: `vm:120`.
    public var managed: [String] = []
    /// Why the watchdog that is configured here cannot be had; nil: it can, or none is configured.
    public var watchdogProblem: String?
    /// What of this host is out of the driver's reach.
    public var outOfReach: [String] = []
    /// Guests that the cluster has to do with and that Proxmox starts by itself when this host starts: `vm:120`.
    public var startedAtBoot: [String] = []

    public init() {}
}

/// What the token must be allowed.
enum ProxmoxPrivileges {
    static let needed: [(path: String, privileges: [String])] = [
        ("/", ["Sys.Audit"]),
        (
            "/vms",
            [
                "VM.Audit", "VM.PowerMgmt", "VM.Migrate", "VM.Allocate", "VM.Clone", "VM.Config.CPU",
                "VM.Config.Memory",
                "VM.Config.Disk", "VM.Config.Network", "VM.Config.Options", "VM.Config.Cloudinit", "VM.Config.HWType",
            ]
        ),
        ("/storage", ["Datastore.Audit", "Datastore.AllocateSpace"]),
    ]

    /// - Parameter granted: what `/access/permissions` says: rights by path.
    static func missing(_ granted: JSONValue) -> [String] {
        needed.flatMap { path, privileges in
            privileges.filter { !isHeld($0, on: path, granted) }.map { "\($0) on \(path)" }
        }
    }

    /// What is missing for the question whether a guest agent answers, as this version of Proxmox calls it; nil: nothing is.
    ///
    /// Any of them will do whatever the version: each lists only those that it knows.
    static func missingForAgents(_ granted: JSONValue, _ version: ProxmoxVersion) -> String? {
        let sufficient = ["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted", "VM.Monitor"]
        if sufficient.contains(where: { isHeld($0, on: "/vms", granted) }) { return nil }
        let name = version.major >= 9 ? "VM.GuestAgent.Audit" : "VM.Monitor"
        return "\(name) on /vms (without it no health check with agent: ping is made)"
    }

    private static func isHeld(_ privilege: String, on path: String, _ granted: JSONValue) -> Bool {
        // The path's own entry holds all that is in force there; without one, what is granted above.
        let held = granted[path]?.object ?? granted["/"]?.object
        return held?[privilege]?.lenientBool != nil
    }
}

extension ProxmoxNode {
    static let questionLimit = Interval.seconds(2)
    static let mostAsked = 64

    public func examine() async -> ProxmoxExamination {
        var found = ProxmoxExamination()
        do throws(ProxmoxError) {
            let version = try await host.version()
            found.version = version.text
            let quorum = try await host.quorum()
            (found.hosts, found.isQuorate) = (quorum.nodes.count, quorum.isQuorate)
            let granted = try await host.client.get(
                "/access/permissions", attempted: "ask what the token may do", limit: Self.questionLimit)
            found.missingPrivileges = ProxmoxPrivileges.missing(granted)
            // Where no guest has such a check the token does well without it.
            if await asksAgents(), let lacking = ProxmoxPrivileges.missingForAgents(granted, version) {
                found.missingPrivileges.append(lacking)
            }
            found.managed = try await host.managedByProxmox()
            found.certificateEnds = try await certificateEnd()
        } catch { found.problem = error.description }
        if let votes = try? await settings.votes.status() {
            (found.hasQDevice, found.givesQDeviceVote) = (votes.isQDeviceConfigured, votes.hasQDevice)
        }
        let times = settings.corosyncTimes()
        found.corosyncPause = times?.pause
        (found.corosyncToken, found.corosyncConsensus) = (times?.token, times?.consensus)
        found.watchdogProblem = watchdogProblem()
        found.outOfReach = settings.outOfReach()
        found.startedAtBoot = await startedAtBoot()
        return found
    }

    /// When the certificate of the API ends; nil when the answer does not say it.
    private func certificateEnd() async throws(ProxmoxError) -> Int64? {
        let data = try await host.client.get(
            "/nodes/\(settings.node)/certificates/info", attempted: "ask for the certificates of \(settings.node)",
            limit: Self.questionLimit)
        let all = data.lenientList ?? []
        // A certificate of one's own goes before the one Proxmox made.
        let shown =
            all.first { $0["filename"]?.lenientText == "pveproxy-ssl.pem" }
            ?? all.first { $0["filename"]?.lenientText == "pve-ssl.pem" }
        return shown?["notafter"]?.lenientInt
    }

    /// The guests are the watched ones whose configurations lie here; each is asked for, the first `mostAsked`.
    private func startedAtBoot() async -> [String] {
        var found: [String] = []
        let watched = state.withLock { $0.watched }.compactMap(GuestNumber.init)
        guard let here = try? await host.guests().map(\.guest) else { return [] }
        for guest in watched.filter(here.contains).prefix(Self.mostAsked) {
            guard let configuration = try? await host.configuration(of: guest) else { continue }
            if configuration.settings["onboot"] == "1" { found.append(guest.serviceName) }
        }
        return found
    }

    private func watchdogProblem() -> String? {
        switch settings.watchdog {
        case nil: return nil
        case .multiplexer(let socket, _):
            return access(socket, F_OK) == 0 ? nil : "\(socket) is not there: watchdog-mux does not run"
        case .device(let path, _):
            if access(path, F_OK) != 0 { return "\(path) is not there" }
            // Proxmox's program holds the device from its start on; nobody else can open it.
            return access("/run/watchdog-mux.sock", F_OK) == 0 ? "\(path) is in use by watchdog-mux" : nil
        }
    }
}
