// Carries out fences of other hosts, as ordered: through Ceph, or by a command. Reports only what is proven.

import Consensus
import Kinds
import Logging

struct FenceSteps: Sendable {
    let ceph: CephFence?
    let log: Logger
    /// Ten years. Lifting it is a step of its own, after a proof; by itself it must never end.
    static let seconds: Int64 = 10 * 365 * 86_400

    func carryOut(_ order: FenceOrder) async -> FenceReport {
        // Late, it could undo what another member was ordered since.
        guard BootTime.now() < order.until else {
            return .failed(
                host: order.host, epoch: order.epoch,
                reason: "fence \(order.host): it could not be begun within "
                    + "\(FenceOrder.mostWait.milliseconds / 1_000) s; it is tried again")
        }
        switch order {
        case .blocklist(let host, let epoch, let address, _):
            return await report(host, epoch) { () async throws(LocalProgramError) in
                let ceph = try tool("fence \(host)", address)
                let proof = try await ceph.fence(addresses: [address], seconds: Self.seconds)
                // So that its OSDs are not waited for; the fence holds without it.
                do throws(LocalProgramError) {
                    let down = try await ceph.markDown(addresses: [address])
                    if !down.isEmpty { log.notice("marked the storage daemons \(down) of \(host) down") }
                } catch { log.warning("\(error)") }
                return .fenced(
                    host: host, epoch: epoch,
                    proof: "\(address) is barred from Ceph's images in OSD map \(proof.mapEpoch)")
            }
        case .unblocklist(let host, let epoch, let address, _):
            return await report(host, epoch) { () async throws(LocalProgramError) in
                try await tool("lift the fence of \(host)", address).lift(addresses: [address])
                return .lifted(host: host, epoch: epoch)
            }
        case .powerOff(let host, let epoch, let command, _):
            return await report(host, epoch) { () async throws(LocalProgramError) in
                try await FenceCommand(command).run(host: host)
                return .fenced(host: host, epoch: epoch, proof: "the power command says that it is off")
            }
        }
    }

    private func tool(_ attempted: String, _ address: String) throws(LocalProgramError) -> CephFence {
        guard let ceph else {
            throw LocalProgramError(
                .notStarted, attempted: attempted, answer: "Ceph is not configured on this member",
                advice: "configure Ceph's client here, or let another method fence")
        }
        guard !address.isEmpty else {
            throw LocalProgramError(
                .notStarted, attempted: attempted, answer: "its address as a client of Ceph is not known",
                advice: "configure the host's storage address")
        }
        return ceph
    }

    private func report(
        _ host: String, _ epoch: UInt64, _ body: () async throws(LocalProgramError) -> FenceReport
    ) async -> FenceReport {
        do throws(LocalProgramError) { return try await body() } catch {
            log.warning("\(error)")
            return .failed(host: host, epoch: epoch, reason: error.description)
        }
    }
}
