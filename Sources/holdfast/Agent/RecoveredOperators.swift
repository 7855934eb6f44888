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
    private func mark(of name: String) -> String { "\(path)/\(name).asked" }

    /// The agent may run as another user than root, who owns the data directory: what root makes here becomes that user's.
    func add(_ newcomer: OperatorRecord) throws {
        let owner = try FileManager.default.attributesOfItem(atPath: above).filter {
            $0.key == .ownerAccountID || $0.key == .groupOwnerAccountID
        }
        if !FileManager.default.fileExists(atPath: path) {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            try FileManager.default.setAttributes(owner, ofItemAtPath: path)
        }
        if wasAskedFor(newcomer.name) { try FileManager.default.removeItem(atPath: mark(of: newcomer.name)) }
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

    /// Written down before the admission is proposed, whose answer may be lost.
    func noteAskedFor(_ name: String) throws { try Data().write(to: URL(filePath: mark(of: name)), options: .atomic) }

    func wasAskedFor(_ name: String) -> Bool { FileManager.default.fileExists(atPath: mark(of: name)) }

    func remove(_ name: String) throws {
        try FileManager.default.removeItem(atPath: file(of: name))
        if wasAskedFor(name) { try FileManager.default.removeItem(atPath: mark(of: name)) }
    }
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
                if let words = try await settle(newcomer) { return words }
            }
            return nil
        } catch {
            return "\(folder.path) cannot be used: \(error)"
        }
    }

    /// One admission for each file: what was admitted may have been revoked since, and must not come back by a file that
    /// was left behind when the agent stopped between the two.
    private func settle(_ newcomer: OperatorRecord) async throws -> String? {
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1_000)
        guard newcomer.certificateExpires > milliseconds else {
            try folder.remove(newcomer.name)
            log.notice("\(newcomer.name) is not admitted: the certificate has expired; make another: context recover")
            return nil
        }
        switch await access.submit(.read(deadline: access.now() + .seconds(5))) {
        case .state(let state, _):
            guard let known = state.operators[newcomer.name],
                known.key == newcomer.key || folder.wasAskedFor(newcomer.name)
            else { break }
            try folder.remove(newcomer.name)
            log.notice("\(newcomer.name) was admitted before\(known.isRevoked ? ", and revoked since" : "")")
            return nil
        case .failed(let failure): return "\(newcomer.name) is not admitted yet: \(failure)"
        case .outcome: return "the agent answered a read with an outcome"
        }
        try folder.noteAskedFor(newcomer.name)
        let request = AgentRequest.propose(
            .admitOperator(newcomer), stamp: nil, actor: "member/\(member), context recover as root there",
            deadline: access.now() + .seconds(5))
        switch await access.submit(request) {
        case .outcome(let outcome) where outcome.succeeded:
            try folder.remove(newcomer.name)
            log.notice("\(newcomer.name) may act as \(newcomer.role.rawValue): root on \(member) made the context")
            return nil
        case .outcome(let outcome): return "\(newcomer.name) was not admitted: \(outcome.message)"
        case .failed(let failure): return "\(newcomer.name) is not admitted yet: \(failure)"
        case .state: return "the agent answered a proposal with a state"
        }
    }
}
