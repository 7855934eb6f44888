// Renews this member's certificate while the agent runs, and follows the cluster's authorities. When and how is
// CertificateKeeper's; here is only where the new identity goes: the peer connections, the API, the disk, and the cluster's
// knowledge of it.

import API
import Agent
import Cluster
import Consensus
import Logging
import NIOPosix
import Runtime
import ServiceLifecycle
import Synchronization

/// What the state says last of authorities and of this member's name, until the keeper has done it.
final class IdentityFollower: Sendable {
    private let latest = Mutex<AuthorityBook?>(nil)
    private let latestName = Mutex<String?>(nil)
    fileprivate let wakes: AsyncStream<Void>
    private let feed: AsyncStream<Void>.Continuation

    init() { (wakes, feed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1)) }

    func take(_ book: AuthorityBook) {
        latest.withLock { $0 = book }
        wake()
    }

    func take(name: String) {
        latestName.withLock { $0 = name }
        wake()
    }

    fileprivate var name: String? { latestName.withLock { $0 } }
    fileprivate var book: AuthorityBook? { latest.withLock { $0 } }
    fileprivate func wake() { feed.yield() }
}

struct CertificateService: Service {
    /// Between two attempts to do what the cluster says of its authorities.
    private static let pause: Duration = .seconds(1)

    private let keeper: CertificateKeeper
    private let follower: IdentityFollower

    init(
        current: CurrentIdentity, folder: IdentityFolder, loop: AgentLoop, transport: PeerTransport,
        credentials: APICredentialStore, known: [MemberRecord], follower: IdentityFollower, log: Logger
    ) {
        let members = MembersAtLeast(access: loop, known: known)
        self.follower = follower
        keeper = CertificateKeeper(
            identity: current.value,
            surroundings: .init(
                members: { await members.now() },
                ask: { request, trust, hosts in
                    try await RenewClient.renew(
                        request, trust: trust, hosts: hosts, group: MultiThreadedEventLoopGroup.singleton)
                },
                use: { renewed in
                    try credentials.renew(APICredentials(renewed))
                    try await transport.onLoop { try $0.use(renewed) }
                    current.set(renewed)
                },
                write: { renewed in
                    try await NIOThreadPool.singleton.runIfActive { try folder.replaceTrust(of: renewed) }
                },
                writeName: { renamed in
                    try await NIOThreadPool.singleton.runIfActive { try folder.replaceName(of: renamed) }
                },
                nextKeys: { try await NIOThreadPool.singleton.runIfActive { try folder.nextKeys() } },
                tell: { identity, preparedFor in
                    loop.identityChanged(
                        IdentityNews(
                            expires: identity.expiresMilliseconds, signedBy: identity.signedBy,
                            preparedFor: preparedFor))
                }),
            log: log)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var followed: AuthorityBook?
            var wakes = follower.wakes.makeAsyncIterator()
            while !Task.isCancelled {
                var pause = await keeper.look()
                if let book = follower.book, book != followed {
                    if await keeper.follow(book) { followed = book } else { pause = min(pause, Self.pause) }
                }
                if let name = follower.name, await !keeper.rename(to: name) { pause = min(pause, Self.pause) }
                let (wait, follower) = (pause, follower)
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        // Cut short by news, or by the end of the member.
                        do { try await Task.sleep(for: wait) } catch { return }
                        follower.wake()
                    }
                    _ = await wakes.next()
                    group.cancelAll()
                }
            }
        }
    }
}
