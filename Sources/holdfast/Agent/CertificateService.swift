// Renews this member's certificate while the agent runs. When and how is CertificateKeeper's; here is only where the new
// certificate goes: the peer connections, the API, the disk, and the cluster's knowledge of when it ends.

import API
import Cluster
import Consensus
import Logging
import NIOPosix
import Runtime
import ServiceLifecycle

struct CertificateService: Service {
    private let keeper: CertificateKeeper

    init(
        identity: MemberIdentity, folder: IdentityFolder, loop: AgentLoop, transport: PeerTransport,
        credentials: APICredentialStore, known: [MemberRecord], log: Logger
    ) {
        let members = MembersAtLeast(access: loop, known: known)
        keeper = CertificateKeeper(
            identity: identity,
            surroundings: .init(
                members: { await members.now() },
                ask: { csr, hosts in
                    try await RenewClient.renew(
                        csr: csr, trust: identity.trust, hosts: hosts, group: MultiThreadedEventLoopGroup.singleton)
                },
                use: { renewed in
                    try credentials.renew(APICredentials(renewed))
                    try await transport.onLoop { try $0.use(renewed) }
                    loop.certificateRenewed(expires: renewed.expiresMilliseconds)
                },
                write: { renewed in
                    try await NIOThreadPool.singleton.runIfActive { try folder.replaceCertificate(of: renewed) }
                }),
            log: log)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while true {
                let pause = await keeper.look()
                // Only the end of the member cuts a pause short.
                do { try await Task.sleep(for: pause) } catch { return }
            }
        }
    }
}
