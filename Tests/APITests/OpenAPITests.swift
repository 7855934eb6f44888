// The published document: complete, and true. That every answer of every other test fits it is checked where tests ask
// (TestServer.ask).

@testable import API
import Cluster
import Consensus
import Testing

@Suite struct OpenAPITests {
    @Test func everyRouteIsInIt() throws {
        let published = Set(Operation.all.map { "\($0.method) \($0.path)" })
        let served = Set(API.routes.map { "\($0.method.rawValue) \($0.path)" })
        #expect(published.count == Operation.all.count, "none twice")
        #expect(served.subtracting(published).isEmpty)
        let open: Set = [
            "GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json", "POST /v1/join", "POST /v1/renew",
            "GET /v1/events",
        ]
        #expect(published.subtracting(served) == open)
    }

    @Test func itIsServedToEverybodyAndIsValidJSON() async throws {
        try await Lab.make().serving { server in
            let answer = try await server.ask(.GET, "/openapi.json", as: nil)
            #expect(answer.status == 200)
            let document = try answer.decoded(JSONValue.self)
            #expect(document["openapi"] == "3.1.0")
            #expect(document["paths"]?["/v1/kv/{key}"]?["put"]?["requestBody"] != nil)
            #expect(document["paths"]?["/v1/tokens"]?["post"]?["x-role"] == "admin")
            #expect(document["paths"]?["/healthz"]?["get"]?["security"] == .array([]))
        }
    }

    @Test func everyReferenceLeadsSomewhere() throws {
        let schemas = try #require(SchemaCheck.document["components"]?["schemas"]?.object)
        func references(_ value: JSONValue) -> [String] {
            switch value {
            case .object(let fields):
                fields.pairs.flatMap { $0 == "$ref" ? [$1.string ?? ""] : references($1) }
            case .array(let items): items.flatMap(references)
            default: []
            }
        }
        let all = references(SchemaCheck.document)
        #expect(all.count > 40)
        for reference in all { #expect(schemas.contains(String(reference.split(separator: "/").last ?? ""))) }
    }

    @Test func theCheckSeesWhatDoesNotFit() throws {
        let schema = try SchemaProbe.schema(of: OutcomeDocument.self)
        func objections(_ value: JSONValue) -> Int { SchemaCheck.check(value, schema, at: "x").count }
        #expect(objections(["changed": true, "message": "", "revision": 3]) == 0)
        #expect(objections(["changed": true, "message": ""]) == 1)
        #expect(objections(["changed": "true", "message": "", "revision": 3]) == 1)
        #expect(objections(["changed": true, "message": "", "revision": 3, "more": 1]) == 1)
        let words = try SchemaProbe.schema(of: FailureCode.self)
        #expect(SchemaCheck.check("conflict", words, at: "x").isEmpty)
        #expect(!SchemaCheck.check("confusion", words, at: "x").isEmpty)
    }

    @Test func whatMayBeMissingIsNotRequired() throws {
        let schema = try SchemaProbe.schema(of: MemberDocument.self)
        let required = try #require(schema["required"]?.array)
        #expect(required.contains("name") && !required.contains("lacking"))
        #expect(schema["properties"]?["lacking"]?["type"] == "integer")
    }
}
