// Carries out fences of other hosts, as ordered: through Ceph, or by a command. Reports only what is proven.

import Consensus
import Kinds
import Logging

struct FenceSteps: Sendable {
    let ceph: CephFence?
    let claims: ClaimCheck
    let log: Logger
    /// Ten years. Lifting it is a step of its own, after a proof; by itself it must never end.
    static let seconds: Int64 = 10 * 365 * 86_400
    /// Of one command of Ceph.
    static let commandLimit = Interval.seconds(20)

    func carryOut(_ order: FenceOrder) async -> FenceReport {
        do throws(StepFailure) {
            return switch order {
            case .blocklist: try await bar(order)
            case .unblocklist: try await lift(order)
            case .powerOff(_, _, let command, _): try await powerOff(order, command)
            }
        } catch {
            log.warning("\(error)")
            return .failed(order, reason: error.description)
        }
    }

    private func powerOff(_ order: FenceOrder, _ command: [String]) async throws(StepFailure) -> FenceReport {
        try await confirm(order, "take the power from \(order.host)")
        do throws(LocalProgramError) { try await FenceCommand(command).run(host: order.host) } catch {
            throw StepFailure(error)
        }
        return .fenced(order, proof: "the power command says that it is off")
    }

    private func lift(_ order: FenceOrder) async throws(StepFailure) -> FenceReport {
        let attempted = "lift the fence of \(order.host)"
        let ceph = try tool(attempted, order.addresses)
        do throws(LocalProgramError) {
            guard try await ceph.isBarred(addresses: order.addresses) else { return .lifted(order) }
        } catch { throw StepFailure(error) }
        // An older order must not open a newer fence.
        try await claims.confirm(.lift(host: order.host, epoch: order.epoch), attempted)
        try inTime(order)
        let begun = BootTime.now()
        for address in order.addresses {
            try isStillAllowed(since: begun, attempted)
            do throws(LocalProgramError) { try await ceph.lift(addresses: [address]) } catch {
                throw StepFailure(error)
            }
        }
        return .lifted(order)
    }

    /// Just before what cannot be undone.
    private func confirm(_ order: FenceOrder, _ attempted: String) async throws(StepFailure) {
        try await claims.confirm(.fence(host: order.host, epoch: order.epoch, by: order.method), attempted)
        try inTime(order)
    }

    /// Looked at when nothing is waited for any more: late, an order could undo what another member was ordered since.
    private func inTime(_ order: FenceOrder) throws(StepFailure) {
        guard BootTime.now() >= order.until else { return }
        throw StepFailure(
            "fence \(order.host): it could not be begun within \(FenceOrder.mostWait.milliseconds / 1_000) s; it is tried "
                + "again")
    }

    /// Whether a command that changes something may still be begun: each ends within its own limit, and all of them within
    /// what the cluster waits for.
    private func isStillAllowed(since begun: Instant, _ attempted: String) throws(StepFailure) {
        guard BootTime.now() - begun > FenceOrder.mostLength - Self.commandLimit else { return }
        throw StepFailure("\(attempted): Ceph answers too slowly for all of its addresses; it is tried again")
    }

    private func bar(_ order: FenceOrder) async throws(StepFailure) -> FenceReport {
        let (host, addresses) = (order.host, order.addresses)
        let ceph = try tool("fence \(host)", addresses)
        try await confirm(order, "fence \(host)")
        let begun = BootTime.now()
        var found: BlocklistProof?
        var up: [Int64] = []
        for address in addresses {
            try isStillAllowed(since: begun, "fence \(host)")
            do throws(LocalProgramError) {
                let proof = try await ceph.fence(addresses: [address], seconds: Self.seconds)
                up += proof.daemonsUp.filter { !up.contains($0) }
                found = proof
            } catch { throw StepFailure(error) }
        }
        guard let proof = found else { throw StepFailure("fence \(host): there is no address to bar") }
        // A newer map has to bar those that were entered first as well.
        for address in addresses.dropLast() {
            let isBarred: Bool
            do throws(LocalProgramError) { isBarred = try await ceph.isBarred(addresses: [address]) } catch {
                throw StepFailure(error)
            }
            guard isBarred else {
                throw StepFailure("fence \(host): Ceph's map does not bar \(address) any more; it is tried again")
            }
        }
        // So that its OSDs are not waited for; the fence holds without it.
        do throws(LocalProgramError) {
            try await ceph.markDown(up, within: begun + FenceOrder.mostLength - BootTime.now())
            if !up.isEmpty { log.notice("marked the storage daemons \(up) of \(host) down") }
        } catch { log.warning("\(error)") }
        return .fenced(
            order,
            proof: "\(addresses.joined(separator: ", ")) barred from Ceph's images in OSD map \(proof.mapEpoch)")
    }

    private func tool(_ attempted: String, _ addresses: [String]) throws(StepFailure) -> CephFence {
        guard let ceph else {
            throw StepFailure(
                "\(attempted): Ceph is not configured on this member; configure Ceph's client here, or let another method "
                    + "fence", isPermanent: true)
        }
        guard !addresses.isEmpty, !addresses.contains("") else {
            throw StepFailure(
                "\(attempted): its address as a client of Ceph is not known; configure the host's storage address",
                isPermanent: true)
        }
        return ceph
    }
}
