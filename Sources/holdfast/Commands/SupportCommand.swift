// `support`: what somebody who helps needs to see, in one tar file, and nothing that opens anything: no key, no
// certificate request, no token, no stored value, and nothing under a name that sounds like a secret.

import API
import ArgumentParser
import Cluster
import Consensus
import FoundationEssentials

struct SupportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "support",
        abstract: "Writes state, events, audit log, measurements and findings into one tar file.",
        discussion: """
            Without keys, tokens and stored values. Resources are in it with their specs, where whatever sounds like a
            secret is taken out; look it through before you give it away: tar -tf FILE
            """,
        subcommands: [SupportLogCommand.self])

    @Option(name: .long, help: "The file to write; it must not exist.") var file = "holdfast-support.tar"
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let terminal = Terminal.current
        guard !FileManager.default.fileExists(atPath: file) else {
            throw CommandFailure(ExitStatus.error, "\(file) exists", next: "--file with another name")
        }
        let parts = try await connection.withClient { client, limit in try await Self.collect(client, limit) }
        var archive = TarArchive()
        for (name, text) in parts { archive.add(name, Array(text.utf8), seconds: terminal.clock.now() / 1000) }
        do {
            try Data(archive.finished).write(to: URL(filePath: file), options: .withoutOverwriting)
        } catch {
            throw CommandFailure(ExitStatus.error, "\(file) cannot be written: \(error)")
        }
        terminal.note("\(parts.count) parts are in \(file); look them through before you give them away")
    }

    /// Everything that could be had; what could not is said in its place.
    static func collect(_ client: HoldfastClient, _ limit: Duration) async throws -> [(String, String)] {
        var parts: [(String, String)] = [("version.txt", "holdfast \(Version.current)\n")]
        func part(_ name: String, _ get: () async throws -> any Encodable) async {
            do {
                let bytes = try CanonicalJSON.encode(try await get())
                let value = try CanonicalJSON.decode(JSONValue.self, from: bytes)
                parts.append((name + ".json", Encoded.json(Redaction.redacted(value)) + "\n"))
            } catch {
                let words = (error as? CommandFailure)?.text ?? "\(error)"
                parts.append((name + ".missing.txt", Redaction.redacted(words) + "\n"))
            }
        }
        await part("status") { try await client.status(.local, within: limit) }
        await part("members") { try await client.members(.local, within: limit) }
        await part("resources") { try await client.resources(ofKind: nil, .local, within: limit) }
        await part("events") { try await client.events(after: 0, .local, within: limit) }
        await part("audit") { try await client.audit(after: 0, .local, within: limit) }
        await part("operators") { try await client.operators(.local, within: limit) }
        await part("revisions") { try await client.revisions(.local, within: limit) }
        await part("context") {
            ["name": client.context.name, "endpoints": client.context.places.joined(separator: ",")]
        }
        let members = (try? await client.members(.local, within: limit).members) ?? []
        let words = try await EveryMember.ask(members, client.context, within: limit)
        await part("measurements") { words.compactMap(\.readings) }
        await part("findings") { words.flatMap { DoctorCommand.judge($0) } }
        return parts
    }
}

/// Takes secrets out of what is shown to others.
enum Redaction {
    static let mark = "(taken out)"
    private static let suspicious = [
        "secret", "password", "passphrase", "token", "private", "credential", "apikey", "csr",
    ]

    static func redacted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let fields):
            var kept: SortedMap<String, JSONValue> = [:]
            for (name, field) in fields.pairs {
                let bare = name.lowercased().filter { $0 != "-" && $0 != "_" }
                let isSecret = suspicious.contains { bare.contains($0) } || bare == "key" && field.string != nil
                kept[name] = isSecret ? .string(mark) : redacted(field)
            }
            return .object(kept)
        case .array(let items): return .array(items.map(redacted))
        case .string(let text): return .string(redacted(text))
        case .null, .bool, .int, .double: return value
        }
    }

    /// Texts are kept but for keys, certificates and join tokens in them.
    static func redacted(_ text: String) -> String {
        guard !text.contains("-----BEGIN") else { return mark }
        guard text.contains("hf1.") else { return text }
        return text.split(separator: " ", omittingEmptySubsequences: false)
            .map { $0.contains("hf1.") ? mark : String($0) }.joined(separator: " ")
    }
}

/// A tar file in memory (POSIX.1-1988 ustar), of plain files.
struct TarArchive {
    private var bytes: [UInt8] = []

    /// - Parameter name: at most 100 bytes.
    mutating func add(_ name: String, _ contents: [UInt8], seconds: Int64) {
        precondition(name.utf8.count <= 100, "a ustar name has at most 100 bytes")
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        func octal(_ number: Int64, digits: Int) -> String {
            let text = String(max(0, number), radix: 8)
            return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
        }
        put(name, at: 0)
        put("0000600", at: 100)
        put("0000000", at: 108)
        put("0000000", at: 116)
        put(octal(Int64(contents.count), digits: 11), at: 124)
        put(octal(seconds, digits: 11), at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar\u{0}00", at: 257)
        let sum = header.reduce(0) { $0 + Int64($1) }
        put(octal(sum, digits: 6) + "\u{0} ", at: 148)
        bytes += header + contents
        bytes += [UInt8](repeating: 0, count: (512 - contents.count % 512) % 512)
    }

    /// With the two empty blocks that end it.
    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1_024) }
}
