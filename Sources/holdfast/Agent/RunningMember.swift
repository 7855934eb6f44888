// One member put together and run: log, peers, drivers, agent, API. Started in this order, ended in the reverse one.

import API
import Agent
import Cluster
import Consensus
import Decisions
import Drivers
import Logging
import NIOCore
import NIOPosix
import ProxmoxDriver
import Runtime
import ServiceLifecycle

struct RunningMember {
    let identity: MemberIdentity
    let dataDirectory: String
    let log: Logger
    private let record: MemberRecord
    private let peersFile: KnownPeersFile
    private let snapshots: SnapshotPolicy
    private let isSupervised: Bool
    /// As it is now; `identity` is as it was when this run began.
    private let current: CurrentIdentity
    private let follower = IdentityFollower()
    private let program = InstalledProgram.ofThisProcess()
    /// Names this run of the agent: its session in the log.
    private let session: UInt64

    /// - Parameters:
    ///   - host: overrides the host a guest joined on; it may have moved since.
    ///   - isSupervised: something else than systemd starts the agent again when it ends.
    init(
        identity: MemberIdentity, dataDirectory: String, host: String?, snapshots: SnapshotPolicy = SnapshotPolicy(),
        isSupervised: Bool = false, log: Logger
    ) throws {
        self.snapshots = snapshots
        self.isSupervised = isSupervised
        var random = SystemRandomNumberGenerator()
        session = random.next()
        self.identity = identity
        current = CurrentIdentity(identity)
        self.dataDirectory = dataDirectory
        self.log = log
        var settings = identity.settings
        if let host { settings.host = host }
        var record = settings.record(version: Version.current, on: .here())
        record.certificateExpires = identity.expiresMilliseconds
        record.key = ClusterTrust.pin(of: identity.key.publicKey)
        record.signedBy = identity.signedBy
        if record.kind == .host { record.runsGuests = Hypervisor.isThere(dataDirectory: dataDirectory) }
        self.record = record
        peersFile = KnownPeersFile(dataDirectory: dataDirectory)
    }

    func run() async throws {
        // A loop of its own: nothing else may stand in the way of a heartbeat.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let end: Result<AgentEnd, any Error>
        do { end = try await run(on: group.next()) } catch { end = .failure(error) }
        try await group.shutdownGracefully()
        switch end {
        case .success(.stopped): log.notice("stopped")
        case .success(.failed(let why)): throw CommandFailure(ExitStatus.error, "the agent ended: \(why)")
        case .failure(let error): throw error
        }
    }

    private func run(on eventLoop: any EventLoop) async throws -> Result<AgentEnd, any Error> {
        try await PeerTransport.tryListening(
            host: identity.settings.address, port: identity.settings.peerPort, on: eventLoop)
        let (store, recovered) = try LogStore.open(
            directory: dataDirectory + "/log", cluster: identity.cluster, member: identity.member,
            hasLivedBefore: peersFile.exists)
        for note in recovered.notes { log.notice("log: \(note)") }
        if recovered.hardState.memory != .whole, knownPeers().allSatisfy({ $0.id == identity.member }) {
            log.warning(
                """
                this member knows of no other that could give it back what its disk has lost; restore a backup of the \
                cluster's state, or the log as it was (\(dataDirectory)/log)
                """)
        }
        let restored: RestoredState?
        let founder: OperatorRecord?
        do {
            founder = try readFounder(recovered)
            restored = try recovered.snapshot.map { try Self.read($0, in: dataDirectory) }
        } catch {
            store.close()
            throw error
        }

        let end = await live(on: eventLoop, store, core(recovered, restored, founder: founder))
        // Before the loop, which hears of every write.
        store.close()
        return end
    }

    private static func read(_ snapshot: Snapshot, in dataDirectory: String) throws -> RestoredState {
        do { return try RestoredState(snapshot) } catch {
            throw CommandFailure(
                ExitStatus.error,
                "the snapshot through entry \(snapshot.mark.index) in \(dataDirectory)/log is not usable: \(error)",
                next: "start the version that wrote it, or a later one")
        }
    }

    /// From the first connection to the last; whatever was started has ended when it returns.
    private func live(
        on eventLoop: any EventLoop, _ store: LogStore, _ core: AgentCore
    ) async -> Result<AgentEnd, any Error> {
        let peers = knownPeers()
        let loop = AgentLoop(core: core, eventLoop: eventLoop, initialPeers: peers, log: log)
        defer { loop.abandon("it was not started") }
        let transport: PeerTransport
        do {
            try await eventLoop.submit { RealTime.claim(log: log) }.get()
            transport = try PeerTransport(
                eventLoop: eventLoop, identity: identity, log: log, isMember: { loop.isMember($0, key: $1) },
                received: { loop.received($0) })
            try await transport.start(host: identity.settings.address, port: identity.settings.peerPort)
        } catch {
            return .failure(error)
        }
        let drivers = MemberDrivers(record: record, dataDirectory: dataDirectory, log: log) { loop.report($0) }

        let hypervisor = Hypervisor.open(record: record, dataDirectory: dataDirectory, loop: loop, log: log)

        store.start(warning: { [log] in log.warning("log: \($0)") }, completion: { loop.written($0) })
        loop.start(
            AgentWorld(
                transport: transport, store: store, addresses: drivers.addresses, health: drivers.health,
                hypervisor: hypervisor, rememberPeers: rememberPeers(),
                followAuthorities: { [follower] in follower.take($0) },
                followName: { [follower] in follower.take(name: $0) }),
            initialPeers: peers)
        log.notice("\(identity) listens for peers at \(identity.settings.peerEndpoint)")
        // From the loop that heartbeats depend on. Its addresses have fallen silent when the manager ends it.
        let alive = ServiceManager.current?.proveLife(on: eventLoop, log: log)

        let measurements = MemberMeasurements(
            record: record, current: current, dataDirectory: dataDirectory, guardProblem: drivers.guardProblem,
            network: drivers.network,
            hypervisor: Hypervisor.examination(of: hypervisor, member: record.name, loop: loop), loop: loop,
            store: store, transport: transport)
        let end = await serve(loop, drivers, hypervisor, transport, measurements)
        alive?.cancel()
        drivers.shutDown()
        await transport.shutDown()
        return end
    }

    /// Runs agent and API until a signal or a failure ends them. They stop from the last to the first: the agent gives
    /// everything away while its health checks still run, and before the API waits for its clients.
    private func serve(
        _ loop: AgentLoop, _ drivers: MemberDrivers, _ hypervisor: HostDriver?,
        _ transport: PeerTransport,
        _ measurements: MemberMeasurements
    ) async -> Result<AgentEnd, any Error> {
        do {
            let credentials = try APICredentialStore(APICredentials(identity), cluster: identity.cluster)
            let certificates = CertificateService(
                current: current, folder: IdentityFolder(dataDirectory: dataDirectory), loop: loop,
                transport: transport, credentials: credentials, known: knownPeers(), follower: follower, log: log)
            // An agent that nobody can reach gives everything away as at a signal, and then says why.
            var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
                .init(
                    service: apiServer(loop, hypervisor, credentials, measurements),
                    failureTerminationBehavior: .gracefullyShutdownGroup
                ),
                .init(service: certificates),
                .init(
                    service: RecoveredOperatorsService(
                        folder: RecoveredOperators(dataDirectory: dataDirectory), member: record.name, access: loop,
                        log: log)),
            ]
            if let runner = drivers.health { services.append(.init(service: HealthService(runner: runner))) }
            if let hypervisor { services.append(.init(service: HypervisorService(driver: hypervisor))) }
            services.append(
                .init(service: AgentService(loop: loop, log: log), successTerminationBehavior: .gracefullyShutdownGroup)
            )
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: services,
                    gracefulShutdownSignals: [.sigterm, .sigint], logger: log))
            try await group.run()
            return .success(try await loop.ended.get())
        } catch {
            return .failure(error)
        }
    }

    private func apiServer(
        _ loop: AgentLoop, _ hypervisor: HostDriver?, _ credentials: APICredentialStore,
        _ measurements: MemberMeasurements
    ) -> APIServer {
        let settings = identity.settings
        var desk = EnrollmentDesk(
            current: current, folder: IdentityFolder(dataDirectory: dataDirectory), access: loop, known: knownPeers(),
            log: log)
        desk.carrier = WitnessPlace(member: settings.name, hypervisor: hypervisor).carrier(of:in:)
        return APIServer(
            access: loop,
            settings: APIServer.Settings(host: settings.address, port: settings.apiPort),
            credentials: credentials,
            desk: .init(
                join: desk.join, renew: desk.renew, signOperator: desk.signOperator, newAuthority: desk.newAuthority),
            memberFigures: measurements.families,
            selfMeasurement: measurements.readings,
            upkeep: .of(
                member: { [current] in current.value.settings.name }, run: session, program: program,
                isSupervised: isSupervised, loop: loop, hypervisor: hypervisor),
            secrets: identity.secrets, logger: log,
            onListening: { [log, identity] port in
                RealTime.lockMemory(log: log)
                log.notice("the API listens at \(settings.address):\(port)")
                tellServiceManager(.ready(status: "\(identity) listens"), log)
            })
    }

    private func core(
        _ recovered: RecoveredLog, _ restored: RestoredState?, founder: OperatorRecord?
    ) -> AgentCore {
        let founds =
            identity.settings.initialVoters == [identity.member]
            ? ClusterNameFile(dataDirectory: dataDirectory).read() : nil
        var setup = AgentSetup(cluster: identity.cluster, record: record, founds: founds, session: session)
        setup.founder = founder
        setup.snapshots = snapshots
        return AgentCore(
            setup: setup, hardState: recovered.hardState, restored: restored, entries: recovered.entries,
            now: BootClock.now())
    }

    private func readFounder(_ recovered: RecoveredLog) throws -> OperatorRecord? {
        let file = FounderFile(dataDirectory: dataDirectory)
        do { return try file.read() } catch {
            // It is used once, for the first entries of the log.
            guard recovered.entries.isEmpty, recovered.snapshot == nil else {
                log.warning("\(file.path) is not readable, and not needed any more: \(error)")
                return nil
            }
            throw CommandFailure(
                ExitStatus.error,
                "\(file.path) is not readable, and without it the cluster would not know its admin: \(error)",
                next: "put it back; or empty \(dataDirectory) and found the cluster anew: holdfast cluster init")
        }
    }

    private func knownPeers() -> [MemberRecord] {
        do {
            return try peersFile.read() ?? identity.settings.knownMembers
        } catch {
            log.warning("\(peersFile.path) is not readable (\(error)); calling the members known when this one joined")
            return identity.settings.knownMembers
        }
    }

    private func rememberPeers() -> @Sendable ([MemberRecord]) -> Void {
        let file = peersFile
        let log = log
        return { peers in
            NIOThreadPool.singleton.submit { state in
                guard case .active = state else { return }
                do { try file.write(peers) } catch { log.warning("\(file.path) cannot be written: \(error)") }
            }
        }
    }
}

/// Says nothing where no service manager listens.
@Sendable private func tellServiceManager(_ message: ServiceManager.Message, _ log: Logger) {
    guard let failure = ServiceManager.current?.tell(message) else { return }
    log.warning("the service manager cannot be told: \(failure)")
}

/// The agent's loop as a service: a graceful shutdown gives everything away first, a cancellation ends it at once.
struct AgentService: Service {
    let loop: AgentLoop
    let log: Logger

    func run() async throws {
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                if case .failed(let why) = try await loop.ended.get() {
                    throw CommandFailure(ExitStatus.error, "the agent ended: \(why)")
                }
            } onGracefulShutdown: {
                tellServiceManager(.stopping, log)
                loop.stop()
            }
        } onCancel: {
            loop.abandon("it was cancelled")
        }
    }
}
