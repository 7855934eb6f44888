// The routes and the door before them: who asks is established, the limit of requests in work is kept, the body is
// read within bounds and deadline, and every error leaves as JSON.

import Agent
import Cluster
import Consensus
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import Runtime

struct API: Sendable {
    typealias Answer = @Sendable (API, Call) async throws -> any Encodable & Sendable

    let access: any AgentAccess
    let credentials: APICredentialStore
    var trust: ClusterTrust { credentials.trust }
    private let believed: BelievedCertificates
    let shown: ShownCertificates
    let bounds: APIServer.Bounds
    let desk: APIServer.EnrollmentDesk
    let requests: Admission
    let joins: Admission
    let renewals: Admission
    let probes: Admission
    let readiness = SharedAnswer()
    let metricsPage = SharedAnswer()
    let streams: Admission
    /// Requests of one client in a second: of values, and of everything else.
    let valueRate: RateLimit
    let rate: RateLimit
    let figures = APIFigures()
    /// What this member measures beyond its state and its API.
    let memberFigures: APIServer.MemberFigures
    let selfMeasurement: APIServer.SelfMeasurement
    let upkeep: APIServer.Upkeep
    /// What stored secrets are sealed with; nil when this member has no such key.
    let secrets: SecretsKey?
    /// Milliseconds since 1970. Join tokens expire by it.
    let wallClock: @Sendable () -> Int64

    init(
        access: any AgentAccess, credentials: APICredentialStore, shown: ShownCertificates = ShownCertificates(),
        bounds: APIServer.Bounds, desk: APIServer.EnrollmentDesk,
        memberFigures: @escaping APIServer.MemberFigures = { [] },
        selfMeasurement: @escaping APIServer.SelfMeasurement = { nil },
        upkeep: APIServer.Upkeep = .none, secrets: SecretsKey? = nil,
        wallClock: @escaping @Sendable () -> Int64 = API.systemWallClock
    ) {
        self.access = access
        self.credentials = credentials
        self.shown = shown
        believed = BelievedCertificates { credentials.trust }
        self.bounds = bounds
        self.desk = desk
        self.memberFigures = memberFigures
        self.selfMeasurement = selfMeasurement
        self.upkeep = upkeep
        self.secrets = secrets
        self.wallClock = wallClock
        requests = Admission(most: bounds.requestsInWork, of: "requests")
        joins = Admission(most: bounds.joinsInWork, of: "requests to join")
        renewals = Admission(most: bounds.renewalsInWork, of: "requests to renew a certificate")
        probes = Admission(most: bounds.probesInWork, of: "questions without a certificate")
        streams = Admission(most: bounds.eventStreams, of: "event streams")
        valueRate = RateLimit(perSecond: bounds.valueRequestsPerSecond)
        rate = RateLimit(perSecond: bounds.requestsPerSecond)
    }

    static let systemWallClock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }

    func router() -> Router<APIContext> {
        let router = Router(context: APIContext.self)
        router.add(middleware: CountRequests(figures: figures))
        router.add(middleware: TellAuthorities(credentials: credentials))
        router.add(middleware: FailuresAsJSON(figures: figures))
        addProbes(to: router)
        addMetrics(to: router)
        addOpenAPI(to: router)
        addEnrollment(to: router)
        addEventStream(to: router)
        for route in Self.routes { add(route, to: router) }
        return router
    }

    /// Every route that needs a certificate, but for the stream of events.
    static let routes: [Route] =
        reads + workloads + changes + clusterChanges + operators + authorities + revisions + upgrades + backups

    /// One route: what it takes, who may use it, what it answers.
    struct Route: Sendable {
        let method: HTTPRequest.Method
        let path: String
        let needs: OperatorRole
        let answer: Answer
    }

    private func add(_ route: Route, to router: Router<APIContext>) {
        router.on(RouterPath(route.path), method: route.method) { request, context in
            let principal = try await self.principal(of: context, needs: route.needs, for: route)
            return try await self.requests.during {
                let limit = route.path.hasPrefix("/v1/kv") ? self.valueRate : self.rate
                try limit.count(principal.key, called: principal.name, now: self.access.now())
                var call = try await self.call(request, context, by: principal, needs: route.needs)
                call.isDryRun = try Call.isDryRun(request.headers)
                var response = try JSONReply.response(.ok, try await route.answer(self, call))
                if let field = MemberEndpoints.field, let known = request.headers[field] {
                    response.headers[field] = await self.memberEndpoints(unless: known)
                }
                return response
            }
        }
    }

    /// The members' endpoints as text; nil when they are what the client knows, or cannot be had just now.
    private func memberEndpoints(unless known: String) async -> String? {
        guard case .state(let state, _) = await access.submit(.readLocal) else { return nil }
        let text = MemberEndpoints.text(of: state)
        return text == known ? nil : text
    }

    // MARK: The door

    private func principal(of context: APIContext, needs: OperatorRole, for route: Route) async throws -> Principal {
        try await principal(of: context, needs: needs, "\(route.method.rawValue) \(route.path)")
    }

    /// Who asks, when they may.
    /// - Throws: `APIFailure` with `unauthenticated` or `forbidden`.
    func principal(of context: APIContext, needs: OperatorRole, _ what: String) async throws -> Principal {
        guard let certificate = shown.of(context.channel) else {
            throw APIFailure(
                .unauthenticated, "\(what) needs a client certificate of this cluster, and none was shown",
                next: "choose a context that has one: holdfast context list")
        }
        let principal: Principal
        do {
            principal = try believed.principal(showing: certificate)
        } catch {
            throw APIFailure(
                .forbidden, "\(what) was refused: \(error)",
                next: "choose the context of cluster \(trust.cluster): holdfast context list")
        }
        if case .member(let id) = principal.subject { try await requirePresence(of: id, key: principal.key) }
        guard principal.role.includes(needs) else {
            throw APIFailure(
                .forbidden,
                "\(what) needs the role \(needs.rawValue); \(principal.name) has \(principal.role.rawValue)",
                next: "ask an admin for a certificate with that role")
        }
        return principal
    }

    /// Removing a member takes its rights away at once, while its certificate still runs.
    private func requirePresence(of id: MemberID, key: String) async throws {
        guard case .state(let state, _) = await access.submit(.readLocal) else {
            throw APIFailure(.overloaded, "the agent has too much waiting", next: "try again in a moment")
        }
        guard let member = state.members[id] else {
            throw APIFailure(.forbidden, "member \(id) does not belong to this cluster any more")
        }
        guard member.isOf(key) else { throw APIFailure(.forbidden, "\(member.name) joined with another key") }
    }

    func call(
        _ request: Request, _ context: APIContext, by principal: Principal, needs: OperatorRole
    ) async throws -> Call {
        let milliseconds = try Call.timeoutMilliseconds(request.headers)
        let deadline = access.now() + .milliseconds(milliseconds)
        let body = try await collect(request, most: bounds.bodyBytes, within: .milliseconds(milliseconds))
        return Call(
            principal: principal, needs: needs, deadline: deadline, stamp: try Call.stamp(request.headers),
            reason: try Call.reason(request.headers), parameters: context.parameters,
            query: request.uri.queryParameters, headers: request.headers, body: body)
    }

    func collect(_ request: Request, most: Int, within limit: Duration) async throws -> [UInt8] {
        let tooLarge = APIFailure(.tooLarge, "the request body is larger than \(most) bytes")
        if let text = request.headers[.contentLength], let length = Int(text), length > most { throw tooLarge }
        do {
            if WholeRequests.isWhole(request.headers) {
                return Array(buffer: try await request.body.collect(upTo: most))
            }
            return try await withDeadline(
                limit, orThrow: APIFailure(.timedOut, "the request body did not arrive within \(limit)")
            ) {
                Array(buffer: try await request.body.collect(upTo: most))
            }
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
    }
}

// MARK: Asking the agent

extension API {
    /// The state as the call wants it read, and how old it is.
    func state(for call: Call) async throws -> (ClusterState, AgentView, ReadConsistency) {
        let consistency = try call.consistency()
        let request: AgentRequest = consistency == .local ? .readLocal : .read(deadline: call.deadline)
        switch await access.submit(request) {
        case .state(let state, let view):
            try call.requireStanding(in: state)
            return (state, view, consistency)
        case .failed(let failure): throw APIFailure(failure, changing: false)
        case .outcome: throw APIFailure(.internal, "the agent answered a read with an outcome")
        }
    }

    /// The state, certain to hold everything that was acknowledged before.
    func freshState(for call: Call) async throws -> (ClusterState, AgentView) {
        switch await access.submit(.read(deadline: call.deadline)) {
        case .state(let state, let view):
            try call.requireStanding(in: state)
            return (state, view)
        case .failed(let failure): throw APIFailure(failure, changing: false)
        case .outcome: throw APIFailure(.internal, "the agent answered a read with an outcome")
        }
    }

    /// Proposes a command and gives its outcome.
    /// - Parameter stamped: whether the client's stamp is this command's; false for one beside what the client asked for.
    /// - Throws: `APIFailure` when it did not take effect.
    func propose(_ command: Command, for call: Call, stamped: Bool = true) async throws -> OutcomeDocument {
        if call.isDryRun { return try await rehearse(command, for: call) }
        let request = AgentRequest.propose(
            command, stamp: stamped ? call.stamp : nil, actor: call.actor, deadline: call.deadline, origin: call.origin)
        var answer = await access.submit(request)
        if case .failed(.forbidden) = answer {
            // This member may not have heard yet that he was admitted: the cluster's own word counts.
            _ = try await freshState(for: call)
            answer = await access.submit(request)
        }
        switch answer {
        case .outcome(let outcome):
            if let failure = APIFailure(outcome) { throw failure }
            return OutcomeDocument(outcome)
        case .failed(let failure): throw APIFailure(failure, changing: true)
        case .state: throw APIFailure(.internal, "the agent answered a proposal with a state")
        }
    }

    /// What a command would come to now, on a copy of the state. Nothing is proposed.
    private func rehearse(_ command: Command, for call: Call) async throws -> OutcomeDocument {
        var (state, _) = try await freshState(for: call)
        let revision = state.revision
        let outcome = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 0, request: 1, settled: 0), milliseconds: wallClock(), actor: call.actor,
                origin: call.origin, command: command))
        if let failure = APIFailure(outcome) { throw failure }
        let words = outcome.message.isEmpty ? command.words : outcome.message
        return OutcomeDocument(
            changed: outcome.code == .done, message: "dry run, nothing was changed: \(words)", revision: revision)
    }
}
