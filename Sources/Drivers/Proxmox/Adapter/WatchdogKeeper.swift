// This host's watchdog, as ordered: armed with the first feeding, fed at every later one, closed when told to. It feeds by
// itself never: when the orders end, so does this host.

import Consensus
import Glibc
import Kinds
import Logging
import Synchronization

/// Takes the orders, from any thread, and never blocks.
final class WatchdogKeeper: Sendable {
    private struct State: ~Copyable {
        var watchdog: Watchdog? = nil
        var isArmed = false
        /// The last trouble, so that it is logged once.
        var trouble = ""
    }
    private let kind: WatchdogKind?
    private let log: Logger
    private let now: @Sendable () -> Instant
    private let state = Mutex(State())

    /// - Parameter now: CLOCK_BOOTTIME, which the orders are in.
    init(_ kind: WatchdogKind?, log: Logger, now: @escaping @Sendable () -> Instant) {
        self.kind = kind
        self.log = log
        self.now = now
    }

    var isArmed: Bool { state.withLock { $0.isArmed } }

    /// After so long without an order this host is reset; zero: there is no watchdog to be armed.
    var delay: Interval { kind?.longestDelay ?? .zero }

    func carryOut(_ order: WatchdogOrder) {
        do throws(WatchdogError) {
            switch order {
            // What came too late must not keep the host alive.
            case .feed(let until, _) where until <= now(): return
            case .feed(_, let timeout): try feed(timeout)
            case .close: try close()
            }
        } catch { complain(error) }
    }

    private func feed(_ timeout: Interval) throws(WatchdogError) {
        let trouble: WatchdogError? = state.withLock { state in
            do throws(WatchdogError) {
                if !state.isArmed {
                    state.watchdog = try arm(timeout)
                    state.isArmed = true
                }
                try state.watchdog?.feed()
                state.trouble = ""
                return nil
            } catch { return error }
        }
        if let trouble { throw trouble }
    }

    /// - Throws: when it would reset this host later than the cluster reckons with: that would be no proof.
    private func arm(_ timeout: Interval) throws(WatchdogError) -> Watchdog {
        guard let kind else {
            throw WatchdogError(
                attempted: "arm the watchdog", answer: "this host has none",
                advice: "configure one, or put the guests' disks on Ceph")
        }
        guard kind.longestDelay <= timeout else {
            throw WatchdogError(
                attempted: "arm the watchdog",
                answer:
                    "it may take \(kind.longestDelay.milliseconds) ms, and \(timeout.milliseconds) ms are reckoned with",
                advice: "restart the agent, so that it tells the time of its watchdog anew")
        }
        let watchdog = try Watchdog(kind)
        log.notice(
            "the watchdog is armed: without the cluster this host is reset after \(timeout.milliseconds / 1_000) s")
        return watchdog
    }

    private func close() throws(WatchdogError) {
        let trouble: WatchdogError? = state.withLock { state in
            state.isArmed = false
            guard let watchdog = state.watchdog.take() else { return nil }
            do throws(WatchdogError) {
                try watchdog.release()
                log.notice("the watchdog is disarmed")
                return nil
            } catch { return error }
        }
        if let trouble { throw trouble }
    }

    private func complain(_ error: WatchdogError) {
        let isNew = state.withLock { state in
            defer { state.trouble = error.description }
            return state.trouble != error.description
        }
        if isNew { log.error("\(error)") }
    }
}
