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

    /// What was found of a hypervisor.
    enum Found {
        /// There is none on this member.
        case none
        case driven(ProxmoxNode)
        /// There is one, and nothing is done with it until the agent is started anew. What `doctor` says of it.
        case refused(HypervisorReadings)

        var node: ProxmoxNode? { if case .driven(let node) = self { node } else { nil } }

        var examination: (@Sendable () async -> HypervisorReadings)? {
            switch self {
            case .none: nil
            case .driven(let node): { HypervisorReadings(await node.examine()) }
            case .refused(let readings): { readings }
            }
        }
    }

    /// The driver of this host's Proxmox. None is opened that could not see every machine of this host, or could not take a
    /// guest over: what it said of guests would not be so.
    static func open(record: MemberRecord, dataDirectory: String, loop: AgentLoop, log: Logger) -> Found {
        let file = "\(dataDirectory)/\(settingsFile)"
        guard record.kind == .host, FileManager.default.fileExists(atPath: file) else { return .none }
        let member = record.id
        do {
            let settings = try ProxmoxSettings(file: file, hostName: record.name)
            let outOfReach = settings.outOfReach()
            guard outOfReach.isEmpty else {
                log.error(
                    """
                    this host runs no guests until its agent is started anew: \(outOfReach.joined(separator: "; ")). \
                    As root: \(ProxmoxSettings.reachAdvice)
                    """)
                var readings = HypervisorReadings()
                (readings.outOfReach, readings.reachAdvice) = (outOfReach, ProxmoxSettings.reachAdvice)
                return .refused(readings)
            }
            return .driven(
                try ProxmoxNode(
                    settings, log: log,
                    declaration: { key in
                        guard case .state(let state, _) = await loop.submit(.readLocal) else { return nil }
                        return state.resources[key]?.declaration
                    },
                    claim: { await answer($0, of: member, through: loop) },
                    report: { loop.report($0) }, reportFence: { loop.report($0) }, watchdogStore: watchdogStore()))
        } catch {
            log.error("this host runs no guests until its agent is started anew: \(error)")
            var readings = HypervisorReadings()
            readings.problem = "\(error)"
            return .refused(readings)
        }
    }

    /// systemd's, where it is there.
    private static func watchdogStore() -> WatchdogStore? {
        guard let manager = ServiceManager.current else { return nil }
        return WatchdogStore(
            inherited: ServiceManager.kept(as: WatchdogStore.name),
            keep: { manager.keep($0, as: WatchdogStore.name) }, forget: { manager.forget(WatchdogStore.name) })
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
        (outOfReach, reachAdvice) = (found.outOfReach, ProxmoxSettings.reachAdvice)
        startedAtBoot = found.startedAtBoot
    }
}

/// Carries out orders until the member stops.
struct HypervisorService: Service {
    let node: ProxmoxNode

    func run() async throws { await cancelWhenGracefulShutdown { await node.serve() } }
}

extension ProxmoxNode: HypervisorOrderTaker {}
