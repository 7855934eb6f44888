// Answers as JSON, errors among them.

import Cluster
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore

/// An answer that programs ask for in bulk, and that is written by hand to the bytes that `CanonicalJSON` would write.
protocol WrittenPlainly {
    /// Nil for what only the general encoder writes.
    func plainJSON() -> String?
}

enum JSONReply {
    static func response(_ status: HTTPResponse.Status, _ body: any Encodable & Sendable) throws -> Response {
        let plain = (body as? any WrittenPlainly)?.plainJSON()
        return response(status, bytes: try plain.map { Array($0.utf8) } ?? CanonicalJSON.encode(body))
    }

    static func response(_ status: HTTPResponse.Status, bytes: [UInt8]) -> Response {
        Response(
            status: status,
            headers: [
                .contentType: "application/json; charset=utf-8", .cacheControl: "no-store",
                .contentLength: String(bytes.count),
            ], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func response(_ failure: APIFailure) -> Response {
        // An error is plain text and numbers; if even that could not be written, its code alone is sent.
        let bytes =
            (try? CanonicalJSON.encode(FailureBody(error: failure)))
            ?? Array(
                "{\"error\":{\"code\":\"\(failure.code.rawValue)\",\"message\":\"\",\"next\":\"\",\"problems\":[]}}"
                    .utf8)
        var response = response(HTTPResponse.Status(code: failure.code.httpStatus), bytes: bytes)
        if failure.code == .overloaded, let name = HTTPField.Name("Retry-After") { response.headers[name] = "1" }
        return response
    }
}

/// Says with every answer which authorities are trusted, so that a client with others learns of them.
struct TellAuthorities: RouterMiddleware {
    static let name = HTTPField.Name(AuthorityNames.header)

    let credentials: APICredentialStore

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        if let name = Self.name { response.headers[name] = credentials.toldAuthorities }
        return response
    }
}

/// Turns everything a route throws into a JSON error.
struct FailuresAsJSON: RouterMiddleware {
    let figures: APIFigures

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            let failure = words(for: error, request, context)
            figures.refused(failure.code)
            return JSONReply.response(failure)
        }
    }

    private func words(for error: any Error, _ request: Request, _ context: APIContext) -> APIFailure {
        switch error {
        case let failure as APIFailure: return failure
        case let error as HTTPError where error.status == .notFound:
            return APIFailure(.notFound, "there is no \(request.method.rawValue) \(request.uri.path) here")
        case is CancellationError:
            return APIFailure(.overloaded, "this member is stopping", next: "ask another member")
        default:
            context.logger.error("a request failed: \(request.method.rawValue) \(request.uri.path): \(error)")
            return APIFailure(
                .internal, "\(request.method.rawValue) \(request.uri.path) failed inside this member",
                next: "its log tells why: journalctl -u holdfast")
        }
    }
}
