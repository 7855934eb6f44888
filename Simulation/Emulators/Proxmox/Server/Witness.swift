// The quorum device as a program: qnetd's one question and answer over HTTPS, and the hosts' side of it.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix

/// A running quorum device.
public actor WitnessProcess {
    private var witness: QuorumWitness
    private let listener: HTTPSListener
    private let clock = ContinuousClock()
    private let begin: ContinuousClock.Instant
    public nonisolated let port: Int

    /// - Parameter wordMilliseconds: how long a node's word is good.
    public init(listen: PeerAddress, wordMilliseconds: Int64 = 5_000) async throws {
        witness = QuorumWitness(wordMilliseconds: wordMilliseconds)
        let node = Node(name: "witness", id: 0, address: listen.host)
        listener = try await HTTPSListener.open(
            host: listen.host, port: listen.port, certificate: ServerCertificate(node: node),
            group: MultiThreadedEventLoopGroup.singleton)
        port = listener.port
        begin = clock.now
    }

    /// Answers until the task is cancelled.
    public func run() async throws { try await listener.run { await self.answer($0) } }

    private func answer(_ wire: WireRequest) -> WireResponse {
        guard let word = try? JSON(text: String(decoding: wire.body, as: UTF8.self)), let node = word["node"]?.integer
        else { return WireResponse(status: 400, reason: "no word") }
        let sees = (word["sees"]?.array ?? []).compactMap(\.integer)
        let passed = begin.duration(to: clock.now)
        let now = Moment(
            milliseconds: passed.components.seconds * 1_000 + passed.components.attoseconds / 1_000_000_000_000_000)
        let votes = witness.report(node: node, sees: sees, now: now)
        let body: JSON = ["vote": .flag(votes)]
        return WireResponse(status: 200, reason: "OK", body: Array(body.serialized.utf8))
    }
}

extension PeerClient {
    /// - Returns: whether this node's partition has the vote; nil when the device does not answer.
    func askWitness(_ witness: PeerAddress, node: Int, sees: [Int]) async -> Bool? {
        let word: JSON = ["node": .integer(node), "sees": .array(sees.map(JSON.integer))]
        guard let text = await post(word.serialized, to: witness, path: "/qnetd", within: .seconds(2)) else {
            return nil
        }
        return (try? JSON(text: text))?["vote"]?.integer == 1
    }
}
