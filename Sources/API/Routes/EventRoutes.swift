// What happened: once as a list, or as a stream of server-sent events that goes on (WHATWG HTML, 9.2).

import Agent
import Cluster
import Consensus
import HTTPTypes
import Hummingbird
import NIOCore
import Runtime
import ServiceLifecycle

extension API {
    func addEventStream(to router: Router<APIContext>) {
        router.get("/v1/events") { request, context in
            let principal = try await self.principal(of: context, needs: .viewer, "GET /v1/events")
            if request.headers[.accept]?.contains("text/event-stream") == true {
                return try await self.stream(request, for: principal)
            }
            return try await self.requests.during {
                let call = try await self.call(request, context, by: principal, needs: .viewer)
                return try JSONReply.response(.ok, try await self.events(call))
            }
        }
    }

    private func events(_ call: Call) async throws -> EventsDocument {
        let after = try call.number("after") ?? 0
        let (state, view, consistency) = try await state(for: call)
        let first = state.events.first?.id ?? 1
        let skipped = after < first ? 0 : Int(clamping: min(after - first + 1, UInt64(state.events.count)))
        return EventsDocument(
            events: Array(state.events[skipped...]), last: state.lastEventID, read: ReadAge(consistency, state, view))
    }

    // MARK: The stream

    private enum Part: Sendable {
        case event(ClusterEvent)
        /// A comment: it shows both ends that the other is there.
        case signOfLife

        func bytes() throws -> ByteBuffer {
            switch self {
            case .event(let event):
                var buffer = ByteBuffer(string: "id: \(event.id)\ndata: ")
                buffer.writeBytes(try CanonicalJSON.encode(event))
                buffer.writeString("\n\n")
                return buffer
            case .signOfLife: return ByteBuffer(string: ": here\n\n")
            }
        }
    }

    /// Undelivered events kept for one reader; a slower one loses the oldest and sees a gap in the ids.
    private static let mostUndelivered = 2_000

    /// Whether who follows a stream may go on: it may have lasted longer than its follower's rights.
    private func mayFollow(_ principal: Principal) async -> Bool {
        guard case .state(let state, _) = await access.submit(.readLocal) else { return false }
        switch principal.subject {
        case .member(let id): return state.members.contains(id)
        case .operatorAccount:
            return principal.origin(needs: .viewer, reason: nil).map { state.objection(to: $0) == nil } ?? false
        }
    }

    private static let endsRights = ["OperatorRevoked", "OperatorAdmitted", "MemberRemoved"]

    private func stream(_ request: Request, for principal: Principal) async throws -> Response {
        let text = request.headers.text(FieldName.lastEvent) ?? request.uri.queryParameters.get("after") ?? "0"
        guard let after = UInt64(text) else {
            throw APIFailure(.badRequest, "after is \(text); it must be the id of an event, or 0")
        }
        guard await mayFollow(principal) else {
            throw APIFailure(.forbidden, "the certificate of \(principal.name) counts no more in this cluster")
        }
        let place = try streams.enter()
        let source = access.events(after: after)
        let keepAlive = bounds.streamKeepAlive
        let body = ResponseBody { writer in
            let (parts, feed) = AsyncStream.makeStream(
                of: Part.self, bufferingPolicy: .bufferingNewest(Self.mostUndelivered))
            feed.yield(.signOfLife)
            try await withGracefulShutdownHandler {
                try await request.body.consumeWithInboundCloseHandler { _ in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            for await event in source { feed.yield(.event(event)) }
                            feed.finish()
                        }
                        group.addTask {
                            while true {
                                try await Task.sleep(for: keepAlive)
                                feed.yield(.signOfLife)
                            }
                        }
                        defer { group.cancelAll() }
                        for await part in parts {
                            if case .event(let event) = part, Self.endsRights.contains(event.type),
                                !(await self.mayFollow(principal))
                            {
                                break
                            }
                            try await writer.write(try part.bytes())
                        }
                    }
                } onInboundClosed: {
                    feed.finish()
                }
            } onGracefulShutdown: {
                feed.finish()
            }
            withExtendedLifetime(place) {}
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store"],
            body: body)
    }
}
