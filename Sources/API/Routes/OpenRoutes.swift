// The routes that need no client certificate: two probes, and the requests to join and to renew a certificate, which
// prove themselves by a token and by a signature.

import Agent
import Consensus
import HTTPTypes
import Hummingbird
import NIOCore
import Runtime

extension API {
    func addProbes(to router: Router<APIContext>) {
        // Alive: the server answers. Nothing else is asked, so that a probe never restarts a member that only waits.
        router.get("/healthz") { _, _ in Self.plain(.ok, "ok\n") }
        // Ready: this member knows a leader, and its state is as new as the cluster's was when it started.
        router.get("/readyz") { _, _ in
            try await self.shared(self.readiness) {
                guard case .state(_, let view) = await self.access.submit(.readLocal) else { return .busy }
                guard view.leader != nil else { return .init(.serviceUnavailable, "no leader is known\n") }
                guard view.isCurrent else {
                    return .init(.serviceUnavailable, "the state here is still being caught up with\n")
                }
                return .init(.ok, "ok\n")
            }
        }
    }

    /// What Prometheus collects. Needs no certificate, since collectors have none; what must not be known is not in it.
    func addMetrics(to router: Router<APIContext>) {
        router.get("/metrics") { _, _ in
            try await self.shared(self.metricsPage) {
                guard case .state(let state, let view) = await self.access.submit(.readLocal) else { return .busy }
                var families = StateMetrics.families(state, view) + self.figures.families()
                families += Admission.families(
                    [self.requests, self.joins, self.renewals, self.probes, self.streams])
                families += await self.memberFigures() + ProcessFigures.families()
                return .init(
                    .ok, MetricFamily.page(families), type: "text/plain; version=0.0.4; charset=utf-8")
            }
        }
    }

    /// The answer to a question that anybody may ask, however often: each look is a turn of the loop that heartbeats
    /// depend on, so all who ask within a second share one.
    private func shared(
        _ answer: SharedAnswer, _ make: @Sendable () async -> SharedAnswer.Content
    ) async throws -> Response {
        let content = try await probes.during {
            await answer.content(now: access.now(), lasting: bounds.probeAge, make)
        }
        return Self.plain(content.status, content.text, type: content.type)
    }

    private static func plain(
        _ status: HTTPResponse.Status, _ text: String, type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    func addEnrollment(to router: Router<APIContext>) {
        addDesk("/v1/join", desk.join, joins, to: router)
        addDesk("/v1/renew", desk.renew, renewals, to: router)
    }

    private func addDesk(
        _ path: RouterPath, _ responder: @escaping APIServer.Responder, _ admission: Admission,
        to router: Router<APIContext>
    ) {
        router.post(path) { request, _ in
            do {
                return try await admission.during {
                    let body = try await self.collect(
                        request, most: self.bounds.joinBodyBytes, within: self.bounds.joinBodyTime)
                    let answer = await responder(body)
                    return JSONReply.response(HTTPResponse.Status(code: answer.status), bytes: answer.body)
                }
            } catch let failure as APIFailure {
                // A joiner reads refusals in one shape, whoever refuses.
                return try JSONReply.response(
                    HTTPResponse.Status(code: failure.code.httpStatus), JoinRefusalBody(message: failure.message))
            }
        }
    }
}
