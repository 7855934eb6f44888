// The HTTPS server of a member: the API that the CLI and scripts talk to.
// Relies on the agent (through AgentAccess) for every answer and every change. Holds no policy: what may be changed is
// checked by the kinds and by the replicated state; who may ask is decided by the client's certificate.

import Cluster
import Consensus
import Decisions
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import Runtime
import ServiceLifecycle

/// Serves the API of one member until the service group stops it.
public struct APIServer: Service {
    /// Gets a body as it came and gives the HTTP status and the JSON body of the answer. The body has at most
    /// `Bounds.joinBodyBytes`; at most `Bounds.joinsInWork` run at once; it has to answer in bounded time by itself.
    public typealias Responder = @Sendable (_ body: [UInt8]) async -> (status: Int, body: [UInt8])

    /// Who gets a certificate of this cluster.
    public struct EnrollmentDesk: Sendable {
        /// `POST /v1/join`: proves itself by a token.
        public var join: Responder
        /// `POST /v1/renew`: proves itself by a signature with the member's key.
        public var renew: Responder
        /// Signs for a person whom an admin has named; nil when this member does not hold the authority.
        public var signOperator:
            @Sendable (_ name: String, _ role: OperatorRole, _ csr: String) async throws
                -> SignedOperator?
        /// Makes a new authority whose key this member keeps; nil when it does not hold the present one.
        public var newAuthority:
            @Sendable (_ graceMilliseconds: Int64, _ isRehearsal: Bool) async throws -> AuthorityRotation.Plan?

        public init(
            join: @escaping Responder, renew: @escaping Responder,
            signOperator: @escaping @Sendable (String, OperatorRole, String) async throws -> SignedOperator?,
            newAuthority: @escaping @Sendable (Int64, Bool) async throws -> AuthorityRotation.Plan? = { _, _ in nil }
        ) {
            self.join = join
            self.renew = renew
            self.signOperator = signOperator
            self.newAuthority = newAuthority
        }
    }

    /// Measurements of the member that the API does not know of by itself: its disk, its peers, its process.
    public typealias MemberFigures = @Sendable () async -> [MetricFamily]

    /// What the member measures of itself, for `doctor` and `top`; nil when it cannot tell now.
    public typealias SelfMeasurement = @Sendable () async -> SelfReadings?

    /// The member's own program.
    public struct Upkeep: Sendable {
        /// Whether something starts the agent again when it ends.
        public var isSupervised: Bool
        /// What would run after a restart.
        public var installed: @Sendable () async -> InstalledDocument
        /// Ends the agent after it has given everything away. Returns at once.
        public var restart: @Sendable () -> Void
        /// Why the machine it runs on could not be restarted, asked of what would do it; nil: it could. Nil itself where nothing
        /// can.
        public var restartTrouble: (@Sendable () async -> String?)?

        public init(
            isSupervised: Bool, installed: @escaping @Sendable () async -> InstalledDocument,
            restart: @escaping @Sendable () -> Void, restartTrouble: (@Sendable () async -> String?)? = nil
        ) {
            self.isSupervised = isSupervised
            self.installed = installed
            self.restart = restart
            self.restartTrouble = restartTrouble
        }

        /// Of a server that is not a whole member.
        public static let none = Upkeep(
            isSupervised: false,
            installed: {
                InstalledDocument(
                    member: "", run: "", running: "", installed: nil, problem: "this is no whole member",
                    isSupervised: false)
            }, restart: {})
    }

    /// Where to listen, and how much to take on.
    public struct Settings: Sendable {
        /// An address of this machine, or `0.0.0.0` or `::` for all of them.
        public var host: String
        /// Zero: any free port; `onListening` tells which.
        public var port: Int
        public var bounds: Bounds

        public init(host: String, port: Int, bounds: Bounds = Bounds()) {
            self.host = host
            self.port = port
            self.bounds = bounds
        }
    }

    /// What one server takes on at most. Beyond it the caller is told so.
    public struct Bounds: Sendable {
        /// Bytes of a request body; a larger one is answered with 413.
        public var bodyBytes = 4 * 1024 * 1024
        public var joinBodyBytes = 64 * 1024
        /// Requests in work; further ones are answered with 429.
        public var requestsInWork = 256
        public var joinsInWork = 16
        /// What one client may ask in a second in the long run, and twice as much in one go; more is answered with 429.
        public var requestsPerSecond = 200
        /// The same for stored values, which programs write in bulk.
        public var valueRequestsPerSecond = 50_000
        /// The same for members that renew their certificates: strangers who join must not be in their way.
        public var renewalsInWork = 16
        /// How long the body of a request to join or to renew may take. Whoever sends it needs no certificate, so it does
        /// not choose this itself.
        public var joinBodyTime: Duration = .seconds(2)
        /// Questions by machines without a certificate (`/metrics`, `/readyz`) that are in work.
        public var probesInWork = 8
        /// How old the answer to such a question may be: it is the same for all who ask.
        public var probeAge: Interval = .seconds(1)
        /// Open event streams; further ones are answered with 429.
        public var eventStreams = 64
        /// Open connections; further ones wait to be accepted.
        public var connections = 1_024
        /// Of these, connections that have shown no certificate, or none yet; beyond it whoever has the most loses one.
        public var strangers = 512
        /// How long a handshake, or the head of a request, may take, and how long a connection may say nothing while no answer
        /// is due, before it is closed.
        public var silence: Duration = .seconds(10)
        /// Between two signs of life on an event stream without events.
        public var streamKeepAlive: Duration = .seconds(15)

        public init() {}
    }

    private let settings: Settings
    private let credentials: APICredentialStore
    private let api: API
    private let logger: Logger
    private let onListening: @Sendable (_ port: Int) -> Void

    /// - Parameters:
    ///   - access: the agent of this member.
    ///   - credentials: what the server shows and whom it trusts; replaced while running through the store.
    ///   - desk: answers requests to join and to renew.
    ///   - memberFigures: what stands in `/metrics` beside the state.
    ///   - selfMeasurement: the answer to `GET /v1/self`.
    ///   - upkeep: what `GET /v1/installed` says and `POST /v1/restart` does.
    ///   - secrets: what stored secrets are sealed with.
    ///   - onListening: called once with the bound port.
    public init(
        access: any AgentAccess, settings: Settings, credentials: APICredentialStore,
        desk: EnrollmentDesk, memberFigures: @escaping MemberFigures = { [] },
        selfMeasurement: @escaping SelfMeasurement = { nil }, upkeep: Upkeep = .none, secrets: SecretsKey? = nil,
        logger: Logger,
        onListening: @escaping @Sendable (_ port: Int) -> Void = { _ in }
    ) {
        self.settings = settings
        self.credentials = credentials
        self.api = API(
            access: access, credentials: credentials, bounds: settings.bounds, desk: desk,
            memberFigures: memberFigures, selfMeasurement: selfMeasurement, upkeep: upkeep, secrets: secrets)
        self.logger = logger
        self.onListening = onListening
    }

    /// Serves until the graceful shutdown of the service group: then it accepts no more connections, ends the event
    /// streams and lets requests in work finish by their deadlines.
    /// - Throws: when the certificates cannot be used; `APIListeningError` when the address cannot be bound.
    public func run() async throws {
        let bodyBound = settings.bounds.bodyBytes * 2
        let patience = TimeAmount(settings.bounds.silence)
        let strangers = Strangers(most: settings.bounds.strangers, logger: logger)
        let http = HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                RequestBodyBound(mostBytes: bodyBound), WholeRequests(),
                ConnectionBound(strangers: strangers, shown: api.shown, patience: patience),
            ],
            idleTimeout: patience,
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: 16 * 1024, maxHeaderListSize: 32 * 1024, maxHeaderFieldCount: 64))
        let application = Application(
            responder: api.router().buildResponder(),
            server: try .tls(
                .http1(configuration: http),
                configuration: TLSChannelConfiguration(
                    tlsConfiguration: credentials.serverConfiguration(),
                    customVerificationCallback: { [credentials] shown, verdict in
                        verdict.succeed(credentials.verify(shown))
                    })),
            configuration: .init(
                address: .hostname(settings.host, port: settings.port), serverName: "holdfast",
                availableConnectionsDelegate: .maximum(settings.bounds.connections, logger: logger)),
            onServerRunning: { channel in onListening(channel.localAddress?.port ?? 0) }, logger: logger)
        do {
            try await application.run()
        } catch let error as IOError {
            throw APIListeningError(host: settings.host, port: settings.port, error: error)
        }
    }
}

/// The port of the API could not be opened.
public struct APIListeningError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(host: String, port: Int, error: IOError) {
        description =
            "cannot listen for the CLI on \(Endpoint(host: host, port: port)): "
            + ListeningFailure.words(error, port: port)
    }
}
