// People: making and taking away their certificates. A key is made here and never leaves this machine; only what it
// signed goes to the cluster.

import API
import ArgumentParser
import Cluster
import Crypto
import Decisions
import Runtime
import X509

extension OperatorRole: ExpressibleByArgument {}

extension ContextCommand {
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add",
            abstract: "Makes a certificate for a person, and a context that uses it. Needs an admin.",
            discussion: """
                The context is added to your own, or with --file written to a file of its own, which its owner uses with
                HOLDFAST_CONFIG or copies to ~/.config/holdfast/config.yaml. The same name again gets a new certificate,
                and the one before counts no more.
                """)

        @Argument(help: "The person's name; a-z, 0-9 and hyphen.") var name: String
        @Option(help: "viewer (reads), operator (declares and moves) or admin (everything).") var role: OperatorRole
        @Option(help: "Write the context to this new file instead.") var file: String?
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            guard isValidName(name) else {
                throw CommandFailure(
                    ExitStatus.error, "\(name.debugDescription) is no name: 1 to 63 of a-z, 0-9 and hyphen")
            }
            let key = P256.Signing.PrivateKey()
            let csr = try SigningRequest.make(name: name, key: key)
            let (context, expires) = try await connection.withClient { client, limit in
                let answer = try await client.admit(OperatorRequest(name: name, role: role, csr: csr), within: limit)
                var context = client.context
                context.name = file == nil ? "\(client.context.name)-\(name)" : client.context.name
                context.certificate = answer.certificate
                context.key = key.pemRepresentation
                return (context, answer.expires)
            }
            let terminal = Terminal.current
            let path = file ?? ContextFile.path(terminal.environment)
            var contexts = try ContextFile.load(path: path, note: terminal.note)
            contexts.contexts.removeAll { $0.name == context.name }
            contexts.contexts.append(context)
            if file != nil { contexts.current = context.name }
            try contexts.save(path: path)
            terminal.note("\(name) may act as \(role.rawValue) until \(timestamp(milliseconds: expires))")
            terminal.note("context \(context.name) is in \(path), with a private key: for \(name) alone")
        }
    }

    struct Renew: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "renew",
            abstract: "A new key and certificate for the context in use; the old ones count no more."
        )

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let terminal = Terminal.current
            let key = P256.Signing.PrivateKey()
            let csr = try SigningRequest.make(name: "renewal", key: key)
            let (context, expires) = try await connection.withClient(keepsUp: false) { client, limit in
                let answer = try await client.renewOwn(OperatorRenewal(csr: csr), within: limit)
                var context = client.context
                context.certificate = answer.certificate
                context.key = key.pemRepresentation
                return (context, answer.expires)
            }
            let path = ContextFile.path(terminal.environment)
            var contexts = try ContextFile.load(path: path, note: terminal.note)
            guard let position = contexts.contexts.firstIndex(where: { $0.name == context.name }) else {
                throw CommandFailure(ExitStatus.error, "context \(context.name) has gone from \(path) meanwhile")
            }
            contexts.contexts[position].certificate = context.certificate
            contexts.contexts[position].key = context.key
            try contexts.save(path: path)
            terminal.note(
                "the certificate of context \(context.name) is good until \(timestamp(milliseconds: expires))")
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke",
            abstract: "Takes a person's rights away, at once and on every member. Needs an admin.")

        @Argument(help: "The person's name.") var name: String
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try Terminal.current.confirm("Revoke the certificate of \(name)?", unless: yes || rehearsal.dryRun)
            output.show(
                try await connection.withClient(dryRun: rehearsal.dryRun) { client, limit in
                    try await client.revoke(RevokeRequest(name: name), within: limit)
                })
        }
    }

    struct Operators: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "operators", abstract: "Who has a certificate of this cluster, and who had one.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var read: ReadOptions

        func run() async throws {
            let answer = try await connection.withClient { client, limit in
                try await client.operators(read.consistency, within: limit)
            }
            read.noteAge(answer.read)
            let clock = Terminal.current.clock
            output.show(answer.operators, name: { answer.operators.map(\.name).joined(separator: "\n") }) { _ in
                var table = Table(["NAME", "ROLE", "STATE", "SINCE", "CERTIFICATE ENDS"])
                for known in answer.operators {
                    table.add([
                        known.name, known.role.rawValue, known.isRevoked ? "revoked" : "admitted",
                        clock.text(known.changedMilliseconds),
                        known.certificateExpires == .max ? "-" : clock.text(known.certificateExpires),
                    ])
                }
                return table.lines().joined(separator: "\n")
            }
        }
    }
}

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Who asked for what, when, and what became of it; oldest first.",
        discussion: """
            Kept in the replicated state, the newest thousand. Without writes to the small store (holdfast kv), which are
            data, and without requests that were turned away at the door: those are in the log and the metrics of the
            member that turned them away.
            """)

    @Option(help: "Only what this person asked for.") var who: String?
    @Option(help: "Only those after the entry with this id.") var after: UInt64?
    @Option(help: "Show the last so many.") var last: Int = 100
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions

    func run() async throws {
        let answer = try await connection.withClient { client, limit in
            try await client.audit(after: after ?? 0, read.consistency, within: limit)
        }
        read.noteAge(answer.read)
        let wanted = Array(answer.entries.filter { who == nil || $0.who == who }.suffix(max(0, last)))
        let clock = Terminal.current.clock
        output.show(wanted, name: { wanted.map { String($0.id) }.joined(separator: "\n") }) { wide in
            var table = Table(
                (wide ? ["ID", "REVISION"] : []) + ["TIME", "WHO", "ROLE", "WHAT", "OUTCOME", "REASON"])
            for entry in wanted {
                let outcome =
                    entry.outcome == .done || entry.message.isEmpty
                    ? entry.outcome.rawValue : "\(entry.outcome.rawValue): \(entry.message)"
                table.add(
                    (wide ? [String(entry.id), String(entry.revision)] : []) + [
                        clock.text(entry.milliseconds), entry.who, entry.role.rawValue, entry.what, outcome,
                        entry.reason ?? "",
                    ])
            }
            return table.lines().joined(separator: "\n")
        }
    }
}

/// The age of the certificate in a context.
enum ContextCertificate {
    /// What to tell the person; nil when there is nothing to tell.
    static func warning(_ context: ClusterContext, now: Int64) -> String? {
        guard let certificate = try? Certificate(pemEncoded: context.certificate) else { return nil }
        let ends = Int64(certificate.notValidAfter.timeIntervalSince1970 * 1000)
        switch CertificateStanding(ends: ends, now: now) {
        case .good: return nil
        case .endsSoon:
            return "holdfast: the certificate of context \(context.name) ends in \((ends - now) / 86_400_000) days; "
                + "try: holdfast context renew"
        case .ended:
            return "holdfast: the certificate of context \(context.name) ended at \(timestamp(milliseconds: ends)); "
                + "try: another admin's holdfast context add NAME --role ROLE"
        }
    }
}
