// The hypervisor of this host, when its agent is told how to reach one. A host without goes on as before: it votes, holds
// addresses, and runs no guests.

import Agent
import Cluster
import Consensus
import Decisions
import Foundation
import Kinds
import Logging
import ProxmoxDriver
import Runtime
import ServiceLifecycle

enum Hypervisor {
    /// The file that says how to reach this host's Proxmox; its format stands at ProxmoxSettingsFile.
    static let settingsFile = "proxmox.json"
    /// How long the cluster may take to say whether an order still holds: an election fits in.
    static let claimPatience = Interval.seconds(3)

    /// The driver of this host's Proxmox; nil when there is none, or when its settings cannot be used, which is said.
    static func open(record: MemberRecord, dataDirectory: String, loop: AgentLoop, log: Logger) -> ProxmoxNode? {
        let file = "\(dataDirectory)/\(settingsFile)"
        guard record.kind == .host, FileManager.default.fileExists(atPath: file) else { return nil }
        let member = record.id
        do {
            let settings = try ProxmoxSettings(file: file, hostName: record.name)
            return try ProxmoxNode(
                settings, log: log,
                declaration: { key in
                    guard case .state(let state, _) = await loop.submit(.readLocal) else { return nil }
                    return state.resources[key]?.declaration
                },
                claim: { await answer($0, of: member, through: loop) },
                report: { loop.report($0) }, reportFence: { loop.report($0) })
        } catch {
            log.error("this host runs no guests until its agent is started anew: \(error)")
            return nil
        }
    }

    /// As the cluster has it now, not as this member remembers it.
    private static func answer(
        _ claim: OrderClaim, of member: MemberID, through loop: AgentLoop
    ) async -> ClaimAnswer {
        switch await loop.submit(.read(deadline: BootClock.now() + claimPatience)) {
        case .state(let state, _): claim.objection(in: state, of: member).map(ClaimAnswer.superseded) ?? .holds
        case .failed(let failure): .unknown("\(failure)")
        case .outcome: .unknown("the agent gave no state")
        }
    }
}

extension HypervisorReadings {
    init(_ found: ProxmoxExamination) {
        self.init(version: found.version, hosts: found.hosts, isQuorate: found.isQuorate)
        (problem, missingPrivileges, managed) = (found.problem, found.missingPrivileges, found.managed)
        certificateExpires = found.certificateEnds.map { $0 * 1_000 }
        (hasQDevice, givesQDeviceVote) = (found.hasQDevice, found.givesQDeviceVote)
        watchdogProblem = found.watchdogProblem
    }
}

/// Carries out orders until the member stops.
struct HypervisorService: Service {
    let node: ProxmoxNode

    func run() async throws { await cancelWhenGracefulShutdown { await node.serve() } }
}

extension ProxmoxNode: HypervisorOrderTaker {}
