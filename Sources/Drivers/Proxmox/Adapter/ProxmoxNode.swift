// The driver of this host's Proxmox: takes the agent's orders, carries them out, looks at the guests, and reports. It
// holds no policy: it starts nothing that it was not told to start.

import Cluster
import Consensus
import Drivers
import Glibc
import Kinds
import Logging
import Synchronization

/// Drives one Proxmox host. Orders are taken from any thread at any time; work is done while `serve` runs.
public final class ProxmoxNode: Sendable {
    /// Steps that are under way in Proxmox at one time. To end a guest is not counted.
    static let mostSteps = 8

    public let settings: ProxmoxSettings
    private let log: Logger
    private let client: ProxmoxClient
    private let steps: GuestSteps
    private let fences: FenceSteps
    private let watchdog: WatchdogKeeper
    private let report: @Sendable (GuestReport) -> Void
    private let reportFence: @Sendable (FenceReport) -> Void
    private let gate = Gate(width: mostSteps)
    private let health: HealthCheckRunner
    private let verdicts: AsyncStream<RoleReport>

    private enum Work: Sendable {
        case lane(Int64)
        case fences(of: String)
        case restart(@Sendable (String?) -> Void)
    }
    private let work: AsyncStream<Work>
    private let works: AsyncStream<Work>.Continuation
    private let machines: AsyncStream<[MachineProcess]>
    private let seekers: AsyncStream<[MachineProcess]>.Continuation
    private let lookNow: AsyncStream<Void>
    private let lookers: AsyncStream<Void>.Continuation

    struct State: Sendable {
        var watched: [Guest] = []
        var lanes = GuestLanes()
        var notes = GuestNotes()
        /// The health checks that run.
        var checks: SortedMap<ResourceKey, HealthCheck> = [:]
        var fences = FenceLanes()
        /// A step has ended since the last look: report whether or not anything changed.
        var isReportDue = true
        /// The address of this host's clients of Ceph, once known.
        var storageAddress = ""
    }
    let state = Mutex(State())

    /// The ends of steps, counted. Whoever tells one, or what a look found, holds the lock while telling it: a look that had begun
    /// before an end is told before it, or as stale.
    private struct Endings: Sendable {
        var count: UInt64 = 0
        /// The newest of each guest, by its number.
        var ofGuests: SortedMap<Int64, UInt64> = [:]
    }
    private let endings = Mutex(Endings())

    /// - Parameters:
    ///   - declaration: what is declared of a workload now; nil: nothing.
    ///   - claim: whether what an order rests on is still so, by a linearizable read.
    ///   - report: called from any thread; must not block.
    ///   - reportFence: the same.
    ///   - watchdogStore: keeps the watchdog open over a restart of this process; nil: nothing does.
    /// - Throws: when the authority's certificates cannot be read.
    public convenience init(
        _ settings: ProxmoxSettings, log: Logger,
        declaration: @escaping @Sendable (ResourceKey) async -> Declaration?,
        claim: @escaping @Sendable (OrderClaim) async -> ClaimAnswer,
        report: @escaping @Sendable (GuestReport) -> Void, reportFence: @escaping @Sendable (FenceReport) -> Void,
        watchdogStore: WatchdogStore? = nil
    ) throws(ProxmoxError) {
        try self.init(
            settings, log: log, declaration: declaration, claim: claim, report: report, reportFence: reportFence,
            watchdog: WatchdogKeeper(settings.watchdog, log: log, store: watchdogStore, now: BootTime.now))
    }

    init(
        _ settings: ProxmoxSettings, log: Logger,
        declaration: @escaping @Sendable (ResourceKey) async -> Declaration?,
        claim: @escaping @Sendable (OrderClaim) async -> ClaimAnswer,
        report: @escaping @Sendable (GuestReport) -> Void, reportFence: @escaping @Sendable (FenceReport) -> Void,
        watchdog: WatchdogKeeper
    ) throws(ProxmoxError) {
        self.settings = settings
        self.log = log
        client = try ProxmoxClient(settings.access)
        var host = ProxmoxHost(client: client, node: settings.node)
        host.lockPatience = settings.lockPatience
        let claims = ClaimCheck(ask: claim)
        steps = GuestSteps(host: host, settings: settings, log: log, declaration: declaration, claims: claims)
        fences = FenceSteps(ceph: settings.ceph, claims: claims, log: log)
        self.watchdog = watchdog
        self.report = report
        self.reportFence = reportFence
        let (verdicts, judging) = AsyncStream<RoleReport>.makeStream(bufferingPolicy: .bufferingNewest(1_024))
        self.verdicts = verdicts
        health = HealthCheckRunner(log: log) { judging.yield($0) }
        (work, works) = AsyncStream.makeStream()
        (machines, seekers) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (lookNow, lookers) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.storageAddress = settings.storageAddress ?? "" }
    }

    var host: ProxmoxHost { steps.host }

    // MARK: Orders

    /// Takes an order. Never blocks.
    public func carryOut(_ order: GuestOrder) {
        if case .watch(let guests) = order {
            // Whoever orders it again wants to be told what is true now, also when that is what was true before.
            state.withLock { state in
                state.watched = guests
                state.isReportDue = true
            }
            lookers.yield()
            return
        }
        guard let step = OrderedStep(order) else { return }
        switch state.withLock({ $0.lanes.admit(step) }) {
        case .run: works.yield(.lane(step.guest.vmid))
        case .waits, .known: break
        case .full:
            let failure = GuestFailure(
                "\(step.guest.workload): \(GuestLanes.mostSteps) orders for it are waiting already")
            report(.failed(step.guest, epoch: step.epoch, step.step, failure))
        }
    }

    /// Takes an order. Never blocks. One that is under way is not begun a second time, and what concerns one host is done
    /// one after the other: the lifting of an old fence has ended before a new one is begun.
    public func carryOut(_ order: FenceOrder) {
        if state.withLock({ $0.fences.admit(order) }) { works.yield(.fences(of: order.host)) }
    }

    /// Takes an order and has carried it out when it returns. Never blocks.
    /// - Returns: whether it is armed now; nil for an order that came too late to be carried out, or that closes it.
    public func carryOut(_ order: WatchdogOrder) -> WatchdogReport? { watchdog.carryOut(order) }

    /// Has Proxmox restart this machine. Never blocks.
    public func restartMachine(_ done: @escaping @Sendable (String?) -> Void) { works.yield(.restart(done)) }

    /// Why this machine could not be restarted; nil: it could. Changes nothing.
    public func restartTrouble() async -> String? {
        do throws(ProxmoxError) {
            return try await host.mayRestart() ? nil : "its token has no Sys.PowerMgmt on /nodes/\(settings.node)"
        } catch { return error.description }
    }

    private func restart() async -> String? {
        do throws(ProxmoxError) {
            try await host.restart()
            return nil
        } catch { return error.description }
    }

    // MARK: Work

    /// Carries out orders, and looks, until the surrounding task is cancelled. To be called once.
    public func serve() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepLooking() }
            group.addTask { await self.health.serve { await self.askAgent($0, limit: $1) } }
            group.addTask { await self.noteHealth() }
            group.addTask { await self.seekClients() }
            for await item in work {
                switch item {
                case .lane(let vmid): group.addTask { await self.runLane(vmid) }
                case .fences(let host): group.addTask { await self.runFences(of: host) }
                case .restart(let done): group.addTask { done(await self.restart()) }
                }
            }
            group.cancelAll()
        }
        client.shutDown()
    }

    private func runFences(of host: String) async {
        while let order = state.withLock({ $0.fences.next(host) }) {
            let outcome = await fences.carryOut(order)
            state.withLock { $0.fences.ended(host) }
            if Task.isCancelled { return }
            reportFence(outcome)
        }
    }

    private func runLane(_ vmid: Int64) async {
        while true {
            let (cut, cutter) = AsyncStream<Never>.makeStream()
            guard let step = state.withLock({ $0.lanes.next(vmid, cut: cutter) }) else { return }
            // Whoever is first; a step that was cut off ends soon, and says itself how far it came.
            let failure = await withTaskGroup(of: StepEnd.self) { group in
                group.addTask { .ended(await self.run(step)) }
                group.addTask {
                    for await _ in cut {}
                    return .cut
                }
                var end: StepFailure?
                for await first in group {
                    group.cancelAll()
                    if case .ended(let failure) = first { end = failure }
                }
                return end
            }
            state.withLock { state in
                state.lanes.ended(vmid)
                state.isReportDue = true
            }
            if Task.isCancelled { return }
            if let failure { log.warning("\(step.guest.workload): \(failure)") }
            endings.withLock { endings in
                endings.count += 1
                endings.ofGuests[vmid] = endings.count
                report(
                    failure.map { .failed(step.guest, epoch: step.epoch, step.step, $0.told) }
                        ?? .done(step.guest, epoch: step.epoch, step.step))
            }
            lookers.yield()
        }
    }

    private enum StepEnd: Sendable {
        case ended(StepFailure?)
        case cut
    }

    private func run(_ step: OrderedStep) async -> StepFailure? {
        log.notice("\(step.guest.workload): \(step.work)")
        if step.work == .destroy { return await perform(step) }
        do {
            return try await gate.pass { await self.perform(step) }
        } catch { return StepFailure("\(step.guest.workload): given up before it was begun") }
    }

    private func perform(_ step: OrderedStep) async -> StepFailure? {
        do throws(StepFailure) {
            switch step.work {
            case .start(let takeFrom, let provenAway):
                let notes = try await steps.start(
                    step.guest, epoch: step.epoch, takeFrom: takeFrom, provenAway: provenAway)
                state.withLock { state in
                    state.notes.words[Int(step.guest.vmid)] = notes.isEmpty ? nil : notes.joined(separator: "; ")
                }
            case .stop(let grace): try await steps.stop(step.guest, grace: grace)
            case .migrate(let target, let live):
                try await steps.migrate(step.guest, epoch: step.epoch, to: target, live: live)
            case .destroy: try await steps.destroy(step.guest)
            }
            return nil
        } catch { return error }
    }

    // MARK: Health

    private func noteHealth() async {
        for await verdict in verdicts {
            guard case .health(let workload, let isHealthy, _) = verdict else { continue }
            state.withLock { $0.notes.health[workload] = isHealthy }
            lookers.yield()
        }
    }

    private func askAgent(_ workload: ResourceKey, limit: Interval) async -> AgentAnswer {
        let guest = state.withLock { state in state.watched.first { $0.workload == workload } }
        guard let number = guest.flatMap(GuestNumber.init), number.kind == .machine else {
            return .result(ProbeResult(isSuccess: false, detail: "\(workload) is no virtual machine of this host"))
        }
        do throws(ProxmoxError) {
            let trouble = try await host.agentTrouble(of: number, limit: limit)
            return .result(ProbeResult(isSuccess: trouble == nil, detail: trouble ?? "its guest agent answers"))
        } catch { return .unasked(error.description) }
    }

    /// Whether a check of the agent inside it is declared of one of the watched guests, whether or not it runs now.
    func asksAgents() async -> Bool {
        for guest in state.withLock({ $0.watched }) where guest.form == .machine {
            if let declared = try? await steps.declared(guest), declared.check?.probe == .agent { return true }
        }
        return false
    }

    /// Runs the checks of the guests that run; of the others nothing is known any more.
    private func check(_ checks: SortedMap<ResourceKey, HealthCheck>) {
        let isNew = state.withLock { state in
            guard state.checks != checks else { return false }
            for workload in state.checks.keys where state.checks[workload] != checks[workload] {
                state.notes.health[workload] = nil
            }
            state.checks = checks
            return true
        }
        if isNew { health.run(checks) }
    }

    private func seekClients() async {
        guard let ceph = settings.ceph else { return }
        var seeker = ClientSeeker(host: host, ceph: ceph, log: log)
        for await running in machines {
            let known = state.withLock { FoundClients(clients: $0.notes.clients, storageAddress: $0.storageAddress) }
            let found = await seeker.seek(running, known)
            if Task.isCancelled { return }
            let isNew = state.withLock { state in
                defer { (state.notes.clients, state.storageAddress) = (found.clients, found.storageAddress) }
                return state.notes.clients != found.clients || state.storageAddress != found.storageAddress
            }
            if isNew { lookers.yield() }
        }
    }

    // MARK: Looking

    private func keepLooking() async {
        var lookout = Lookout(looker: HostLooker(host: host, settings: settings), steps: steps, log: log)
        lookers.yield()
        await withDiscardingTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    do { try await Task.sleep(for: .nanoseconds(self.settings.lookInterval.nanoseconds)) } catch {
                        return
                    }
                    self.lookers.yield()
                }
            }
            for await _ in lookNow {
                let (watched, isDue, notes, address) = state.withLock { state in
                    defer { state.isReportDue = false }
                    return (state.watched, state.isReportDue, state.notes, state.storageAddress)
                }
                let began = endings.withLock { $0.count }
                let outcome = await lookout.look(
                    at: watched, notes, isReportDue: isDue, storageAddress: address, watchdog: watchdog.delay)
                if Task.isCancelled { break }
                state.withLock { $0.notes.words = outcome.notes.words }
                seekers.yield(outcome.machines)
                if let checks = outcome.checks { check(checks) }
                if tell(outcome.reports, sawSince: began) {
                    state.withLock { $0.isReportDue = true }
                    lookers.yield()
                }
            }
            group.cancelAll()
        }
    }

    /// - Parameter began: the steps that had ended when the look began.
    /// - Returns: whether some of it may be what was there before a step ended, so that it has to be looked at again.
    private func tell(_ reports: [GuestReport], sawSince began: UInt64) -> Bool {
        endings.withLock { endings in
            var isAnyStale = false
            for entry in reports {
                guard case .observed(var all) = entry else {
                    report(entry)
                    continue
                }
                for position in all.indices where (endings.ofGuests[all[position].guest.vmid] ?? 0) > began {
                    (all[position].isStale, isAnyStale) = (true, true)
                }
                report(.observed(all))
            }
            return isAnyStale
        }
    }
}

/// CLOCK_BOOTTIME: monotonic, and it goes on while the machine is suspended.
enum BootTime {
    @Sendable static func now() -> Instant {
        var reading = timespec()
        clock_gettime(CLOCK_BOOTTIME, &reading)
        return Instant(nanoseconds: Int64(reading.tv_sec) * 1_000_000_000 + Int64(reading.tv_nsec))
    }
}
