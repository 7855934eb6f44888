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

    /// The driver of this host's Proxmox; nil: nobody says that there is one, and no process before this one left a watchdog
    /// armed.
    static func open(record: MemberRecord, dataDirectory: String, loop: AgentLoop, log: Logger) -> HostDriver? {
        let file = "\(dataDirectory)/\(settingsFile)"
        let store = watchdogStore()
        guard record.kind == .host, FileManager.default.fileExists(atPath: file) || store?.inherited != nil else {
            return nil
        }
        let member = record.id
        return HostDriver(
            settings: { try ProxmoxSettings(file: file, hostName: record.name) }, log: log,
            declaration: { key in
                guard case .state(let state, _) = await loop.submit(.readLocal) else { return nil }
                return state.resources[key]?.declaration
            },
            claim: { await answer($0, of: member, through: loop) },
            report: { loop.report($0) }, reportFence: { loop.report($0) }, watchdogStore: store)
    }

    /// What `doctor` says of it.
    static func examination(
        of driver: HostDriver?, member: String, loop: AgentLoop
    ) -> (@Sendable () async -> HypervisorReadings)? {
        guard let driver else { return nil }
        return {
            var readings = await readings(of: driver)
            if case .state(let state, _) = await loop.submit(.readLocal) {
                readings.witnesses = await WitnessPlace(member: member, hypervisor: driver)
                    .witnessesHere(state.members.values)
            }
            return readings
        }
    }

    private static func readings(of driver: HostDriver) async -> HypervisorReadings {
        if let found = await driver.examine() { return HypervisorReadings(found) }
        var readings = HypervisorReadings()
        if let refusal = driver.refusal {
            (readings.problem, readings.outOfReach) = (refusal.problem, refusal.outOfReach)
            readings.reachAdvice = ProxmoxSettings.reachAdvice
        }
        return readings
    }

    /// systemd's, where it is there.
    private static func watchdogStore() -> WatchdogStore? {
        guard let manager = ServiceManager.current else { return nil }
        let kept = ServiceManager.kept(where: WatchdogStore.isName)
        return WatchdogStore(
            inherited: kept.map { WatchdogStore.Kept($0.descriptor, as: $0.name) },
            keep: { manager.keep($0, as: $1) }, forget: { manager.forget($0) })
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
        (corosyncPause, watchdogProblem) = (found.corosyncPause, found.watchdogProblem)
        (corosyncToken, corosyncConsensus) = (found.corosyncToken, found.corosyncConsensus)
        (outOfReach, reachAdvice) = (found.outOfReach, ProxmoxSettings.reachAdvice)
        startedAtBoot = found.startedAtBoot
    }
}

/// Carries out orders until the member stops.
struct HypervisorService: Service {
    let driver: HostDriver

    func run() async throws { await cancelWhenGracefulShutdown { await driver.serve() } }
}

extension HostDriver: HypervisorOrderTaker {}
