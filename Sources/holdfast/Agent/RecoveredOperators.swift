// Administrators whom root made on this host with `context recover`, because every context was lost: they wait in a folder
// beside the member's identity until this member, which belongs to the cluster, has asked for their admission. Having the
// authority's key is not enough for that: a host that was removed has it too.

import Agent
import Cluster
import Consensus
import FoundationEssentials
import Logging
import Runtime
import ServiceLifecycle

/// The folder with one file for each who waits: name, role and the name of the key, nothing secret.
struct RecoveredOperators: Sendable {
    let path: String
    private let above: String

    init(dataDirectory: String) {
        above = dataDirectory
        path = dataDirectory + "/recovered"
    }

    private func file(of name: String) -> String { "\(path)/\(name).json" }

    /// The agent may run as another user than root, who owns the data directory: what root makes here becomes that user's.
    func add(_ newcomer: OperatorRecord) throws {
        let owner = try FileManager.default.attributesOfItem(atPath: above).filter {
            $0.key == .ownerAccountID || $0.key == .groupOwnerAccountID
        }
        if !FileManager.default.fileExists(atPath: path) {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            try FileManager.default.setAttributes(owner, ofItemAtPath: path)
        }
        try JSONEncoder().encode(newcomer).write(to: URL(filePath: file(of: newcomer.name)), options: .atomic)
        try FileManager.default.setAttributes(owner, ofItemAtPath: file(of: newcomer.name))
    }

    /// Those who wait, by name.
    /// - Throws: when a file is there and says no operator.
    func waiting() throws -> [OperatorRecord] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".json") }.sorted()
            .compactMap { FileManager.default.contents(atPath: "\(path)/\($0)") }
            .map { try JSONDecoder().decode(OperatorRecord.self, from: $0) }
    }

    func isWaiting(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(of: name)) }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: file(of: name)) }
}

/// Has them admitted, as soon as the cluster takes commands.
struct RecoveredOperatorsService: Service {
    let folder: RecoveredOperators
    let member: String
    let access: any AgentAccess
    let log: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var said = ""
            while !Task.isCancelled {
                let words = await look() ?? ""
                if words != said { log.warning("a recovered context waits: \(words)") }
                said = words
                // Only the end of the member cuts a pause short.
                do { try await Task.sleep(for: .seconds(1)) } catch { return }
            }
        }
    }

    /// Returns why somebody still waits.
    func look() async -> String? {
        do {
            for newcomer in try folder.waiting() {
                let request = AgentRequest.propose(
                    .admitOperator(newcomer), stamp: nil, actor: "member/\(member), context recover as root there",
                    deadline: access.now() + .seconds(5))
                switch await access.submit(request) {
                case .outcome(let outcome) where outcome.succeeded:
                    try folder.remove(newcomer.name)
                    log.notice(
                        "\(newcomer.name) may act as \(newcomer.role.rawValue): root on \(member) made the context")
                case .outcome(let outcome): return "\(newcomer.name) was not admitted: \(outcome.message)"
                case .failed(let failure): return "\(newcomer.name) is not admitted yet: \(failure)"
                case .state: return "the agent answered a proposal with a state"
                }
            }
            return nil
        } catch {
            return "\(folder.path) cannot be used: \(error)"
        }
    }
}
