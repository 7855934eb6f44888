// The OpenAPI document (3.1.0, https://spec.openapis.org/oas/v3.1.0) of this API, made of the operations and of the types
// they take and give. Served at /openapi.json; made once.

import Cluster
import Consensus
import Hummingbird
import NIOCore
import Runtime

enum OpenAPIDocument {
    /// - Parameter version: of the program that serves it.
    static func make(version: String) throws -> JSONValue {
        var paths: SortedMap<String, JSONValue> = [:]
        var schemas: SortedMap<String, JSONValue> = ["FailureBody": try SchemaProbe.schema(of: FailureBody.self)]
        for operation in Operation.all {
            let path = template(operation.path)
            var methods = paths[path]?.object ?? [:]
            methods[operation.method.lowercased()] = try described(operation, &schemas)
            paths[path] = .object(methods)
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Holdfast", "version": .string(version),
                "description":
                    "The API of a Holdfast member. Any member takes any request. Errors are FailureBody, whatever the route.",
            ],
            "paths": .object(paths),
            "components": [
                "schemas": .object(schemas),
                "securitySchemes": [
                    "clientCertificate": [
                        "type": "mutualTLS",
                        "description": "A certificate of the cluster's authority; see holdfast context add.",
                    ]
                ],
            ],
        ]
    }

    /// `/v1/kv/:key` as OpenAPI writes it: `/v1/kv/{key}`.
    static func template(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false)
            .map { $0.hasPrefix(":") ? "{\($0.dropFirst())}" : String($0) }.joined(separator: "/")
    }

    private static func described(
        _ operation: Operation, _ schemas: inout SortedMap<String, JSONValue>
    ) throws -> JSONValue {
        var described: SortedMap<String, JSONValue> = [
            "summary": .string(operation.summary), "operationId": .string(name(operation)),
        ]
        described["security"] = operation.isOpen ? .array([]) : [["clientCertificate": []]]
        if let needs = API.routes.first(where: { $0.method.rawValue == operation.method && $0.path == operation.path })?
            .needs
        {
            described["x-role"] = .string(needs.rawValue)
        }
        let parameters = parameters(of: operation)
        if !parameters.isEmpty { described["parameters"] = .array(parameters) }
        if let takes = operation.takes {
            described["requestBody"] = [
                "required": true, "content": ["application/json": ["schema": try reference(takes, &schemas)]],
            ]
        }
        let failure: JSONValue = ["$ref": "#/components/schemas/FailureBody"]
        described["responses"] = [
            "200": ["description": "As asked.", "content": try content(operation.gives, &schemas)],
            "default": [
                "description": "Why not, and what to try next.", "content": ["application/json": ["schema": failure]],
            ],
        ]
        return .object(described)
    }

    private static func content(
        _ answer: Operation.Answer, _ schemas: inout SortedMap<String, JSONValue>
    ) throws -> JSONValue {
        switch answer {
        case .json(let type): ["application/json": ["schema": try reference(type, &schemas)]]
        case .text: ["text/plain": ["schema": ["type": "string"]]]
        case .eventsOr(let type):
            [
                "application/json": ["schema": try reference(type, &schemas)],
                "text/event-stream": ["schema": ["type": "string"]],
            ]
        case .openAPI: ["application/json": ["schema": ["type": "object"]]]
        }
    }

    /// Puts the type's schema among the components, under its name.
    private static func reference(
        _ type: any (Decodable & Sendable).Type, _ schemas: inout SortedMap<String, JSONValue>
    ) throws -> JSONValue {
        let name = "\(type)"
        if !schemas.contains(name) { schemas[name] = try SchemaProbe.schema(of: type) }
        return ["$ref": .string("#/components/schemas/\(name)")]
    }

    private static func parameters(of operation: Operation) -> [JSONValue] {
        let inPath = operation.path.split(separator: "/").filter { $0.hasPrefix(":") }.map { part -> JSONValue in
            [
                "name": .string(String(part.dropFirst())), "in": "path", "required": true, "schema": ["type": "string"],
            ]
        }
        let inQuery = operation.query.map { name, about -> JSONValue in
            [
                "name": .string(name), "in": "query", "description": .string(about), "schema": ["type": "string"],
            ]
        }
        let timeout: JSONValue = [
            "name": .string(APIHeader.timeout), "in": "header",
            "description": "Milliseconds to wait for the answer, 1 to 60,000; 2,000 when absent.",
            "schema": ["type": "integer"],
        ]
        let dryRun: JSONValue = [
            "name": .string(APIHeader.dryRun), "in": "header",
            "description": "true: say what the change would come to, and change nothing.",
            "schema": ["type": "boolean"],
        ]
        let isChange = operation.method != "GET"
        return inPath + inQuery + (operation.isOpen ? [] : [timeout] + (isChange ? [dryRun] : []))
    }

    /// `getV1KvKey`
    private static func name(_ operation: Operation) -> String {
        operation.method.lowercased()
            + operation.path.split { "/:-.".contains($0) }.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }
}

extension API {
    func addOpenAPI(to router: Router<APIContext>) {
        router.get("/openapi.json") { _, _ in JSONReply.response(.ok, bytes: try Self.openAPI.get()) }
    }

    /// Its bytes, or why it could not be made, which a test would have found.
    static let openAPI = Result<[UInt8], any Error> { try CanonicalJSON.encode(OpenAPIDocument.make(version: "v1")) }
}
