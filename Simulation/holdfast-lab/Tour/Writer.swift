// A person who writes values while the lab is disturbed, through whichever peer answers, and remembers which writes were
// acknowledged. What was acknowledged must be there afterwards, on every member.

import ArgumentParser
import CKernel
import FoundationEssentials
import Glibc

/// What a writer tells.
struct WriterEvent: Codable, Equatable {
    /// An acknowledged write.
    var key: String?
    var value: String?
    /// At the end: how many writes were tried.
    var attempted: Int?
}

/// The writer itself, started inside the lab. Not for people.
struct WriterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "writer", shouldDisplay: false)

    @Option var holdfast: String
    @Option var endpoints: String
    @Option var prefix: String
    /// Between the starts of two writes; each is a process and a TLS handshake.
    @Option var everyMilliseconds = 100
    @Option var most = 1_000

    func run() throws {
        var attempted = 0
        while attempted < most {
            let next = Deadline.after(milliseconds: everyMilliseconds)
            attempted += 1
            let number = String(attempted)
            let key = prefix + String(repeating: "0", count: max(0, 4 - number.count)) + number
            let value = "written-\(attempted)"
            var command = Command([holdfast, "kv", "put", key, value, "--endpoints", endpoints, "--timeout", "2s"])
            command.deadlineMilliseconds = 5_000
            if try command.run().succeeded { print(try jsonLine(WriterEvent(key: key, value: value))) }
            let ended = waitReadable([STDIN_FILENO], until: next)
            if !ended.isEmpty, readAvailable(STDIN_FILENO) == nil { break }
        }
        print(try jsonLine(WriterEvent(attempted: attempted)))
    }
}

/// A writer on a leash.
final class Writer {
    private let instrument: Instrument<WriterEvent>
    private let holdfast: HoldfastClient
    private let prefix: String
    private(set) var acknowledged: [String: String] = [:]
    private(set) var attempted = 0

    init(_ holdfast: HoldfastClient, prefix: String) throws {
        self.holdfast = holdfast
        self.prefix = prefix
        setenv("HOLDFAST_CONFIG", holdfast.client.directory.context, 1)
        instrument = try Instrument(
            try holdfast.client.inside(
                "client",
                [
                    try Executables.own(), "writer", "--holdfast", holdfast.binary, "--endpoints", holdfast.endpoints(),
                    "--prefix", prefix,
                ]))
    }

    /// Waits until `count` further writes are acknowledged.
    func waitForWrites(_ count: Int, seconds: Int) throws {
        let wanted = acknowledged.count + count
        let deadline = Deadline.after(milliseconds: seconds * 1000)
        while acknowledged.count < wanted {
            guard let event = try instrument.next(until: deadline) else {
                throw LabError.timedOut("\(count) acknowledged writes did not happen within \(seconds) s")
            }
            take(event)
        }
    }

    /// Stops writing.
    func finish() throws {
        instrument.letGo()
        let deadline = Deadline.after(milliseconds: 30_000)
        while attempted == 0 {
            guard let event = try instrument.next(until: deadline) else {
                throw LabError.timedOut("the writer did not stop within 30 s")
            }
            take(event)
        }
    }

    private func take(_ event: WriterEvent) {
        if let key = event.key, let value = event.value { acknowledged[key] = value }
        if let count = event.attempted { attempted = count }
    }

    /// The acknowledged writes that `member` cannot read back.
    func lost(on member: Node) throws -> [String] {
        struct Item: Decodable {
            var key: String
            var value: String
        }
        let text = try holdfast.output(["kv", "list", prefix, "-o", "json"], via: member.name, timeoutSeconds: 10)
        let items: [Item]
        do { items = try JSONDecoder().decode([Item].self, from: Data(text.utf8)) } catch {
            throw LabError("holdfast kv list -o json: not what was agreed on: \(error)")
        }
        let found = Dictionary(items.map { ($0.key, $0.value) }) { first, _ in first }
        return acknowledged.filter { found[$0.key] != $0.value }.map(\.key).sorted()
    }
}
