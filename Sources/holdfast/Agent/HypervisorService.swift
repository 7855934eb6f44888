// The hypervisor of this host, when its agent is told how to reach one. A host without goes on as before: it votes, holds
// addresses, and runs no guests.

import Agent
import Cluster
import Foundation
import Kinds
import Logging
import Runtime
import ServiceLifecycle

#if HOLDFAST_PROXMOX
    import ProxmoxDriver

    enum Hypervisor {
        /// The file that says how to reach this host's Proxmox; its format stands at ProxmoxSettingsFile.
        static let settingsFile = "proxmox.json"

        /// The driver of this host's Proxmox; nil when there is none, or when its settings cannot be used, which is said.
        static func open(record: MemberRecord, dataDirectory: String, loop: AgentLoop, log: Logger) -> (
            any HypervisorOrderTaker
        )? {
            let file = "\(dataDirectory)/\(settingsFile)"
            guard record.kind == .host, FileManager.default.fileExists(atPath: file) else { return nil }
            do {
                let settings = try ProxmoxSettings(file: file, hostName: record.name)
                return try ProxmoxNode(
                    settings, log: log,
                    declaration: { key in
                        guard case .state(let state, _) = await loop.submit(.readLocal) else { return nil }
                        return state.resources[key]?.declaration
                    }, report: { loop.report($0) }, reportFence: { loop.report($0) })
            } catch {
                log.error("this host runs no guests until its agent is started anew: \(error)")
                return nil
            }
        }

        /// Carries out orders until the member stops; nil: there is none.
        static func service(_ taker: (any HypervisorOrderTaker)?) -> (any Service)? {
            (taker as? ProxmoxNode).map(HypervisorService.init)
        }
    }

    /// Carries out orders for guests until the member stops.
    struct HypervisorService: Service {
        let node: ProxmoxNode

        func run() async throws { await cancelWhenGracefulShutdown { await node.serve() } }
    }

    extension ProxmoxNode: HypervisorOrderTaker {}
#else
    /// This build has no driver of a hypervisor (see HOLDFAST_PROXMOX in Package.swift): its hosts run no guests.
    enum Hypervisor {
        static func open(
            record: MemberRecord, dataDirectory: String, loop: AgentLoop, log: Logger
        ) -> (any HypervisorOrderTaker)? { nil }

        static func service(_ taker: (any HypervisorOrderTaker)?) -> (any Service)? { nil }
    }
#endif
