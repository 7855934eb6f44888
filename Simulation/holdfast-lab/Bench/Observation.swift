// Following one address through a disturbance: what the probe tells is kept as the present state, and waited on. All
// waits have deadlines; none is a sleep.

import CKernel
import Glibc

/// The state of an address as a probe tells it.
final class Observation {
    private let probe: ProbeInstrument
    private let address: String
    private(set) var owner: String?
    private(set) var isSilent = true

    init(_ client: KeeperClient, address: String) throws {
        self.address = address
        probe = try ProbeInstrument(client, address: address, from: "client")
    }

    private func take(_ event: ProbeEvent) {
        switch event.event {
        case .answering: isSilent = false
        case .silent: isSilent = true
        case .owner: owner = event.node
        case .result: break
        }
    }

    /// Takes in what has been told meanwhile.
    private func catchUp() throws {
        while let event = try probe.next(until: .after(milliseconds: 0)) { take(event) }
    }

    /// Waits until `condition` holds for the present state. - Throws: at the deadline.
    func wait(for expectation: String, seconds: Int, _ condition: (Observation) -> Bool) throws {
        let deadline = Deadline.after(milliseconds: seconds * 1000)
        try catchUp()
        while !condition(self) {
            guard let event = try probe.next(until: deadline) else {
                let state = "owner \(owner ?? "nobody"), \(isSilent ? "silent" : "answering")"
                throw LabError.timedOut("\(address): \(expectation) did not happen within \(seconds) s (\(state))")
            }
            take(event)
        }
    }

    /// Waits until `owner` alone has answered for `quietMilliseconds`, without anything happening.
    func waitUntilSteady(owner wanted: String?, quietMilliseconds: Int, seconds: Int) throws {
        let deadline = Deadline.after(milliseconds: seconds * 1000)
        while !deadline.hasPassed {
            if let event = try probe.next(until: .after(milliseconds: quietMilliseconds)) {
                take(event)
            } else if !isSilent, owner != nil, wanted == nil || owner == wanted {
                return
            }
        }
        throw LabError.timedOut(
            "\(address): \(wanted ?? "one owner") alone and answering did not happen within \(seconds) s "
                + "(owner \(owner ?? "nobody"), \(isSilent ? "silent" : "answering"))")
    }

    /// Ends the observation.
    /// - Parameter disturbed: when the disturbance began; `restored` when putting right began. Wall clock nanoseconds.
    func finish(disturbed: Int64, restored: Int64, target: String, leaderHit: Bool?) throws -> Repetition {
        let seen = try probe.finish()
        guard !seen.clockWasSet else { throw LabError("the wall clock was set meanwhile, so nothing was measured") }
        let during = seen.gaps.filter { $0.to >= disturbed && $0.from < restored }
        let after = seen.gaps.filter { $0.from >= restored }
        return Repetition(
            gapMilliseconds: during.map(\.milliseconds).max() ?? 0,
            returnGapMilliseconds: after.map(\.milliseconds).max() ?? 0, ownersAtOnce: seen.ownersAtOnce,
            target: target,
            leaderHit: leaderHit)
    }
}
