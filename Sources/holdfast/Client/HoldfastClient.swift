// The API as typed methods. It goes from endpoint to endpoint until one answers or the time is up, and sends a change
// again with the same stamp, so that it counts once.

import API
import Cluster
import Consensus
import FoundationEssentials
import NIOHTTP1
import Runtime
import Synchronization

final class HoldfastClient: Sendable {
    /// The pause after every endpoint has failed.
    private static let pause: Duration = .milliseconds(100)
    /// An endpoint gets no less than this of the time that is left, so that an election can end under it.
    private static let leastShare: Duration = .milliseconds(400)
    /// The part of an endpoint's share that its answer needs to get back.
    private static let wayBack: Duration = .milliseconds(50)

    private let live: Mutex<Live>
    /// The context is brought up to date, here and in its file, when a member says that the authorities are others.
    private let keepsUp: Bool
    private let reason: String?
    /// Changes are rehearsed and not made.
    private let isDryRun: Bool
    private let session: UInt64
    private let progress: Mutex<Progress>

    private struct Live {
        var context: ClusterContext
        var transport: HTTPTransport
        /// In use until the end by what was begun with them.
        var earlier: [HTTPTransport] = []
        /// The names for which the context was brought up to date, or could not be.
        var followed: String?
    }

    /// As it is now.
    var context: ClusterContext { live.withLock { $0.context } }
    private var transport: HTTPTransport { live.withLock { $0.transport } }

    private struct Progress {
        var nextRequest: UInt64 = 1
        /// The endpoint that answered last; tried first.
        var good: String?
    }

    /// - Parameters:
    ///   - reason: goes into the record of every change.
    ///   - isDryRun: every change is only rehearsed.
    ///   - keepsUp: the context is that of the person's file, and is to follow a rotation of the authority.
    /// - Throws: `CommandFailure` when the context's certificates cannot be used.
    init(_ context: ClusterContext, reason: String? = nil, isDryRun: Bool = false, keepsUp: Bool = false) throws {
        guard !context.places.isEmpty else {
            throw CommandFailure(ExitStatus.error, "context \(context.name) has no endpoints", next: "give --endpoints")
        }
        self.reason = reason
        self.isDryRun = isDryRun
        self.keepsUp = keepsUp
        live = Mutex(Live(context: context, transport: try HTTPTransport(context)))
        var generator = SystemRandomNumberGenerator()
        session = generator.next()
        progress = Mutex(Progress(good: keepsUp && context.members != nil ? KnownMembers.of(context).answering : nil))
    }

    func shutdown() async {
        for transport in live.withLock({ $0.earlier + [$0.transport] }) { await transport.shutdown() }
    }

    /// Runs `work` with a client that asks this one endpoint and no other.
    func withEndpoint<Result: Sendable>(
        _ endpoint: String, reason: String? = nil, _ work: (HoldfastClient) async throws -> Result
    ) async throws -> Result {
        var narrowed = context
        narrowed.endpoints = [endpoint]
        narrowed.members = nil
        let client = try HoldfastClient(narrowed, reason: reason, isDryRun: isDryRun)
        do {
            let result = try await work(client)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }

    // MARK: Sending

    /// - Throws: `CommandFailure` with the exit code that fits.
    func get<Answer: Decodable>(
        _ path: String, _ query: [(String, String)] = [], consistency: ReadConsistency = .linearizable,
        within limit: Duration
    ) async throws -> Answer {
        var query = query
        if consistency == .local { query.append(("consistency", "local")) }
        let request = APIRequest(method: .GET, path: Self.path(path, query), isRepeatable: true)
        return try Self.decode(try await send(request, within: limit))
    }

    /// A change. With `stamped` it may be sent any number of times and counts once.
    func change<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, _ body: (any Encodable)? = nil, headers: [(String, String)] = [],
        stamped: Bool = true, within limit: Duration
    ) async throws -> Answer {
        var request = APIRequest(method: method, path: path, headers: headers, isRepeatable: stamped)
        if let body { request.body = try CanonicalJSON.encode(body) }
        if let reason { request.headers.append((APIHeader.reason, PercentEncoding.encode(reason))) }
        if isDryRun { request.headers.append((APIHeader.dryRun, "true")) }
        if stamped {
            let number = progress.withLock { progress in
                defer { progress.nextRequest += 1 }
                return progress.nextRequest
            }
            request.headers += [
                (APIHeader.session, hexadecimal(session)), (APIHeader.request, String(number)),
                (APIHeader.settled, String(number - 1)),
            ]
        }
        return try Self.decode(try await send(request, within: limit))
    }

    private func send(_ request: APIRequest, within limit: Duration) async throws -> [UInt8] {
        guard keepsUp else { return try await deliver(request, within: limit) }
        let (known, answering) = (context.members, progress.withLock { $0.good })
        var request = request
        if let known { request.headers.append((MemberEndpoints.header, MemberEndpoints.text(known))) }
        let body = try await deliver(request, within: limit)
        await keepUp()
        if let known { learnMembers(known, answering) }
        return body
    }

    /// Goes on with the members that the cluster has named, and notes them, and who answers, for the commands to come.
    /// - Parameters: what was known before.
    private func learnMembers(_ known: [String], _ answering: String?) {
        let told = transport.toldMembers.flatMap { $0.allSatisfy { Endpoint($0) != nil } ? $0 : nil } ?? known
        guard let good = progress.withLock({ $0.good }), told != known || good != answering else { return }
        let context = live.withLock { live in
            live.context.members = told
            return live.context
        }
        KnownMembers.note(context, answering: good)
    }

    /// Follows a rotation of the cluster's authority, once for each thing that is said of it.
    private func keepUp() async {
        guard let told = transport.toldAuthorities,
            live.withLock({ live in
                guard live.followed != told else { return false }
                live.followed = told
                return true
            }), let next = await ContextAuthorities.followed(context, told: told)
        else { return }
        live.withLock { live in
            guard let transport = try? HTTPTransport(next) else { return }
            live.context.authority = next.authority
            live.context.certificate = next.certificate
            live.earlier.append(live.transport)
            live.transport = transport
        }
    }

    private func deliver(_ request: APIRequest, within limit: Duration) async throws -> [UInt8] {
        let deadline = ContinuousClock.now + limit
        let places = context.places
        var said = Responses(places)
        while true {
            for (turn, endpoint) in order(of: places).enumerated() {
                let left = deadline - .now
                guard left > .milliseconds(20) else { throw said.failure(limit) }
                let share = min(left, max(Self.leastShare, left / (places.count - turn)))
                var timed = request
                timed.headers.append(
                    (APIHeader.timeout, String(max(1, min(60_000, (share - Self.wayBack).milliseconds)))))
                let delivery = await transport.send(timed, to: endpoint, within: share)
                switch said.judge(delivery, from: endpoint, repeatable: request.isRepeatable) {
                case .answer(let body):
                    progress.withLock { $0.good = endpoint }
                    return body
                case .final(let failure): throw failure
                case .tryNext: break
                }
            }
            guard deadline - .now > Self.pause else { throw said.failure(limit) }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// The one that answered last first.
    private func order(of places: [String]) -> [String] {
        guard let good = progress.withLock({ $0.good }), places.contains(good) else { return places }
        return [good] + places.filter { $0 != good }
    }

    private static func decode<Answer: Decodable>(_ body: [UInt8]) throws -> Answer {
        do {
            return try CanonicalJSON.decode(Answer.self, from: body)
        } catch {
            throw CommandFailure(
                ExitStatus.error, "the member's answer is not understood: \(error)",
                next: "compare the versions: holdfast version, holdfast cluster members")
        }
    }

    static func path(_ path: String, _ query: [(String, String)]) -> String {
        guard !query.isEmpty else { return path }
        return path + "?"
            + query.map { "\($0)=\(PercentEncoding.encode($1))" }.joined(separator: "&")
    }

    // MARK: Following events

    /// Hands on events with an id greater than `after`, and new ones as they happen, until `event` wants no more or
    /// `deadline` passes. Goes on at another endpoint when a stream breaks, without losing or repeating any.
    func follow(after: UInt64, until deadline: ContinuousClock.Instant?, event: (ClusterEvent) async throws -> Bool)
        async throws
    {
        var last = after
        let places = context.places
        var said = Responses(places)
        var brokenSince: ContinuousClock.Instant?
        while true {
            for endpoint in order(of: places) {
                let request = APIRequest(
                    method: .GET, path: "/v1/events?after=\(last)", headers: [("Accept", "text/event-stream")],
                    isRepeatable: true)
                let end = try await transport.stream(request, from: endpoint) { line in
                    brokenSince = nil
                    progress.withLock { $0.good = endpoint }
                    guard line.hasPrefix("data: ") else { return deadline.map { .now < $0 } ?? true }
                    let next: ClusterEvent = try Self.decode(Array(line.utf8.dropFirst("data: ".utf8.count)))
                    last = next.id
                    return try await event(next)
                }
                guard let end else { return }
                if case .final(let failure) = said.judge(end, from: endpoint, repeatable: true) {
                    throw failure
                }
            }
            let since = brokenSince ?? .now
            brokenSince = since
            guard ContinuousClock.now - since < .seconds(60), deadline.map({ .now < $0 }) ?? true else {
                throw said.failure(.seconds(60))
            }
            try await Task.sleep(for: .milliseconds(500))
        }
    }
}
