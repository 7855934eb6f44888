// Holds answers against the published schema: the part of JSON Schema that the document uses, and nothing beyond it.

@testable import API
import Cluster
import Consensus

enum SchemaCheck {
    static let document: JSONValue = (try? OpenAPIDocument.make(version: "test")) ?? .null

    /// What of an answer does not fit what is published of its route; empty when everything does.
    static func objections(_ method: String, _ path: String, status: Int, type: String?, body: [UInt8]) -> [String] {
        let bare = String(path.prefix { $0 != "?" })
        guard let operation = operation(method, bare) else {
            return status == 404 ? [] : ["\(method) \(bare) is not in the document and was answered with \(status)"]
        }
        let answer = operation["responses"]?[status == 200 ? "200" : "default"]
        let media = String((type ?? "").prefix { $0 != ";" })
        // The doors of machines and probes answer refusals in words of their own.
        let isPlain = operation["security"]?.array?.isEmpty == true && status != 200
        guard !isPlain, media == "application/json" else { return [] }
        guard let schema = answer?["content"]?[media]?["schema"] else {
            return ["\(method) \(bare): no \(media) is published for \(status)"]
        }
        guard let value = try? CanonicalJSON.decode(JSONValue.self, from: body) else { return ["no JSON"] }
        return check(value, schema, at: "\(method) \(bare) (\(status))")
    }

    private static func operation(_ method: String, _ path: String) -> JSONValue? {
        let parts = path.split(separator: "/")
        let found = document["paths"]?.object?.pairs.filter { template, _ in
            let wanted = template.split(separator: "/")
            return wanted.count == parts.count && zip(wanted, parts).allSatisfy { $0 == $1 || $0.hasPrefix("{") }
        }.sorted { $0.0.count { $0 == "{" } < $1.0.count { $0 == "{" } }
        return found?.compactMap { $0.1[method.lowercased()] }.first
    }

    static func check(_ value: JSONValue, _ schema: JSONValue, at place: String) -> [String] {
        if let reference = schema["$ref"]?.string {
            let name = String(reference.split(separator: "/").last ?? "")
            guard let target = document["components"]?["schemas"]?[name] else { return ["\(place): no schema \(name)"] }
            return check(value, target, at: place)
        }
        if let words = schema["enum"]?.array, !words.contains(value) {
            return ["\(place): \(value) is none of the words"]
        }
        switch (schema["type"]?.string, value) {
        case (nil, _), ("string", .string), ("boolean", .bool), ("integer", .int), ("number", .int),
            ("number", .double):
            return []
        case ("array", .array(let items)):
            return items.enumerated().flatMap { check($1, schema["items"] ?? [:], at: "\(place)[\($0)]") }
        case ("object", .object(let fields)): return checkFields(fields, schema, at: place)
        default: return ["\(place): \(value) is no \(schema["type"]?.string ?? "")"]
        }
    }

    private static func checkFields(
        _ fields: SortedMap<String, JSONValue>, _ schema: JSONValue, at place: String
    ) -> [String] {
        let properties = schema["properties"]?.object ?? [:]
        let missing = (schema["required"]?.array ?? []).compactMap(\.string).filter { fields[$0] == nil }
        var objections = missing.map { "\(place): \($0) is missing" }
        for (name, value) in fields.pairs {
            if let property = properties[name] {
                objections += check(value, property, at: "\(place).\(name)")
            } else if schema["additionalProperties"] == false {
                objections.append("\(place): \(name) is not published")
            } else if let others = schema["additionalProperties"] {
                objections += check(value, others, at: "\(place).\(name)")
            }
        }
        return objections
    }
}
