// Making a join token. The secret is made here and shown once; the cluster gets only its hash.

import API
import ArgumentParser
import Cluster
import Consensus
import Runtime
import X509

extension MemberKind: ExpressibleByArgument {}

extension ClusterCommand {
    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "token", abstract: "Permissions to join.", subcommands: [Create.self])
    }
}

extension ClusterCommand.Token {
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Makes a token with which one machine may join once.",
            discussion: "The token is a secret until it is used. It is printed on the standard output, alone.")

        @Option(help: "What may join with it: host, guest or witness.") var kind: MemberKind
        @Option(help: "How long it may be used, 1m to 168h.") var ttl = TimeLimit(duration: .seconds(3600))
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions

        func validate() throws {
            guard (60...604_800).contains(ttl.duration.components.seconds) else {
                throw ValidationError("A token may be used for a minute to a week: --ttl 1m to 168h.")
            }
        }

        func run() async throws {
            let terminal = Terminal.current
            let token = try await connection.withClient(dryRun: rehearsal.dryRun) { client, limit in
                let status = try await client.status(.linearizable, within: limit)
                let authority = try await Self.authority(client, within: limit)
                let token = try JoinTokenText(
                    trust: Self.trust(authority?.trusted.first?.certificate ?? client.context.authority, status),
                    endpoints: try Self.endpoints(status), kind: kind)
                let kept = token.replicated(expiresMilliseconds: 0)
                _ = try await client.createToken(
                    TokenRequest(
                        id: kept.id, secretHash: kept.secretHash, kind: kind.rawValue,
                        ttlSeconds: ttl.duration.components.seconds), within: limit)
                return token
            }
            guard !rehearsal.dryRun else {
                return terminal.note("dry run, nothing was changed: a token would be made")
            }
            terminal.note("One \(kind.rawValue) may join with this token within \(ttl.duration.components.seconds) s:")
            terminal.print(token.text)
        }

        /// Nil from a member of a version that does not say; then it is the one that the context trusts.
        private static func authority(
            _ client: HoldfastClient, within limit: Duration
        ) async throws -> AuthorityDocument? {
            do { return try await client.authority(.linearizable, within: limit) } catch let failure as CommandFailure
                where failure.exitCode == ExitStatus.notFound
            { return nil }
        }

        /// The authority that signs is the one that the token pins.
        private static func trust(_ authority: String, _ status: StatusDocument) throws -> ClusterTrust {
            guard let cluster = ClusterID(status.clusterID) else {
                throw CommandFailure(ExitStatus.error, "the cluster's id is malformed: \(status.clusterID)")
            }
            do {
                guard let signer = try TrustedAuthority.all(pem: authority).first else {
                    throw CertificateRefusal.missing
                }
                return ClusterTrust(cluster: cluster, authorities: [signer])
            } catch {
                throw CommandFailure(ExitStatus.error, "the cluster's authority is not usable: \(error)")
            }
        }

        /// Only hosts admit: they hold the authority's key.
        private static func endpoints(_ status: StatusDocument) throws -> [Endpoint] {
            let hosts = status.members.filter { $0.kind == MemberKind.host.rawValue }
            let endpoints = (hosts.filter(\.reachable) + hosts.filter { !$0.reachable }).compactMap {
                Endpoint($0.endpoint)
            }
            guard !endpoints.isEmpty else {
                throw CommandFailure(
                    ExitStatus.error, "no host of the cluster tells an API endpoint, so nobody could be asked to join",
                    next: "holdfast cluster members -o wide")
            }
            return endpoints
        }
    }
}
