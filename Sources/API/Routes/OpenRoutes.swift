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
        // Ready: this member follows a leader.
        router.get("/readyz") { _, _ in
            guard case .state(_, let view) = await self.access.submit(.readLocal) else {
                return Self.plain(.serviceUnavailable, "the agent has too much waiting\n")
            }
            return view.leader == nil
                ? Self.plain(.serviceUnavailable, "no leader is known\n") : Self.plain(.ok, "ok\n")
        }
    }

    private static func plain(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    func addEnrollment(to router: Router<APIContext>) {
        addDesk("/v1/join", desk.join, to: router)
        addDesk("/v1/renew", desk.renew, to: router)
    }

    private func addDesk(_ path: RouterPath, _ responder: @escaping APIServer.Responder, to router: Router<APIContext>)
    {
        router.post(path) { request, _ in
            do {
                return try await self.joins.during {
                    let milliseconds = try Call.timeoutMilliseconds(request.headers)
                    let body = try await self.collect(
                        request, most: self.bounds.joinBodyBytes, within: .milliseconds(milliseconds))
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
