// `holdfast cluster init`: founds a cluster on this machine. It makes the cluster's authority, this host's identity and
// an administrator's context; it starts nothing and asks nobody.

import ArgumentParser
import Cluster
import Crypto
import FoundationEssentials
import Runtime
import X509

struct ClusterInit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Found a cluster on this host.",
        discussion: """
            Writes this host's identity and the cluster's authority to the data directory, and an administrator's context
            to $HOLDFAST_CONFIG (or ~/.config/holdfast/config.yaml). Then start the agent: holdfast agent --data-dir DIR

            With --from-backup the new cluster begins with what was declared and stored in the one the backup was taken of.
            It has an identity of its own: the old members and contexts are strangers to it. The old cluster must be gone,
            or both hold the same addresses.
            """)

    @Option(help: "What the cluster is called; with --from-backup as before unless it is said.")
    var name: String?

    @Option(help: "Begin with the state in this backup.")
    var fromBackup: String?

    @OptionGroup var secret: BackupKeyOptions

    @OptionGroup var place: DataDirectoryOption

    @Option(help: "This host's name in the cluster; a-z, 0-9 and hyphen.")
    var member: String

    @Option(help: "The first member is always a host.")
    var kind: String = MemberKind.host.rawValue

    @Option(help: "This host's own address, where the others reach it.")
    var address: String

    @Option(help: "Port for the other members.")
    var peerPort: Int = 7_400

    @Option(help: "Port for the CLI and for machines that join.")
    var apiPort: Int = 7_443

    @Option(help: "Name of the administrator whose context is written.")
    var admin: String = "admin"

    func run() async throws {
        guard kind == MemberKind.host.rawValue else {
            throw CommandFailure(
                ExitStatus.error, "a cluster is founded by a host, not by a \(kind)", next: "--kind host")
        }
        let opened = try readBackup()
        let restored = opened?.state
        guard let name = name ?? restored?.clusterName else {
            throw CommandFailure(ExitStatus.error, "the cluster needs a name", next: "--name home")
        }
        guard isValidName(name) else {
            throw CommandFailure(
                ExitStatus.error, "\(name.debugDescription) is not a cluster name: 1 to 63 of a-z, 0-9 and hyphen")
        }
        let folder = IdentityFolder(dataDirectory: place.dataDir)
        let identity: MemberIdentity
        do {
            identity = try MemberIdentity.found(
                name: member, address: address, peerPort: peerPort, apiPort: apiPort,
                secrets: opened?.secrets ?? SecretsKey())
            // The identity is complete only when what it begins with is there.
            if let restored { try await begin(identity, with: restored, folder) }
            try folder.create(identity)
            try ClusterNameFile(dataDirectory: place.dataDir).write(name)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(ExitStatus.error, "the cluster was not founded: \(error)")
        }
        let (context, founder) = try firstAdministrator(identity, cluster: name)
        do { try FounderFile(dataDirectory: place.dataDir).write(founder) } catch {
            throw CommandFailure(ExitStatus.error, "the cluster was not founded: \(error)")
        }
        let path = try add(context)
        let terminal = Terminal.current
        terminal.note("cluster \(name) (\(identity.cluster)) founded; \(admin)'s context is in \(path)")
        if let restored { tell(restored) }
        terminal.note("next: holdfast agent --data-dir \(place.dataDir)")
    }

    private func readBackup() throws -> (state: ClusterState, secrets: SecretsKey?)? {
        guard let fromBackup else { return nil }
        let key = try secret.key()
        return try BackupText.failing {
            let backup = try BackupFile.open(BackupFile.read(fromBackup), with: key)
            return (try backup.state(), backup.manifest.secretsKey.flatMap { SecretsKey(raw: Array($0)) })
        }
    }

    private func begin(_ identity: MemberIdentity, with state: ClusterState, _ folder: IdentityFolder) async throws {
        guard !folder.isComplete else {
            throw CommandFailure(
                ExitStatus.error, "this machine is a member already: \(place.dataDir) holds an identity",
                next: "choose another --data-dir, or remove the member and empty \(place.dataDir)")
        }
        try folder.makeReady()
        let words = "from a backup of cluster \(state.clusterName) at revision \(state.revision)"
        try await RestoredLog.write(
            state.forNewCluster(words, milliseconds: Terminal.current.clock.now()),
            directory: place.dataDir + "/log", cluster: identity.cluster, member: identity.member)
    }

    private func tell(_ state: ClusterState) {
        let terminal = Terminal.current
        terminal.note("it begins with \(state.resources.count) resources and \(state.values.count) values")
        let others = state.members.values.map(\.name).filter { $0 != member }.sorted()
        if !others.isEmpty {
            terminal.note("to join anew, with tokens: \(others.joined(separator: ", "))")
        }
        let people = state.operators.values.filter { !$0.isRevoked && $0.name != admin }.map(\.name)
        if !people.isEmpty {
            terminal.note("to be admitted anew (holdfast context add): \(people.joined(separator: ", "))")
        }
    }

    /// The administrator's context, and the record of him that the cluster's first command carries.
    private func firstAdministrator(
        _ identity: MemberIdentity, cluster name: String
    ) throws -> (ClusterContext, OperatorRecord) {
        guard let authority = identity.authority else { preconditionFailure("a founder holds the authority") }
        let key = P256.Signing.PrivateKey()
        do {
            let certificate = try authority.issue(operator: admin, role: .admin, key: key.publicKey)
            let context = ClusterContext(
                name: name, endpoints: [identity.settings.apiEndpoint.description],
                authority: try identity.trust.certificate.serializeAsPEM().pemString,
                certificate: try certificate.serializeAsPEM().pemString, key: key.pemRepresentation)
            var founder = OperatorRecord(
                name: admin, role: .admin, key: ClusterTrust.pin(of: key.publicKey),
                certificateExpires: Int64(certificate.notValidAfter.timeIntervalSince1970 * 1_000))
            founder.signedBy = identity.trust.pin
            return (context, founder)
        } catch {
            throw CommandFailure(ExitStatus.error, "no context could be made for \(admin): \(error)")
        }
    }

    /// Adds (or replaces) the context of this cluster, and makes it the current one.
    private func add(_ context: ClusterContext) throws -> String {
        let path = ContextFile.path(Terminal.current.environment)
        var file = try ContextFile.load(path: path) { Terminal.current.note($0) }
        file.contexts.removeAll { $0.name == context.name }
        file.contexts.append(context)
        file.current = context.name
        try file.save(path: path)
        return path
    }
}

/// `--data-dir`, the same for every command that works on this machine's own member.
struct DataDirectoryOption: ParsableArguments {
    @Option(help: "Where this member keeps its identity and its log.")
    var dataDir: String = "/var/lib/holdfast"
}
