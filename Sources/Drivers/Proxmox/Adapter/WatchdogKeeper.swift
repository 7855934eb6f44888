// This host's watchdog, as ordered: armed with the first feeding, fed at every later one, closed when told to. It feeds by
// itself never: when the orders end, so does this host.

import Consensus
import Glibc
import Kinds
import Logging
import Synchronization

/// What keeps an armed watchdog open while this process ends and is started anew: a multiplexer resets the host when a
/// connection ends without leave, although the next process would be there in time to feed it.
///
/// The name that it is kept under says after how long it resets this host, in milliseconds: `watchdog-70000`. The next process may
/// have other settings, or be unable to read any, and of a connection to a multiplexer nobody else could say it.
public struct WatchdogStore: Sendable {
    /// One that is kept.
    public struct Kept: Sendable {
        public var descriptor: Int32
        public var name: String

        public init(_ descriptor: Int32, as name: String) { (self.descriptor, self.name) = (descriptor, name) }
    }

    /// What the process before this one had armed.
    public var inherited: Kept?
    /// Keeps one more under a name. Answers why it cannot; nil: it does. Must not block.
    public var keep: @Sendable (Int32, _ name: String) -> String?
    /// Lets go of all that it keeps under a name. Answers why it cannot. Must not block.
    public var forget: @Sendable (_ name: String) -> String?

    public init(
        inherited: Kept?, keep: @escaping @Sendable (Int32, _ name: String) -> String?,
        forget: @escaping @Sendable (_ name: String) -> String?
    ) {
        (self.inherited, self.keep, self.forget) = (inherited, keep, forget)
    }

    /// As an earlier version kept it.
    private static let plainName = "watchdog"
    private static let prefix = "watchdog-"

    /// Whether what is kept under a name is a watchdog, also when it does not say of how long.
    public static func isName(_ name: String) -> Bool { name == plainName || name.hasPrefix(prefix) }

    static func name(for delay: Interval) -> String { "\(prefix)\(delay.milliseconds)" }

    /// The delay that a name says; nil: it says none, or none that could have been configured.
    static func delay(in name: String) -> Interval? {
        guard name.hasPrefix(prefix), let milliseconds = Int64(name.dropFirst(prefix.count)),
            (1...WatchdogKind.mostDelay.milliseconds).contains(milliseconds)
        else { return nil }
        let delay = Interval.milliseconds(milliseconds)
        return Self.name(for: delay) == name ? delay : nil
    }
}

/// Takes the orders, from any thread, and never blocks.
final class WatchdogKeeper: Sendable {
    private struct State: ~Copyable {
        var watchdog: Watchdog? = nil
        /// What the held one is kept under.
        var name = ""
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
        if let kept = store?.inherited {
            // Fed and closed like any other, also when none is configured (any more), or nobody can say. What is configured now
            // says nothing of it: it resets this host after the time that it was armed with.
            let held = WatchdogKind(of: kept.descriptor, armedWith: WatchdogStore.delay(in: kept.name))
            state.watchdog = Watchdog(adopting: kept.descriptor, held)
            state.name = kept.name
            log.notice(
                """
                the watchdog that the process before this one had armed is taken over; it resets this host after \
                \(held.longestDelay.milliseconds / 1_000) s
                """)
        }
        self.state = Mutex(state)
        self.log = log
        self.now = now
    }

    /// Whether one is held; whether it is still there only a feeding tells.
    var isHeld: Bool { state.withLock { $0.watchdog != nil } }

    /// After so long without an order this host is reset, at most: by the one that is held or the one that is configured, which
    /// may be armed instead of it at any feeding. Zero: there is neither.
    var delay: Interval {
        state.withLock { state in
            let held = state.watchdog?.kind
            return max(held?.longestDelay ?? .zero, state.kind?.longestDelay ?? .zero)
        }
    }

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
                    try arm(&state, timeout)
                    try feedHeld(&state)
                }
                guard let held = state.watchdog?.kind else {
                    throw WatchdogError(
                        attempted: "arm the watchdog", answer: "it was armed, and took no feeding",
                        advice: "see systemctl status watchdog-mux")
                }
                // Fed it is all the same: nothing else keeps this host from being reset by it.
                try demand(held, within: timeout)
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
            forgetStored(state.name)
            if let gone = state.watchdog.take() { gone.abandon() }
        }
    }

    /// - Throws: when it would reset this host later than the cluster reckons with: that would be no proof.
    private func demand(_ kind: WatchdogKind, within timeout: Interval) throws(WatchdogError) {
        guard kind.longestDelay > timeout else { return }
        throw WatchdogError(
            attempted: "arm the watchdog",
            answer:
                "it may take \(kind.longestDelay.milliseconds) ms, and \(timeout.milliseconds) ms are reckoned with",
            advice: "it is counted on once the cluster has heard of the longer time; if it does not, restart the agent")
    }

    private func arm(_ state: inout State, _ timeout: Interval) throws(WatchdogError) {
        guard let kind = state.kind else {
            throw WatchdogError(
                attempted: "arm the watchdog", answer: "this host has none",
                advice: "configure one, or put the guests' disks on Ceph")
        }
        try demand(kind, within: timeout)
        let watchdog = try Watchdog(kind)
        let name = WatchdogStore.name(for: kind.longestDelay)
        if let store, let trouble = store.keep(watchdog.openFile, name) {
            log.warning(
                """
                the watchdog is not kept over a restart of this agent, which would reset this host: \(trouble); see \
                FileDescriptorStoreMax= in holdfast.service
                """)
        }
        log.notice(
            "the watchdog is armed: without the cluster this host is reset after \(timeout.milliseconds / 1_000) s")
        state.watchdog = consume watchdog
        state.name = name
    }

    private func close() throws(WatchdogError) {
        let trouble: WatchdogError? = state.withLock { state in
            guard let watchdog = state.watchdog.take() else { return nil }
            // Kept open it would not be disarmed by a farewell.
            forgetStored(state.name)
            do throws(WatchdogError) {
                try watchdog.release()
                log.notice("the watchdog is disarmed")
                return nil
            } catch { return error }
        }
        if let trouble { throw trouble }
    }

    private func forgetStored(_ name: String) {
        guard let store, let trouble = store.forget(name) else { return }
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
