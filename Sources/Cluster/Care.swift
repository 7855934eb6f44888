// What is done about a workload that runs and fails its health check, and what was done before. It is restarted by its own
// host, or moved as for any other reason; when, how often and in which order is decided in Decisions.
//
// Relies on: what the host said of it last. Nothing here places or starts it: one that was ended to be restarted is started
// like any other that belongs to its host and does not run.

import Consensus

/// What was done about a workload that runs and does not do its work, by its health check, since it was last well for a
/// while. What is to be done next is decided in Decisions.
public struct Care: Hashable, Sendable {
    /// How often it was restarted where it was.
    public internal(set) var restarts: UInt64 = 0
    /// Hosts it was taken from because it was not well there; at most `Placement.mostTried`.
    public internal(set) var left: [String] = []
    /// It is to end where it runs, and is started there again. True only while it was seen to run there last.
    public internal(set) var isRestarting = false
    /// Its check has passed since it was started last.
    public internal(set) var wasWell = false

    public init() {}

    /// How much was done.
    public var steps: Int { Int(clamping: restarts) + left.count }

    /// Begins anew; what is known of its present run stays.
    mutating func end() {
        restarts = 0
        left = []
        isRestarting = false
    }

    /// It runs no more, or elsewhere.
    mutating func runEnded() {
        isRestarting = false
        wasWell = false
    }
}

/// One thing that is done about a workload because of its health check.
public enum CareStep: Hashable, Sendable, Codable {
    /// Its host ends it and starts it again.
    case restart
    /// It is stopped, and started on this host.
    case move(to: String)
    /// It has been well for so long that what was done is forgotten.
    case end
}

extension Placement {
    /// What its check says of it where it belongs; nil: it does not run there, or nothing is known.
    public var isHealthy: Bool? {
        guard case .on(let host) = phase, let seen = sightings[host], seen.state == .running else { return nil }
        return seen.healthy
    }

    /// It belongs somewhere else, where it may be running already.
    mutating func careForNewPlace() {
        care.runEnded()
        care.wasWell = isHealthy == true
    }
}

extension ClusterState {
    /// What the leader does about one that is not well. What it says was true when it was decided: it is checked again that
    /// the workload runs where it belongs.
    mutating func care(
        _ workload: ResourceKey, epoch: UInt64, _ step: CareStep, reason: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        guard case .on(let host) = present.phase, present.sighting(on: host) == .running, !present.isUnseen(on: host),
            hosts[host]?.fence.isNone == true
        else { return refused(.conflict, "\(workload) does not run where it belongs") }
        switch step {
        case .restart:
            guard !present.care.isRestarting else { return unchanged("\(workload) is being restarted already") }
            let event = note(
                "WorkloadRestarting", workload.description, "is restarted on \(host): \(reason)",
                cause: present.lastEvent, record)
            _ = placements.update(workload) {
                $0.care.restarts += 1
                $0.care.isRestarting = true
                $0.obstacle = ""
                $0.lastEvent = event
            }
            return done()
        case .move(let target):
            let outcome = move(
                workload, epoch: epoch, to: target, live: false, reason: reason, because: nil, record)
            guard outcome.code == .done else { return outcome }
            _ = placements.update(workload) { Self.append(host, to: &$0.care.left) }
            return outcome
        case .end:
            guard present.care.steps > 0 else { return unchanged() }
            let event = note(
                "WorkloadWell", workload.description, "is well again on \(host): \(reason)", cause: present.lastEvent,
                record)
            _ = placements.update(workload) {
                $0.care.end()
                $0.lastEvent = event
            }
            return done()
        }
    }

    /// Why those that are not well where they are are left as they are is no reason to end them there when they are to leave.
    mutating func forgetHealthObstacles(on host: String) {
        for (workload, placement) in placements.pairs where placement.host == host && placement.isHealthy == false {
            _ = placements.update(workload) { $0.obstacle = "" }
        }
    }
}

extension StateWriter {
    mutating func write(_ care: Care) {
        field(1, care.restarts)
        for host in care.left { present(2, host) }
        field(3, care.isRestarting ? 1 : 0)
        field(4, care.wasWell ? 1 : 0)
    }
}

extension StateReader {
    mutating func care() throws(StateDecodingError) -> Care {
        var care = Care()
        while let field = try next() {
            switch field {
            case 1: care.restarts = try count()
            case 2:
                care.left.append(try text())
                guard care.left.count <= Placement.mostTried else { throw fault("more hosts than are kept") }
            case 3: care.isRestarting = try number() == 1
            case 4: care.wasWell = try number() == 1
            default: throw unknown(field, of: "the care for a workload")
            }
        }
        return care
    }
}
