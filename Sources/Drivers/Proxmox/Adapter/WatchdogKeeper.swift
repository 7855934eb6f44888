// This host's watchdog, as ordered: armed with the first feeding, fed at every later one, closed when told to. It feeds by
// itself never: when the orders end, so does this host.

import Consensus
import Glibc
import Kinds
import Logging
import Synchronization

/// What keeps an armed watchdog open while this process ends and is started anew: a multiplexer resets the host when a
/// connection ends without leave, although the next process would be there in time to feed it.
public struct WatchdogStore: Sendable {
    /// The name it is kept under.
    public static let name = "watchdog"
    /// What the process before this one had armed.
    public var inherited: Int32?
    /// Keeps one more. Answers why it cannot; nil: it does. Must not block.
    public var keep: @Sendable (Int32) -> String?
    /// Lets go of all that it keeps. Answers why it cannot. Must not block.
    public var forget: @Sendable () -> String?

    public init(
        inherited: Int32?, keep: @escaping @Sendable (Int32) -> String?, forget: @escaping @Sendable () -> String?
    ) {
        (self.inherited, self.keep, self.forget) = (inherited, keep, forget)
    }
}

/// Takes the orders, from any thread, and never blocks.
final class WatchdogKeeper: Sendable {
    private struct State: ~Copyable {
        var watchdog: Watchdog? = nil
        /// The one that is configured; nil: none is, or none is known to be.
        var kind: WatchdogKind? = nil
        /// The last trouble, so that it is logged once.
        var trouble = ""
    }
    private let log: Logger
    private let now: @Sendable () -> Instant
    private let store: WatchdogStore?
    private let state: Mutex<State>

    /// - Parameter now: CLOCK_BOOTTIME, which the orders are in.
    init(_ kind: WatchdogKind?, log: Logger, store: WatchdogStore? = nil, now: @escaping @Sendable () -> Instant) {
        self.store = store
        var state = State()
        state.kind = kind
        if let open = store?.inherited {
            // Fed and closed like any other, also when none is configured (any more), or nobody can say.
            state.watchdog = Watchdog(adopting: open, kind ?? WatchdogKind(of: open))
            log.notice("the watchdog that the process before this one had armed is taken over")
        }
        self.state = Mutex(state)
        self.log = log
        self.now = now
    }

    /// Whether one is held; whether it is still there only a feeding tells.
    var isHeld: Bool { state.withLock { $0.watchdog != nil } }

    /// After so long without an order this host is reset; zero: there is no watchdog to be armed, and none that is.
    var delay: Interval { state.withLock { ($0.kind ?? $0.watchdog?.kind)?.longestDelay ?? .zero } }

    /// The one that is to be armed from now on. What is armed stays so.
    func use(_ kind: WatchdogKind?) { state.withLock { $0.kind = kind } }

    /// - Returns: of an order to feed, whether it is armed now; nil for one that came too late, and for one to close.
    func carryOut(_ order: WatchdogOrder) -> WatchdogReport? {
        switch order {
        // What came too late must not keep the host alive.
        case .feed(let until, _) where until <= now(): return nil
        case .feed(let until, let timeout):
            do throws(WatchdogError) {
                try feed(timeout)
                return WatchdogReport(until: until)
            } catch {
                complain(error)
                return WatchdogReport(until: until, failure: error.description)
            }
        case .close:
            do throws(WatchdogError) { try close() } catch { complain(error) }
            return nil
        }
    }

    /// Feeds it, and arms it before where it is not: not yet, or not any more, since whatever stood behind the connection
    /// has ended. Then it resets nothing until it is armed anew.
    private func feed(_ timeout: Interval) throws(WatchdogError) {
        let trouble: WatchdogError? = state.withLock { state in
            do throws(WatchdogError) {
                try feedHeld(&state)
                if state.watchdog == nil {
                    state.watchdog = try arm(state.kind, timeout)
                    try feedHeld(&state)
                }
                guard state.watchdog != nil else {
                    throw WatchdogError(
                        attempted: "arm the watchdog", answer: "it was armed, and took no feeding",
                        advice: "see systemctl status watchdog-mux")
                }
                state.trouble = ""
                return nil
            } catch { return error }
        }
        if let trouble { throw trouble }
    }

    /// Feeds the one that is held, if any. One that is gone is held no more.
    /// - Throws: when it is there and takes nothing.
    private func feedHeld(_ state: inout State) throws(WatchdogError) {
        do throws(WatchdogError) { try state.watchdog?.feed() } catch {
            guard error.isGone else { throw error }
            log.error("\(error); it is armed anew")
            forgetStored()
            if let gone = state.watchdog.take() { gone.abandon() }
        }
    }

    /// - Throws: when it would reset this host later than the cluster reckons with: that would be no proof.
    private func arm(_ kind: WatchdogKind?, _ timeout: Interval) throws(WatchdogError) -> Watchdog {
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
        if let store, let trouble = store.keep(watchdog.openFile) {
            log.warning(
                """
                the watchdog is not kept over a restart of this agent, which would reset this host: \(trouble); see \
                FileDescriptorStoreMax= in holdfast.service
                """)
        }
        log.notice(
            "the watchdog is armed: without the cluster this host is reset after \(timeout.milliseconds / 1_000) s")
        return watchdog
    }

    private func close() throws(WatchdogError) {
        let trouble: WatchdogError? = state.withLock { state in
            guard let watchdog = state.watchdog.take() else { return nil }
            // Kept open it would not be disarmed by a farewell.
            forgetStored()
            do throws(WatchdogError) {
                try watchdog.release()
                log.notice("the watchdog is disarmed")
                return nil
            } catch { return error }
        }
        if let trouble { throw trouble }
    }

    private func forgetStored() {
        guard let store, let trouble = store.forget() else { return }
        log.error(
            """
            the service manager still keeps a watchdog that nobody feeds, and this host may be reset: \(trouble); \
            systemctl restart holdfast
            """)
    }

    private func complain(_ error: WatchdogError) {
        let isNew = state.withLock { state in
            defer { state.trouble = error.description }
            return state.trouble != error.description
        }
        if isNew { log.error("\(error)") }
    }
}
