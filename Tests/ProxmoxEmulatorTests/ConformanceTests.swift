// The emulator against recordings of real clusters, and against the API's description of itself.

import Foundation
import Testing

@testable import ProxmoxEmulator

@Suite struct ConformanceTests {
    private static let absence: Comment =
        "no recorded data: set HOLDFAST_PROXMOX_DATA to a folder with transcripts-8.4, transcripts-9.1 and apidoc-*.json"

    @Test(.enabled(if: RecordedData.isPresent, absence))
    func theRecordingsAreAnsweredAsRecorded() throws {
        let results = try RecordedData.transcripts().map(Replay.conformance)
        #expect(!results.isEmpty)
        for result in results {
            for finding in result.differing {
                let differences = finding.differences.prefix(12).joined(separator: "; ")
                Issue.record("\(result.label) line \(finding.number + 1), \(finding.request): \(differences)")
            }
        }
        let matching = results.reduce(0) { $0 + $1.matching }
        let total = results.reduce(0) { $0 + $1.total }
        print((results.map(\.line) + ["all: \(matching) of \(total) conform"]).joined(separator: "\n"))
        // An exception that nothing needs any more hides the next difference.
        let reasons = Set(results.flatMap(\.excepted).map(\.reason))
        for exception in Exceptions.all {
            #expect(reasons.contains(exception.reason), "no recording needs \"\(exception.reason)\"")
        }
    }

    @Test(.enabled(if: RecordedData.isPresent, absence), arguments: Release.allCases)
    func theEndpointsAreThoseOfTheDescription(_ release: Release) throws {
        let description = try APIDescription(release)
        for route in Route.all where (route.only ?? release) == release {
            guard let endpoint = description.endpoints["\(route.method) \(route.path)"] else {
                Issue.record("\(release.rawValue) describes no \(route.method) \(route.path)")
                continue
            }
            for complaint in endpoint.complaints(about: route, release) {
                Issue.record("\(release.rawValue) \(route.method) \(route.path): \(complaint)")
            }
        }
    }
}

/// The API's description of itself.
private struct APIDescription {
    struct Endpoint {
        let parameters: [String: JSON]
        let permission: JSON?

        func complaints(about route: Route, _ release: Release) -> [String] {
            let own = route.parameters.filter { ($0.only ?? release) == release }
            var found: [String] = []
            for parameter in own {
                guard let described = parameters[parameter.name] else {
                    found.append("takes \(parameter.name), which is not described")
                    continue
                }
                let isRequired = described["optional"]?.integer != 1
                // What stands in the path is always given.
                if isRequired != parameter.isRequired, !route.path.contains("{\(parameter.name)}") {
                    found.append("\(parameter.name) is \(isRequired ? "" : "not ")required")
                }
                if let complaint = Self.typeComplaint(parameter, described) { found.append(complaint) }
            }
            if case .any(_, let privileges) = route.permission { found += permissionComplaints(privileges) }
            if case .all(_, let privileges) = route.permission { found += permissionComplaints(privileges) }
            return found
        }

        private static func typeComplaint(_ parameter: Parameter, _ described: JSON) -> String? {
            let type = described["type"]?.string ?? "string"
            let own: String
            switch parameter.type {
            case .string: own = "string"
            case .integer: own = "integer"
            case .number: own = "number"
            case .boolean: own = "boolean"
            case .list: own = "array"
            case .choice(let values):
                own = "string"
                let choices = (described["enum"]?.array ?? []).compactMap(\.text)
                if Set(choices) != Set(values) {
                    return "\(parameter.name) is one of \(choices.sorted()), not of \(values.sorted())"
                }
            }
            return own == type ? nil : "\(parameter.name) is of type \(type), not \(own)"
        }

        private func permissionComplaints(_ privileges: [String]) -> [String] {
            guard let text = permission?.serialized else { return ["the permission is not described"] }
            return privileges.filter { !text.contains("\"\($0)\"") }.map { "\($0) is not among \(text)" }
        }
    }

    var endpoints: [String: Endpoint] = [:]

    init(_ release: Release) throws {
        let file = release == .eight ? "apidoc-8.4.1.json" : "apidoc-9.1.6.json"
        guard let folder = RecordedData.folder else { return }
        let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
        for node in try JSON(text: text).array ?? [] { collect(node) }
    }

    private mutating func collect(_ node: JSON) {
        for (method, info) in node["info"]?.object ?? [:] {
            endpoints["\(method) \(node["path"]?.string ?? "")"] = Endpoint(
                parameters: info["parameters"]?["properties"]?.object ?? [:], permission: info["permissions"]?["check"])
        }
        for child in node["children"]?.array ?? [] { collect(child) }
    }
}
