// The driver of this host for as long as its agent runs, whether or not it can take part.
//
// Where processes are hidden, or the cluster's files are not there, what it said of guests would not be so, and it drives
// none. That may pass, as when pmxcfs is started anew, so it looks again; and it may come at a bad moment: the process before
// this one may have left a watchdog armed, which resets a healthy machine unless somebody feeds it.
//
//     look ── out of reach ──▶ refused: told, the watchdog fed as ordered, all other orders fail
//      ▲                          │
//      └──────── 5 s ─────────────┘
//     look ── within reach ──▶ ProxmoxNode, until the end
//
// Does not: refuse again once it was let in. A node says itself when it cannot look.

import Cluster
import Consensus
import Kinds
import Logging
import NIOPosix
import Synchronization

/// Takes the orders for this host, from any thread at any time, and never blocks.
public final class HostDriver: Sendable {
    /// Why nothing is driven.
    public struct Refusal: Hashable, Sendable {
        /// What of this host is out of reach.
        public var outOfReach: [String] = []
        /// Why it is not even known what to drive; nil: it is.
        public var problem: String?
        var bootFile = "/proc/sys/kernel/random/boot_id"

        var reason: String { problem ?? outOfReach.joined(separator: "; ") }
        var advice: String { problem == nil ? ". As root: \(ProxmoxSettings.reachAdvice)" : "" }
    }

    static let pause = Interval.seconds(5)

    private let settings: @Sendable () throws -> ProxmoxSettings
    private let open: @Sendable (ProxmoxSettings, WatchdogKeeper) throws -> ProxmoxNode
    private let keeper: WatchdogKeeper
    private let log: Logger
    private let report: @Sendable (GuestReport) -> Void
    private let reportFence: @Sendable (FenceReport) -> Void
    private let pause: Interval

    private enum Finding: Sendable {
        case driven(ProxmoxNode)
        case refused(Refusal)
    }
    private struct State: Sendable {
        var finding = Finding.refused(Refusal())
        /// What was last ordered to be watched, for a node that comes later.
        var watched: [Guest]?
    }
    private let state = Mutex(State())

    /// Looks for the first time.
    /// - Parameters:
    ///   - settings: read anew at each look.
    ///   - declaration: what is declared of a workload now; nil: nothing.
    ///   - claim: whether what an order rests on is still so, by a linearizable read.
    ///   - report: called from any thread; must not block.
    ///   - reportFence: the same.
    ///   - watchdogStore: keeps the watchdog open over a restart of this process; nil: nothing does.
    public convenience init(
        settings: @escaping @Sendable () throws -> ProxmoxSettings, log: Logger,
        declaration: @escaping @Sendable (ResourceKey) async -> Declaration?,
        claim: @escaping @Sendable (OrderClaim) async -> ClaimAnswer,
        report: @escaping @Sendable (GuestReport) -> Void, reportFence: @escaping @Sendable (FenceReport) -> Void,
        watchdogStore: WatchdogStore? = nil
    ) {
        self.init(
            settings: settings, log: log,
            keeper: WatchdogKeeper(nil, log: log, store: watchdogStore, now: BootTime.now),
            report: report, reportFence: reportFence, pause: Self.pause
        ) { settings, keeper in
            try ProxmoxNode(
                settings, log: log, declaration: declaration, claim: claim, report: report, reportFence: reportFence,
                watchdog: keeper)
        }
    }

    init(
        settings: @escaping @Sendable () throws -> ProxmoxSettings, log: Logger, keeper: WatchdogKeeper,
        report: @escaping @Sendable (GuestReport) -> Void, reportFence: @escaping @Sendable (FenceReport) -> Void,
        pause: Interval, open: @escaping @Sendable (ProxmoxSettings, WatchdogKeeper) throws -> ProxmoxNode
    ) {
        (self.settings, self.log, self.keeper, self.pause, self.open) = (settings, log, keeper, pause, open)
        (self.report, self.reportFence) = (report, reportFence)
        look()
        if let refusal {
            log.error(
                """
                this host runs no guests until that is mended; it is looked at again every \
                \(pause.milliseconds / 1_000) s: \(refusal.reason)\(refusal.advice)
                """)
        }
    }

    private var node: ProxmoxNode? {
        state.withLock { if case .driven(let node) = $0.finding { node } else { nil } }
    }
    /// Nil: it is driven.
    public var refusal: Refusal? {
        state.withLock { if case .refused(let refusal) = $0.finding { refusal } else { nil } }
    }

    /// What may be wrong with it; nil while it is refused.
    public func examine() async -> ProxmoxExamination? { await node?.examine() }

    /// A virtual machine of this Proxmox cluster: its name (`vm:105`), and the host that has it now.
    public struct FoundGuest: Hashable, Sendable {
        public let name: String
        public let node: String
        public let isHere: Bool
    }

    /// The guest that is the machine with this UUID; nil: none is, or it cannot be told.
    public func guest(ofMachine machine: String) async -> FoundGuest? {
        guard let settings = node?.settings else { return nil }
        do {
            let found = try await FileThread.run(settings, "look for machine \(machine)") { () throws(GuestFileError) in
                try settings.files.guest(ofMachine: machine)
            }
            return found.map {
                FoundGuest(name: $0.guest.serviceName, node: $0.node.text, isHere: $0.node == settings.node)
            }
        } catch {
            log.warning("whether machine \(machine) is one of this cluster's guests cannot be told: \(error)")
            return nil
        }
    }

    // MARK: Orders

    public func carryOut(_ order: GuestOrder) {
        let isTaken = state.withLock { state in
            if case .watch(let guests) = order { state.watched = guests }
            guard case .driven(let node) = state.finding else { return false }
            node.carryOut(order)
            return true
        }
        guard !isTaken, let step = OrderedStep(order) else { return }
        report(.failed(step.guest, epoch: step.epoch, step.step, GuestFailure(refusal?.reason ?? "")))
    }

    public func carryOut(_ order: FenceOrder) {
        if let node { return node.carryOut(order) }
        reportFence(.failed(order, reason: "fence \(order.host): \(refusal?.reason ?? "")"))
    }

    /// - Returns: whether it is armed now; nil for an order that came too late to be carried out, or that closes it.
    public func carryOut(_ order: WatchdogOrder) -> WatchdogReport? { keeper.carryOut(order) }

    /// Restarts this machine; `done` is called once, with what went wrong. A host that is not driven is not restarted either: what runs there
    /// is not known to have ended.
    public func restartMachine(_ done: @escaping @Sendable (String?) -> Void) {
        if let node { return node.restartMachine(done) }
        done("restart this machine: \(refusal?.reason ?? "")")
    }

    /// Why this host could not be restarted if that were ordered; nil: it could.
    public func restartTrouble() async -> String? {
        if let node { return await node.restartTrouble() }
        return refusal?.reason
    }

    // MARK: Work

    /// Drives, or looks again and again whether it can, until the surrounding task is cancelled. To be called once.
    public func serve() async {
        var told: Refusal?
        while let refusal {
            if refusal != told {
                let boot = (FileText.read(refusal.bootFile, most: 64) ?? "").filter { !$0.isWhitespace }
                report(
                    .refused(
                        boot: String(boot), watchdogMilliseconds: keeper.delay.milliseconds, reason: refusal.reason))
                told = refusal
            }
            do {
                try await Task.sleep(for: .nanoseconds(pause.nanoseconds))
                // What it looks at is there in no time, or not there; but a file system that hangs is one more reason to look.
                try await NIOThreadPool.singleton.runIfActive { self.look() }
            } catch { return }
        }
        if told != nil { log.notice("everything of this host is within reach now: its guests are driven from here on") }
        await node?.serve()
    }

    private func look() {
        let found = find()
        state.withLock { state in
            state.finding = found
            if case .driven(let node) = found, let watched = state.watched { node.carryOut(.watch(watched)) }
        }
    }

    private func find() -> Finding {
        var refusal = Refusal()
        do {
            let settings = try self.settings()
            keeper.use(settings.watchdog)
            refusal.bootFile = settings.bootFile
            refusal.outOfReach = settings.outOfReach()
            if refusal.outOfReach.isEmpty { return .driven(try self.open(settings, keeper)) }
        } catch { refusal.problem = "\(error)" }
        return .refused(refusal)
    }
}
