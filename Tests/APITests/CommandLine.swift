// Runs one command line of the program as a person would, against a server, and keeps what it printed.

import Foundation
import Synchronization

@testable import holdfast

struct CommandResult: Sendable {
    var status: Int32
    var output: String
    var notes: String
}

/// What a command printed, in the order it did.
private final class Transcript: Sendable {
    let output = Mutex("")
    let notes = Mutex("")
}

/// A folder with a context file for the server.
struct Person: Sendable {
    let folder: String
    var configuration: String { folder + "/config.yaml" }

    /// - Parameter endpoints: the server's own when nil.
    static func make(_ server: TestServer, as credential: Credential, endpoints: [String]? = nil) throws -> Person {
        try make(
            ContextFile(
                current: "home",
                contexts: [
                    ClusterContext(
                        name: "home", endpoints: endpoints ?? ["127.0.0.1:\(server.port)"],
                        authority: server.lab.authorityPEM, certificate: credential.certificate, key: credential.key)
                ]))
    }

    static func make(_ file: ContextFile?) throws -> Person {
        let folder = FileManager.default.temporaryDirectory.path + "/holdfast-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let person = Person(folder: folder)
        try file?.save(path: person.configuration)
        return person
    }

    func forget() { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ text: String, to name: String) throws -> String {
        let path = folder + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// - Parameter answer: what is typed at a question; nil: no terminal to ask at.
    /// - Parameter leastLimit: what `$HOLDFAST_TIMEOUT` says. Long enough for a machine that has much else to do; no test
    ///   waits for it to pass.
    func run(
        _ arguments: String..., input: String = "", answer: String? = nil, leastLimit: String = "50s"
    ) async -> CommandResult {
        await run(arguments, input: input, answer: answer, leastLimit: leastLimit)
    }

    func run(
        _ arguments: [String], input: String = "", answer: String? = nil, leastLimit: String = "50s"
    ) async -> CommandResult {
        let transcript = Transcript()
        let configuration = configuration
        let terminal = Terminal(
            write: { text in transcript.output.withLock { $0 += text } },
            note: { text in transcript.notes.withLock { $0 += text + "\n" } },
            ask: { question in
                guard answer != nil else { return nil }
                transcript.notes.withLock { $0 += question + "\n" }
                return answer
            },
            standardInput: { Array(input.utf8) }, colour: false,
            environment: { ["HOLDFAST_CONFIG": configuration, "HOLDFAST_TIMEOUT": leastLimit][$0] },
            clock: WallClock(now: { InMemoryAgent.wallClock + 90_000 }, offset: { _ in 0 }))
        let status = await Terminal.$current.withValue(terminal) { await Holdfast.run(arguments) }
        return CommandResult(
            status: status, output: transcript.output.withLock { $0 }, notes: transcript.notes.withLock { $0 })
    }
}
