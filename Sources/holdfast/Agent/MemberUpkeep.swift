// What this member says of its own program, and how it restarts: it gives everything away, ends, and whatever started it
// starts it again, from what is installed by then.

import API
import Consensus
import Drivers
import ProxmoxDriver
import Runtime

extension APIServer.Upkeep {
    /// - Parameters:
    ///   - program: taken down when the process started; nil when the system did not tell.
    ///   - run: names this run of the agent.
    ///   - isSupervised: whether the agent was told that something else than systemd starts it again.
    static func of(
        member: @escaping @Sendable () -> String, run: UInt64, program: InstalledProgram?, isSupervised: Bool,
        loop: AgentLoop, hypervisor: HostDriver?
    ) -> APIServer.Upkeep {
        let supervised = isSupervised || ServiceManager.current != nil
        var restartTrouble: (@Sendable () async -> String?)?
        if let hypervisor { restartTrouble = { await hypervisor.restartTrouble() } }
        return APIServer.Upkeep(
            isSupervised: supervised,
            installed: {
                var document = InstalledDocument(
                    member: member(), run: hexadecimal(run), running: Version.current, installed: nil, problem: nil,
                    isSupervised: supervised)
                switch await program?.version() {
                case .version(let version)?: document.installed = version
                case .unknown(let why)?: document.problem = why
                case nil: document.problem = "the system did not tell which file the agent was started from"
                }
                return document
            },
            restart: { loop.stop() },
            restartTrouble: restartTrouble)
    }
}
