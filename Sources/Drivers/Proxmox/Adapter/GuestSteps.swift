// The steps an order is made of. Each can be repeated: it looks first, and does what is missing. After an outcome that is
// not known it waits until Proxmox works on the guest no more, and looks again before it does anything else.

import Cluster
import Consensus
import Kinds
import Logging

/// Carries out the steps for guests of this host.
struct GuestSteps: Sendable {
    let host: ProxmoxHost
    let settings: ProxmoxSettings
    let log: Logger
    /// What is declared of a workload; nil: nothing (any more).
    let declaration: @Sendable (ResourceKey) async -> Declaration?
    let claims: ClaimCheck

    /// After an unknown outcome a step looks and goes on at most so often.
    static let mostAttempts = 3

    private func number(_ guest: Guest) throws(StepFailure) -> GuestNumber {
        guard let number = GuestNumber(guest) else {
            throw StepFailure("\(guest.workload): \(guest.vmid) is no number of a guest", isPermanent: true)
        }
        return number
    }

    // MARK: Start

    /// - Returns: what is worth telling although it succeeded.
    ///
    /// **It is not begun, nor gone on with after a wait, once the placement has a newer epoch**: the guest may run
    /// elsewhere by then.
    func start(
        _ guest: Guest, epoch: UInt64, takeFrom: [String], provenAway: [String]
    ) async throws(StepFailure) -> [String] {
        let number = try number(guest)
        let claim = OrderClaim.start(guest.workload, epoch: epoch)
        let attempted = "start \(number) on \(settings.node)"
        let deadline = ContinuousClock.now + .nanoseconds(settings.quorumPatience.nanoseconds)
        let taking = TakingOver(
            host: host, settings: settings, log: log, claims: claims, claim: claim, provenAway: provenAway)
        let declared: DeclaredGuest?
        let found: Place
        do throws(StepFailure) {
            declared = try await self.declared(guest)
            found = try await place(of: number)
            if case .there(let node) = found {
                guard takeFrom.contains(node.text) else {
                    throw StepFailure(
                        "\(attempted): its configuration lies on \(node); it starts here once it was moved here",
                        isPermanent: true)
                }
                try await taking.examine(number, from: node, until: deadline)
            }
        } catch { throw error.havingBegunNothing }
        var notes: [String] = []
        switch found {
        case .here: break
        case .there(let node):
            while true {
                try await taking.take(number, from: node, until: deadline)
                // Until Proxmox sees it here too: a move made just while the cluster's file system comes together may be undone.
                if case .here = try await place(of: number) { break }
                guard ContinuousClock.now < deadline else {
                    throw StepFailure("\(attempted): its configuration was taken from \(node), and is not seen here")
                }
                try await TakingOver.wait(attempted)
                try await taking.examine(number, from: node, until: deadline)
            }
        case .nowhere: try await create(number, declared, attempted)
        }
        let isHibernated = try await removeStaleLock(number, attempted, hasStayed: found == .here)
        // An orphan would be a second writer to its disks: it is this guest's own process, and it runs.
        if !isHibernated { notes += try await bringInLine(number, declared) }
        try await persist(number, attempted, until: { $0.isRunning }) { () async throws(StepFailure) in
            while true {
                try await claims.confirm(claim, attempted)
                do throws(ProxmoxError) {
                    _ = try await host.start(number, limits: settings.limits)
                    return
                } catch {
                    guard error.cause == .noQuorum, ContinuousClock.now < deadline else { throw StepFailure(error) }
                }
                // For a second or two after it came back calls may still say that there is none.
                try await TakingOver.wait(attempted)
                try await taking.regainQuorum(until: deadline, attempted)
            }
        }
        return notes
    }

    private enum Place: Equatable { case here, there(NodeName), nowhere }

    /// Where the guest's configuration lies. This host's own word first; the folders of the cluster for the others.
    private func place(of guest: GuestNumber) async throws(StepFailure) -> Place {
        do throws(ProxmoxError) {
            if try await host.guests().contains(where: { $0.guest == guest }) { return .here }
        } catch { throw StepFailure(error) }
        let attempted = "look for \(guest)"
        let files = settings.files
        let holders = try await FileThread.run(settings, attempted) { () throws(GuestFileError) in
            try files.holders(of: guest)
        }.filter { $0 != settings.node }
        guard holders.count < 2 else {
            throw StepFailure(
                GuestFileError(
                    cause: .taken, attempted: attempted,
                    answer: "it is on \(holders.map(\.text).joined(separator: " and "))"))
        }
        return holders.first.map(Place.there) ?? .nowhere
    }

    func declared(_ guest: Guest) async throws(StepFailure) -> DeclaredGuest? {
        guard let declaration = await declaration(guest.workload) else { return nil }
        do throws(InvalidDeclaration) {
            return try DeclaredGuest(declaration)
        } catch { throw StepFailure("\(guest.workload): \(error)", isPermanent: true) }
    }

    private func create(_ guest: GuestNumber, _ declared: DeclaredGuest?, _ attempted: String) async throws(StepFailure)
    {
        guard let declared, let origin = declared.origin else {
            throw StepFailure(
                "\(attempted): there is no such guest on any host of this Proxmox cluster, and no template is declared to "
                    + "make it from", isPermanent: true)
        }
        var wanted = declared.wanted(over: nil)
        wanted.settings["description"] = DeclaredGuest.unfinished
        do throws(ProxmoxError) {
            _ = try await host.create(wanted, from: origin, limits: settings.limits)
        } catch {
            // Whether it was made is seen by the next look; it is finished then.
            throw StepFailure(error)
        }
    }

    /// Sets what differs from the declaration. What cannot be set does not keep the guest from starting.
    private func bringInLine(_ guest: GuestNumber, _ declared: DeclaredGuest?) async throws(StepFailure) -> [String] {
        guard let declared else { return [] }
        do throws(ProxmoxError) {
            let present = try await host.configuration(of: guest)
            let wanted = declared.wanted(over: present)
            guard !wanted.drift(from: present).isEmpty else { return [] }
            let result = try await host.change(wanted, limits: settings.limits)
            for drift in result.changed { log.notice("\(guest): set \(drift)") }
            return result.remaining.map(\.description)
        } catch {
            guard !error.isPassing || error.cause == .changedMeanwhile else {
                // The start meets the same obstacle, and has the patience for it.
                log.notice("\(error)")
                return []
            }
            return ["not as declared: \(error)"]
        }
    }

    // MARK: Stop

    func stop(_ guest: Guest, grace: Interval) async throws(StepFailure) {
        let number = try number(guest)
        let attempted = "stop \(number) on \(settings.node)"
        guard case .here = try await place(of: number) else { return try await destroy(guest) }
        // A guest that must not run is ended also with its lock; only a shutdown asks for it.
        do throws(StepFailure) { _ = try await removeStaleLock(number, attempted, hasStayed: true) } catch {
            log.notice("\(error)")
        }
        try await persist(number, attempted, until: { !$0.isRunning }) { () async throws(StepFailure) in
            do throws(ProxmoxError) {
                _ = try await host.shutdown(number, patience: grace, force: true, limits: settings.limits)
            } catch {
                guard error.cause != .managedByProxmox, error.cause != .unauthorized, error.status != 403 else {
                    throw StepFailure(error)
                }
                log.notice("\(error); stopping it at once")
                do throws(ProxmoxError) { _ = try await host.stop(number, limits: settings.limits) } catch {
                    throw StepFailure(error)
                }
            }
        }
    }

    // MARK: Moving

    /// **It is not begun, nor gone on with once it was stopped for it, when its target is being fenced**: what comes there
    /// later may write after the proof that nothing there does.
    func migrate(_ guest: Guest, epoch: UInt64, to name: String, live: Bool) async throws(StepFailure) {
        let number = try number(guest)
        let claim = OrderClaim.migrate(guest.workload, epoch: epoch, to: name)
        let attempted = "move \(number) to \(name)"
        guard let target = NodeName(name) else {
            throw StepFailure("move \(number): \(name) is no name of a host", isPermanent: true)
        }
        switch try await place(of: number) {
        case .here: break
        case .there(let node) where node == target: return
        case .there(let node): throw StepFailure("\(attempted): it is on \(node)", isPermanent: true)
        case .nowhere: throw StepFailure("\(attempted): there is no such guest", isPermanent: true)
        }
        _ = try await removeStaleLock(number, attempted, hasStayed: true)
        try await prepareMove(number, guest, to: target, live: live) { () async throws(StepFailure) in
            try await claims.confirm(claim, attempted)
        }
        let deadline = ContinuousClock.now + .nanoseconds(settings.quorumPatience.nanoseconds)
        while true {
            try await claims.confirm(claim, attempted)
            do throws(ProxmoxError) {
                _ = try await host.migrate(number, to: target, limits: settings.limits)
                return
            } catch {
                // The host it is to go to may have joined Proxmox's cluster only just, and that one is not whole yet.
                guard error.cause == .noQuorum, !error.mayHaveHadEffect, ContinuousClock.now < deadline else {
                    return try await moveFailed(number, to: target, error)
                }
            }
            try await TakingOver.wait(attempted)
        }
    }

    private func moveFailed(_ number: GuestNumber, to target: NodeName, _ error: ProxmoxError) async throws(StepFailure)
    {
        guard error.mayHaveHadEffect else { throw StepFailure(error) }
        await settle(number, limit: settings.limits.migrate)
        if case .there(let node) = try await place(of: number), node == target { return }
        throw StepFailure(error)
    }

    /// Looks whether it can be moved, and stops what is not to be moved while it runs.
    private func prepareMove(
        _ number: GuestNumber, _ guest: Guest, to target: NodeName, live: Bool,
        _ confirm: () async throws(StepFailure) -> Void
    ) async throws(StepFailure) {
        // Before it is stopped for it: what cannot be moved goes on.
        do throws(ProxmoxError) {
            if let obstacle = try await host.obstacle(to: target, number) {
                throw ProxmoxError(.unsafe, attempted: "move \(number) to \(target)", reason: obstacle)
            }
        } catch { throw StepFailure(error) }
        guard !live, number.kind == .machine else { return }
        try await confirm()
        var grace = Interval.seconds(60)
        if let declaration = await declaration(guest.workload), let spec = try? WorkloadSpec(declaration) {
            grace = spec.shutdownGrace
        }
        do throws(ProxmoxError) {
            _ = try await host.shutdown(number, patience: grace, force: true, limits: settings.limits)
        } catch {
            // Whether it has ended is seen by the next look.
            if error.mayHaveHadEffect { await settle(number, limit: settings.limits.migrate) }
            throw StepFailure(error)
        }
    }

    // MARK: Ending at once

    /// Ends what runs of the guest here. Looks at the processes themselves where it can: a guest whose configuration is
    /// elsewhere is invisible to Proxmox.
    func destroy(_ guest: Guest) async throws(StepFailure) {
        let number = try number(guest)
        let attempted = "end \(number) on \(settings.node)"
        // Nothing may start it in the meantime: what Proxmox is still doing with it comes first.
        var trouble: StepFailure?
        do throws(ProxmoxError) { try await host.cancelTasks(of: number) } catch { trouble = StepFailure(error) }
        let isEnded = await killMachines(number)
        if settings.containers.isRunning(number) {
            do throws(LocalProgramError) { try await settings.containers.kill(number) } catch {
                trouble = StepFailure(error)
            }
        }
        do throws(ProxmoxError) {
            if try await host.guests().contains(where: { $0.guest == number && $0.isRunning }) {
                _ = try await host.stop(number, limits: settings.limits)
            }
            trouble = nil
        } catch { trouble = StepFailure(error) }
        let isLeft =
            !isEnded || settings.containers.isRunning(number)
            || settings.machines.runningAnywhere().contains { $0.guest == number }
        guard !isLeft else {
            throw StepFailure(
                trouble?.reason
                    ?? "\(attempted): it was killed and is still there; its storage may hang: see ps and dmesg")
        }
        if let trouble { throw trouble }
        // What cannot be seen may be left: whoever hears that it has ended lets its disks be written again.
        if number.kind == .machine, let blindness = settings.machines.blindness() {
            throw StepFailure("\(attempted): \(blindness); as root: \(ProxmoxSettings.reachAdvice)", isPermanent: true)
        }
    }

    private func killMachines(_ guest: GuestNumber) async -> Bool {
        var isEnded = true
        for machine in settings.machines.runningAnywhere() where machine.guest == guest {
            log.notice("killing process \(machine.process), which is \(guest)")
            if await !settings.machines.kill(machine, limit: settings.killLimit) { isEnded = false }
        }
        return isEnded
    }

    // MARK: Unknown outcomes

    /// Repeats a step after an outcome that is not known, once the guest is seen and nothing works on it.
    private func persist(
        _ guest: GuestNumber, _ attempted: String, until isReached: (GuestStatus) -> Bool,
        _ step: () async throws(StepFailure) -> Void
    ) async throws(StepFailure) {
        for attempt in 1... {
            do throws(StepFailure) { return try await step() } catch {
                guard error.mayHaveHadEffect else { throw error }
                log.notice("\(error)")
                await settle(guest, limit: settings.limits.start)
                do throws(ProxmoxError) {
                    if isReached(try await host.state(of: guest)) { return }
                } catch { throw StepFailure(error) }
                // Seen not to be so, and nothing under way: now it is known to have failed.
                guard error.isPassing, attempt < Self.mostAttempts else { throw error }
            }
        }
    }

    /// Waits until Proxmox has no task about the guest any more, as far as it can be seen.
    private func settle(_ guest: GuestNumber, limit: Interval) async {
        let deadline = ContinuousClock.now + .nanoseconds(limit.nanoseconds)
        while ContinuousClock.now < deadline, !Task.isCancelled {
            do throws(ProxmoxError) {
                if try await host.activeTasks(of: guest).isEmpty { return }
            } catch {
                log.notice("\(error)")
            }
            do { try await Task.sleep(for: .milliseconds(500)) } catch { return }
        }
    }
}
