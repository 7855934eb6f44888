// Scenario files on disk: finding them, reading YAML or JSON, and the plan of each.

import Foundation
import Manifests
import SimulationScenarios
import SimulationWorld

enum ScenarioFiles {
    struct Trouble: Error, CustomStringConvertible {
        let description: String
    }

    /// Files in one directory and below; more are a wrong path.
    static let mostFiles = 10_000

    /// The file itself, or every `.yaml`, `.yml` and `.json` in a directory and below it, in the order of their paths.
    static func find(_ path: String) throws(Trouble) -> [String] {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw Trouble(description: "\(path): found nothing, expected a scenario or a directory of them")
        }
        guard isDirectory.boolValue else { return [path] }
        let base = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        var files: [String] = []
        for case let name as String in FileManager.default.enumerator(atPath: base) ?? .init() {
            let file = name.split(separator: "/").last ?? ""
            guard !file.hasPrefix("."), [".yaml", ".yml", ".json"].contains(where: file.hasSuffix) else { continue }
            files.append("\(base)/\(name)")
            if files.count > mostFiles { throw Trouble(description: "\(path): more than \(mostFiles) files") }
        }
        guard !files.isEmpty else {
            throw Trouble(description: "\(path): found no file that ends in .yaml, .yml or .json, expected scenarios")
        }
        return files.sorted()
    }

    /// - Throws: everything that is wrong, one line for each.
    static func plan(_ path: String) throws(Trouble) -> Plan {
        do {
            return try plan(try YAMLText.contents(of: path), file: path)
        } catch {
            throw Trouble(description: "\(error)")
        }
    }

    static func plan(_ bytes: [UInt8], file: String) throws(Trouble) -> Plan {
        let name = file.split(separator: "/").last?.split(separator: ".").first.map(String.init) ?? file
        do {
            let document = try YAMLText.document(bytes, file: file)
            return try ScenarioReader.plan(of: ScenarioNode(document), file: file, name: name)
        } catch {
            throw Trouble(description: "\(error)")
        }
    }
}

extension ScenarioNode {
    init(_ node: YAMLNode) {
        switch node {
        case .scalar(let text, let plain, let place):
            // `null` and `~` without quotes are how YAML and JSON write nothing.
            self = .text(plain && ["~", "null"].contains(text) ? "" : text, line: place.line)
        case .list(let nodes, let place): self = .list(nodes.map { ScenarioNode($0) }, line: place.line)
        case .map(let entries, let place):
            self = .map(
                entries.map {
                    ScenarioField(name: $0.name, line: $0.namePlace.line, value: ScenarioNode($0.value))
                }, line: place.line)
        }
    }
}
