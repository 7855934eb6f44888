// What is wrong with a member, said with its remedy: a plain function of what members measure of themselves. Measures
// nothing, and does not look at what is declared.

import Consensus

/// What a member measures of itself and of the machine it runs on.
public struct SelfReadings: Hashable, Sendable, Codable {
    public struct RoundTrip: Hashable, Sendable, Codable {
        public var member: String
        /// The kernel's smoothed round-trip time of the connection to it.
        public var microseconds: Int64

        public init(member: String, microseconds: Int64) {
            self.member = member
            self.microseconds = microseconds
        }
    }

    public var member: String
    public var version: String
    /// Its wall clock, milliseconds since 1970, and whether the kernel says that something keeps it right.
    public var wallMilliseconds: Int64
    public var clockIsSynchronised: Bool?
    /// Why this member's last snapshot was not kept; nil: it was, or none was due yet.
    public var snapshotProblem: String?
    /// Why the kernel does not enforce the leases of addresses; nil: it does, or the member holds no addresses.
    public var kernelGuardProblem: String?
    /// What the network of this machine does to virtual addresses; absent from members of a version that did not say.
    public var network: NetworkReadings?
    /// What a host found of its Proxmox; absent where there is none.
    public var hypervisor: HypervisorReadings?
    /// Capabilities the process lacks, by name.
    public var missingCapabilities: [String]
    public var hasRealTimePriority: Bool
    public var memoryIsLocked: Bool
    /// Of the file system that holds the log.
    public var diskFreeBytes: Int64
    public var diskTotalBytes: Int64
    /// Flushes of the log since the start, and how long they took: the mean, and a bound that 99 of 100 kept.
    public var flushes: UInt64
    public var flushMeanMicroseconds: Int64
    public var flushBoundMicroseconds: Int64
    public var roundTrips: [RoundTrip]
    /// Milliseconds since 1970.
    public var certificateExpires: Int64
    public var residentBytes: Int64
    public var cpuMilliseconds: Int64
    public var uptimeMilliseconds: Int64
    /// The timings in force.
    public var heartbeatMilliseconds: Int64
    public var quorumLeaseMilliseconds: Int64

    public init(member: String, version: String, wallMilliseconds: Int64) {
        self.member = member
        self.version = version
        self.wallMilliseconds = wallMilliseconds
        clockIsSynchronised = nil
        snapshotProblem = nil
        kernelGuardProblem = nil
        network = nil
        hypervisor = nil
        missingCapabilities = []
        hasRealTimePriority = true
        memoryIsLocked = true
        (diskFreeBytes, diskTotalBytes) = (0, 0)
        (flushes, flushMeanMicroseconds, flushBoundMicroseconds) = (0, 0, 0)
        roundTrips = []
        certificateExpires = .max
        (residentBytes, cpuMilliseconds, uptimeMilliseconds) = (0, 0, 0)
        (heartbeatMilliseconds, quorumLeaseMilliseconds) = (50, 300)
    }
}

/// One thing that was looked at.
public struct Finding: Hashable, Sendable, Codable {
    public enum Verdict: String, Hashable, Sendable, Codable, CaseIterable {
        case fine
        /// Works, and could be better.
        case advice
        case wrong
    }

    public var verdict: Verdict
    /// A member, or the cluster.
    public var subject: String
    public var sentence: String
    /// What to do; empty when there is nothing to do.
    public var remedy: String

    public init(_ verdict: Verdict, _ subject: String, _ sentence: String, remedy: String = "") {
        self.verdict = verdict
        self.subject = subject
        self.sentence = sentence
        self.remedy = remedy
    }
}

public enum Diagnosis {
    /// The log reserves segments of 16 MiB ahead; with less than this a busy day fills the disk.
    static let leastFreeBytes: Int64 = 1 << 30
    /// Join tokens and certificates are judged by wall clocks; a second is far less than either bears.
    static let mostClockDifferenceMilliseconds: Int64 = 1_000

    /// - Parameters:
    ///   - askerMilliseconds: the wall clock of who asks, at the moment the member's was read.
    ///   - uncertaintyMilliseconds: how long the question was under way; the clocks are compared no closer than that.
    public static func judge(
        _ readings: SelfReadings, askerMilliseconds: Int64, uncertaintyMilliseconds: Int64
    ) -> [Finding] {
        [
            kernelGuard(readings), capabilities(readings), schedule(readings),
            clock(readings, askerMilliseconds, uncertaintyMilliseconds), space(readings), flushes(readings),
            certificate(readings, askerMilliseconds), snapshots(readings),
        ] + roundTrips(readings) + NetworkDiagnosis.judge(readings)
            + HypervisorDiagnosis.judge(readings, askerMilliseconds)
    }

    private static func kernelGuard(_ readings: SelfReadings) -> Finding {
        guard let problem = readings.kernelGuardProblem else {
            return Finding(.fine, readings.member, "the kernel enforces the leases of addresses")
        }
        return Finding(
            .wrong, readings.member, "the kernel does not enforce the leases of addresses: \(problem)",
            remedy: "apt install nftables and modprobe nf_tables on \(readings.member), then systemctl restart holdfast"
        )
    }

    private static func capabilities(_ readings: SelfReadings) -> Finding {
        guard !readings.missingCapabilities.isEmpty else {
            return Finding(.fine, readings.member, "it has the capabilities it needs")
        }
        let list = readings.missingCapabilities.joined(separator: " ")
        return Finding(
            .wrong, readings.member, "it lacks \(list), so it can hold no address",
            remedy: "in its unit: AmbientCapabilities=\(list); or run it as root")
    }

    private static func schedule(_ readings: SelfReadings) -> Finding {
        if readings.hasRealTimePriority && readings.memoryIsLocked {
            return Finding(.fine, readings.member, "it has real-time priority and locked memory")
        }
        let lacks =
            (readings.hasRealTimePriority ? [] : ["real-time priority"])
            + (readings.memoryIsLocked ? [] : ["locked memory"])
        return Finding(
            .advice, readings.member,
            "it runs without \(lacks.joined(separator: " and without ")), so under load its leases may lapse",
            remedy: "in its unit: AmbientCapabilities=CAP_SYS_NICE CAP_IPC_LOCK and LimitMEMLOCK=infinity")
    }

    private static func clock(_ readings: SelfReadings, _ asker: Int64, _ uncertainty: Int64) -> Finding {
        let difference = readings.wallMilliseconds - asker
        if abs(difference) > mostClockDifferenceMilliseconds + uncertainty {
            return Finding(
                .wrong, readings.member,
                "its clock is \(abs(difference)) ms \(difference > 0 ? "ahead of" : "behind") this machine's",
                remedy: "timedatectl set-ntp true, on whichever of the two is wrong")
        }
        if readings.clockIsSynchronised == false {
            return Finding(
                .advice, readings.member, "its clock is right now, but nothing keeps it so",
                remedy: "timedatectl set-ntp true on \(readings.member)")
        }
        if readings.clockIsSynchronised == nil {
            return Finding(
                .advice, readings.member,
                "its clock is right now, but whether anything keeps it so is not known",
                remedy: "timedatectl on \(readings.member) tells; in its unit: SystemCallFilter=adjtimex "
                    + "clock_adjtime, and no ProtectClock")
        }
        return Finding(.fine, readings.member, "its clock agrees with this machine's")
    }

    private static func space(_ readings: SelfReadings) -> Finding {
        let free = "\(readings.diskFreeBytes >> 20) MiB of \(readings.diskTotalBytes >> 20) MiB are free for the log"
        guard readings.diskFreeBytes < min(leastFreeBytes, readings.diskTotalBytes / 10) else {
            return Finding(.fine, readings.member, free)
        }
        return Finding(
            .wrong, readings.member, "only \(free)",
            remedy: "make room on \(readings.member): du -xh --max-depth=2 /var | sort -h | tail")
    }

    private static func flushes(_ readings: SelfReadings) -> Finding {
        guard readings.flushes > 0 else {
            return Finding(.fine, readings.member, "its disk has had nothing to do yet")
        }
        let words =
            "a flush of the log takes \(readings.flushMeanMicroseconds) µs on average, "
            + "99 of 100 at most \(readings.flushBoundMicroseconds) µs"
        // A leader whose oldest write waits longer than its quorum lease hands leadership over.
        if readings.flushBoundMicroseconds > readings.quorumLeaseMilliseconds * 1_000 {
            return Finding(
                .wrong, readings.member, words + ", longer than the quorum lease: it cannot keep the lead",
                remedy: "move the data directory to a faster disk, or raise quorumLease: holdfast explain cluster")
        }
        if readings.flushMeanMicroseconds > readings.heartbeatMilliseconds * 1_000 {
            return Finding(
                .advice, readings.member, words, remedy: "move the data directory of \(readings.member) to an SSD")
        }
        return Finding(.fine, readings.member, words)
    }

    private static func snapshots(_ readings: SelfReadings) -> Finding {
        guard let problem = readings.snapshotProblem else {
            return Finding(.fine, readings.member, "its log is kept short by snapshots")
        }
        return Finding(
            .wrong, readings.member,
            "its last snapshot was not kept, so its log grows until the disk is full: \(problem)",
            remedy: "remove large values (holdfast kv list), or make room on \(readings.member); "
                + "the next snapshot tries anew")
    }

    private static func certificate(_ readings: SelfReadings, _ now: Int64) -> Finding {
        let days = (readings.certificateExpires - now) / 86_400_000
        let remedy =
            "journalctl -u holdfast on \(readings.member) tells why it was not renewed; then systemctl restart holdfast"
        switch CertificateStanding(ends: readings.certificateExpires, now: now) {
        case .good: return Finding(.fine, readings.member, "its certificate is good for \(days) days")
        case .endsSoon:
            return Finding(.wrong, readings.member, "its certificate ends in \(days) days", remedy: remedy)
        case .ended: return Finding(.wrong, readings.member, "its certificate has ended", remedy: remedy)
        }
    }

    private static func roundTrips(_ readings: SelfReadings) -> [Finding] {
        readings.roundTrips.map { trip in
            let words = "\(trip.microseconds) µs to \(trip.member) and back"
            guard trip.microseconds > readings.heartbeatMilliseconds * 1_000 else {
                return Finding(.fine, readings.member, words)
            }
            return Finding(
                .wrong, readings.member, words + ", longer than a heartbeat",
                remedy: "look at the network between them, or raise the timings: holdfast explain cluster")
        }
    }
}
