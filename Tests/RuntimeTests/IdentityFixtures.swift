// Members, folders and ledgers for the tests of identity and peer connections.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import Glibc
import Logging
import NIOCore
import Synchronization
import X509

@testable import Runtime

/// A cluster of one founder, and a way to make more members of it.
struct TestCluster {
    let founder: MemberIdentity
    var authority: ClusterAuthority { founder.authority! }

    init() throws {
        // The authority is old enough to have issued certificates that have expired.
        let authority = try ClusterAuthority.create(
            cluster: ClusterID(rawValue: UInt64.random(in: 1 ... .max)), now: Date() - 300 * 86_400)
        let key = P256.Signing.PrivateKey()
        let id = MemberID(publicKey: key.publicKey)
        founder = try MemberIdentity(
            settings: MemberSettings(
                cluster: authority.trust.cluster, member: id, name: "pve1", kind: .host, address: "127.0.0.1",
                peerPort: 1, apiPort: 2, initialVoters: [id]),
            key: key, certificate: authority.issue(member: "pve1", key: key.publicKey), trust: authority.trust,
            authority: authority)
    }

    /// A member with a certificate of the cluster's authority, issued at `issued`.
    func member(
        _ name: String, kind: MemberKind = .host, issued: Date = Date(), withAuthority: Bool = false
    ) throws -> MemberIdentity {
        let key = P256.Signing.PrivateKey()
        let settings = MemberSettings(
            cluster: founder.cluster, member: MemberID(publicKey: key.publicKey), name: name, kind: kind,
            host: kind == .guest ? "pve1" : "", address: "127.0.0.1", peerPort: 1, apiPort: 2)
        return try MemberIdentity(
            settings: settings, key: key,
            certificate: authority.issue(member: name, key: key.publicKey, now: issued), trust: founder.trust,
            authority: withAuthority ? authority : nil)
    }
}

/// A folder of its own below the temporary folder, removed at the end.
final class TemporaryFolder {
    let path: String

    init() {
        path = "/tmp/holdfast-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        mkdir(path, 0o700)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func text(of file: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: "\(path)/\(file)")), as: UTF8.self)
    }

    func write(_ text: String, to file: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(file)"))
    }

    func mode(of file: String) -> UInt32 {
        var status = stat()
        return stat("\(path)/\(file)", &status) == 0 ? status.st_mode & 0o7777 : 0
    }
}

/// What happened, in order, and a way to wait for it.
final class Ledger<Item: Sendable>: Sendable {
    private struct Waiter: Sendable {
        let number: Int
        let matches: @Sendable (Item) -> Bool
        let continuation: CheckedContinuation<Item, any Error>
    }
    private struct State: Sendable {
        var items: [Item] = []
        var waiters: [Waiter] = []
        var lastNumber = 0
        /// Waits that were given up before they began.
        var cancelled: Set<Int> = []
    }
    private let state = Mutex(State())

    var items: [Item] { state.withLock { $0.items } }

    func add(_ item: Item) {
        let ready = state.withLock { state in
            state.items.append(item)
            let matching = state.waiters.filter { $0.matches(item) }
            state.waiters.removeAll { $0.matches(item) }
            return matching
        }
        for waiter in ready { waiter.continuation.resume(returning: item) }
    }

    /// The first item from position `from` on that matches, when there is one. Bounded by the test's time limit.
    /// - Throws: `CancellationError` when the time limit has ended the test.
    func first(from: Int = 0, where matches: @escaping @Sendable (Item) -> Bool) async throws -> Item {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let present: Result<Item, any Error>? = state.withLock { state in
                    if let item = state.items.dropFirst(from).first(where: matches) { return .success(item) }
                    if state.cancelled.remove(number) != nil { return .failure(CancellationError()) }
                    state.waiters.append(Waiter(number: number, matches: matches, continuation: continuation))
                    return nil
                }
                if let present { continuation.resume(with: present) }
            }
        } onCancel: {
            let given = state.withLock { state -> Waiter? in
                guard let place = state.waiters.firstIndex(where: { $0.number == number }) else {
                    state.cancelled.insert(number)
                    return nil
                }
                return state.waiters.remove(at: place)
            }
            given?.continuation.resume(throwing: CancellationError())
        }
    }
}

extension Ledger where Item == String {
    /// Waits for a line that has all of these words.
    func line(from: Int = 0, _ words: String...) async throws -> String {
        try await first(from: from) { line in words.allSatisfy { line.contains($0) } }
    }
}

/// Log lines into a ledger: message, then metadata in order.
struct LedgerLog: LogHandler {
    let ledger: Ledger<String>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        ledger.add("\(event.message) \(facts.joined(separator: " "))")
    }
}
