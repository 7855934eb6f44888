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

    func carryOut(_ order: FenceOrder) async -> FenceReport {
        switch order {
        case .blocklist(let host, let epoch, let address, _):
            return await report(host, epoch) { () async throws(StepFailure) in
                let ceph = try tool("fence \(host)", address)
                try await claims.confirm(.fence(host: host, epoch: epoch), "fence \(host)")
                try inTime(order)
                return try await bar(host, epoch, address, ceph)
            }
        case .unblocklist(let host, let epoch, let address, _):
            return await report(host, epoch) { () async throws(StepFailure) in
                let attempted = "lift the fence of \(host)"
                let ceph = try tool(attempted, address)
                // An older order must not open a newer fence.
                do throws(LocalProgramError) {
                    guard try await ceph.isBarred(addresses: [address]) else {
                        return .lifted(host: host, epoch: epoch)
                    }
                } catch { throw StepFailure(error) }
                try await claims.confirm(.lift(host: host, epoch: epoch), attempted)
                try inTime(order)
                do throws(LocalProgramError) { try await ceph.lift(addresses: [address]) } catch {
                    throw StepFailure(error)
                }
                return .lifted(host: host, epoch: epoch)
            }
        case .powerOff(let host, let epoch, let command, _):
            return await report(host, epoch) { () async throws(StepFailure) in
                try await claims.confirm(.fence(host: host, epoch: epoch), "take the power from \(host)")
                try inTime(order)
                do throws(LocalProgramError) { try await FenceCommand(command).run(host: host) } catch {
                    throw StepFailure(error)
                }
                return .fenced(host: host, epoch: epoch, proof: "the power command says that it is off")
            }
        }
    }

    /// Looked at when nothing is waited for any more: late, an order could undo what another member was ordered since.
    private func inTime(_ order: FenceOrder) throws(StepFailure) {
        guard BootTime.now() >= order.until else { return }
        throw StepFailure(
            "fence \(order.host): it could not be begun within \(FenceOrder.mostWait.milliseconds / 1_000) s; it is tried "
                + "again")
    }

    private func bar(
        _ host: String, _ epoch: UInt64, _ address: String, _ ceph: CephFence
    ) async throws(StepFailure) -> FenceReport {
        let began = BootTime.now()
        let proof: BlocklistProof
        do throws(LocalProgramError) {
            proof = try await ceph.fence(addresses: [address], seconds: Self.seconds)
        } catch { throw StepFailure(error) }
        // So that its OSDs are not waited for; the fence holds without it.
        do throws(LocalProgramError) {
            try await ceph.markDown(proof.daemonsUp, within: began + FenceOrder.mostLength - BootTime.now())
            if !proof.daemonsUp.isEmpty { log.notice("marked the storage daemons \(proof.daemonsUp) of \(host) down") }
        } catch { log.warning("\(error)") }
        return .fenced(
            host: host, epoch: epoch, proof: "\(address) is barred from Ceph's images in OSD map \(proof.mapEpoch)")
    }

    private func tool(_ attempted: String, _ address: String) throws(StepFailure) -> CephFence {
        guard let ceph else {
            throw StepFailure(
                "\(attempted): Ceph is not configured on this member; configure Ceph's client here, or let another method "
                    + "fence", isPermanent: true)
        }
        guard !address.isEmpty else {
            throw StepFailure(
                "\(attempted): its address as a client of Ceph is not known; configure the host's storage address",
                isPermanent: true)
        }
        return ceph
    }

    private func report(
        _ host: String, _ epoch: UInt64, _ body: () async throws(StepFailure) -> FenceReport
    ) async -> FenceReport {
        do throws(StepFailure) { return try await body() } catch {
            log.warning("\(error)")
            return .failed(host: host, epoch: epoch, reason: error.description)
        }
    }
}
