// For an administrator whose context is lost: root on a host has the cluster's authority at hand, and with it signs a
// certificate. The host's agent has the new name admitted, which only a member can: the authority's key alone opens
// nothing, since a host that was removed has it too. The audit log shows what is done with it under its own name.

import API
import ArgumentParser
import Cluster
import Consensus
import Crypto
import Runtime
import X509

extension ContextCommand {
    struct Recover: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "recover",
            abstract: "On a host, as root: makes an administrator's context when all of them are lost.",
            discussion: """
                This host's agent has it admitted, at once when it runs and the cluster has a quorum, and otherwise as soon
                as that is so.
                The certificate is in a name of its own, recovered-..., so that no revocation of another name touches it and
                the audit log tells it apart. Make yourself a usual context with it, then revoke it:
                holdfast context add NAME --role admin, holdfast context revoke recovered-...
                """)

        @OptionGroup var place: DataDirectoryOption
        @Option(help: "Write the context to this new file instead of your own.") var file: String?

        func run() async throws {
            let identity: MemberIdentity
            do { identity = try IdentityFolder(dataDirectory: place.dataDir).load() } catch {
                throw CommandFailure(ExitStatus.error, "no context can be made here: \(error)")
            }
            guard let authority = identity.authority else {
                throw CommandFailure(
                    ExitStatus.error,
                    "\(identity.settings.name) is no host, and only hosts hold the cluster's authority",
                    next: "run it on a host")
            }
            var generator = SystemRandomNumberGenerator()
            let name = "recovered-" + hexadecimal(generator.next()).prefix(8)
            let key = P256.Signing.PrivateKey()
            let terminal = Terminal.current
            let path = file ?? ContextFile.path(terminal.environment)
            var contexts = try ContextFile.load(path: path, note: terminal.note)
            let cluster = ClusterNameFile(dataDirectory: place.dataDir).read() ?? identity.cluster.description
            let certificate = try authority.issue(operator: name, role: .admin, key: key.publicKey)
            let context = ClusterContext(
                name: "\(cluster)-\(name)",
                endpoints: [identity.settings.apiEndpoint.description]
                    + identity.settings.knownMembers.map(\.apiEndpoint).filter {
                        $0 != identity.settings.apiEndpoint.description
                    },
                authority: try ContextAuthorities.text(identity.trust),
                certificate: try certificate.serializeAsPEM().pemString,
                key: key.pemRepresentation)
            contexts.contexts.append(context)
            contexts.current = context.name
            try contexts.save(path: path)
            let waiting = RecoveredOperators(dataDirectory: place.dataDir)
            do {
                var newcomer = OperatorRecord(
                    name: name, role: .admin, key: ClusterTrust.pin(of: key.publicKey),
                    certificateExpires: Int64(certificate.notValidAfter.timeIntervalSince1970 * 1_000))
                newcomer.signedBy = authority.trust.pin
                try waiting.add(newcomer)
            } catch {
                throw CommandFailure(
                    ExitStatus.error, "\(waiting.path) cannot be written: \(error)", next: "run it as root on this host"
                )
            }
            guard try await isAdmitted(name, waiting) else {
                terminal.note(
                    "\(name) has its context \(context.name) in \(path), and is admitted as soon as the agent of this "
                        + "host runs and the cluster has a quorum; journalctl -u holdfast says what is missing")
                return
            }
            terminal.note("\(name) may act as admin; its context \(context.name) is in \(path) and is the current one")
            terminal.note("next: holdfast context add NAME --role admin, then holdfast context revoke \(name)")
        }

        /// Waits for the agent, which looks once a second.
        private func isAdmitted(_ name: String, _ waiting: RecoveredOperators) async throws -> Bool {
            for _ in 0..<80 {
                guard waiting.isWaiting(name) else { return true }
                try await Task.sleep(for: .milliseconds(100))
            }
            return false
        }
    }
}
