// From a scenario as it was written to a plan. Everything that is wrong is found in one pass, each with its line, what
// was found, what was expected and the nearest known word.
//
// Relies on: a tree of the document, made elsewhere. Does not: read files, or run anything.

import Cluster
import Consensus
import Kinds
import SimulationWorld

public struct ScenarioReader {
    /// A longer plan is a mistake of units.
    static let mostLength: Int64 = 1_000 * 3_600_000_000_000
    static let mostMachines = 32
    static let mostMoments = 10_000

    let file: String
    var errors: [ScenarioError] = []
    var plan: Plan
    /// Workloads that the timeline adds.
    var addedNames: [String] = []

    /// - Parameters:
    ///   - file: what errors call it.
    ///   - name: what the scenario is called when it does not say so itself.
    public static func plan(
        of document: ScenarioNode, file: String, name: String
    ) throws(ScenarioErrors) -> Plan {
        var reader = ScenarioReader(file: file, name: name)
        reader.read(document)
        guard reader.errors.isEmpty else {
            // From top to bottom; what concerns one line in the order it was found.
            let order = reader.errors.enumerated().sorted {
                ($0.element.line, $0.offset) < ($1.element.line, $1.offset)
            }
            throw ScenarioErrors(order.map(\.element))
        }
        return reader.plan
    }

    private init(file: String, name: String) {
        self.file = file
        plan = Plan(name: name, seed: 1, length: 0)
    }

    private mutating func read(_ document: ScenarioNode) {
        let known = [
            "name", "about", "seed", "duration", "heal", "hosts", "members", "storage", "workloads", "rules", "policy",
            "proxmox", "ceph", "watchdog", "addresses", "clients", "wires", "disks", "snapshots", "certificates",
            "boot", "probe", "timing", "timeline", "expect",
        ]
        let top = fields(of: document, at: "", known: known)
        if let name = text(top["name"], at: "name") { plan.name = name }
        if let node = top["about"] { plan.about = text(node, at: "about") ?? "" }
        if let node = top["seed"] { plan.seed = UInt64(number(node, at: "seed", in: 0...Int64.max) ?? 1) }
        if let node = top["duration"] {
            plan.length = length(node, at: "duration", in: 1...Self.mostLength) ?? Self.mostLength
        } else {
            missing("duration", "how long the part with faults is, like 90s or 10m", from: document)
            plan.length = Self.mostLength
        }
        if let node = top["heal"] { plan.healsWithin = length(node, at: "heal", in: 1...Self.mostLength) }
        readMachines(hosts: top["hosts"], members: top["members"], in: document)
        readStorage(top["storage"])
        findAdded(top["timeline"])
        readWorkloads(top["workloads"])
        checkCarried(members: top["members"])
        readRules(top["rules"])
        readPolicy(top["policy"])
        readHypervisors(proxmox: top["proxmox"], ceph: top["ceph"], watchdog: top["watchdog"])
        readAddresses(top["addresses"])
        readConditions(top)
        readTiming(top["timing"])
        readTimeline(top["timeline"])
        readExpectations(top["expect"])
    }

    private mutating func readStorage(_ node: ScenarioNode?) {
        guard let name = text(node, at: "storage"), let node else { return }
        guard let storage = Plan.Storage(rawValue: name) else {
            return wrong(node, "storage", expected: "ceph, shared or local")
        }
        plan.storage = storage
    }

    // MARK: Reading values

    /// The fields of a map. Unknown ones, ones that are written twice and ones that wait for a part are errors.
    mutating func fields(of node: ScenarioNode, at path: String, known: [String]) -> SortedMap<String, ScenarioNode> {
        var found: SortedMap<String, ScenarioNode> = [:]
        for field in entries(of: node, at: path) {
            let inner = path.isEmpty ? field.name : "\(path).\(field.name)"
            if known.contains(field.name) {
                found[field.name] = field.value
            } else if let row = MissingPart.fields.first(where: { $0.path == Self.withoutNames(inner) }) {
                errors.append(
                    ScenarioError(file: file, line: field.line, field: path, field.name, waitsFor: row.part))
            } else {
                errors.append(
                    ScenarioError(
                        file: file, line: field.line, field: path, found: "the field \(Excerpt.quoted(field.name))",
                        expected: Excerpt.choices(known), suggestion: Nearest.match(field.name, among: known)))
            }
        }
        return found
    }

    /// `hosts.pve1.memory` waits under the path `hosts.memory`.
    private static func withoutNames(_ path: String) -> String {
        let parts = path.split(separator: ".")
        guard parts.count == 3, let first = parts.first, let last = parts.last else { return path }
        return "\(first).\(last)"
    }

    /// The entries of a map in the order they were written; nothing counts as an empty map.
    mutating func entries(of node: ScenarioNode, at path: String) -> [ScenarioField] {
        switch node {
        case .text("", _): return []
        case .text, .list:
            wrong(node, path, expected: path.isEmpty ? "a scenario: a map of fields" : "a map of fields")
            return []
        case .map(let fields, _):
            var names: [String] = []
            return fields.filter { field in
                if names.contains(field.name) {
                    let found = "\(Excerpt.quoted(field.name)) a second time"
                    errors.append(
                        ScenarioError(file: file, line: field.line, field: path, found: found, expected: "it once"))
                    return false
                }
                names.append(field.name)
                return true
            }
        }
    }

    mutating func text(_ node: ScenarioNode?, at path: String) -> String? {
        guard let node else { return nil }
        guard case .text(let text, _) = node, !text.isEmpty else {
            wrong(node, path, expected: "a text")
            return nil
        }
        return text
    }

    mutating func number(_ node: ScenarioNode, at path: String, in range: ClosedRange<Int64>) -> Int64? {
        guard case .text(let text, _) = node, let number = Quantity.digits(text[...]), range.contains(number) else {
            wrong(node, path, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    mutating func length(_ node: ScenarioNode, at path: String, in range: ClosedRange<Int64>) -> Int64? {
        guard case .text(let text, _) = node, let length = Quantity.length(text) else {
            wrong(node, path, expected: Argument.length.expected)
            return nil
        }
        guard range.contains(length) else {
            wrong(node, path, expected: range.lowerBound > 0 ? "more than 0s, at most 1000h" : "at most 1000h")
            return nil
        }
        return length
    }

    mutating func truth(_ node: ScenarioNode, at path: String) -> Bool? {
        switch node {
        case .text("true", _): return true
        case .text("false", _): return false
        default:
            wrong(node, path, expected: "true or false")
            return nil
        }
    }

    /// A name, or a list of names.
    mutating func names(_ node: ScenarioNode, at path: String, among known: [String], _ what: String) -> [String] {
        var found: [String] = []
        let nodes: [ScenarioNode]
        if case .list(let list, _) = node { nodes = list } else { nodes = [node] }
        for (position, each) in nodes.enumerated() {
            let inner = nodes.count == 1 ? path : "\(path)[\(position)]"
            if let name = name(each, at: inner, among: known, what) { found.append(name) }
        }
        return found
    }

    mutating func name(_ node: ScenarioNode, at path: String, among known: [String], _ what: String) -> String? {
        guard case .text(let text, _) = node, known.contains(text) else {
            var guess: String?
            if case .text(let text, _) = node { guess = Nearest.match(text, among: known) }
            let all = known.isEmpty ? "\(what), and none is declared" : "\(what): \(Excerpt.choices(known))"
            wrong(node, path, expected: all, suggestion: guess)
            return nil
        }
        return text
    }

    // MARK: Errors

    mutating func wrong(_ node: ScenarioNode, _ path: String, expected: String, suggestion: String? = nil) {
        errors.append(
            ScenarioError(
                file: file, line: node.line, field: path, found: node.phrase, expected: expected,
                suggestion: suggestion))
    }

    mutating func missing(_ field: String, _ what: String, from node: ScenarioNode) {
        errors.append(
            ScenarioError(file: file, line: node.line, field: "", found: "no field `\(field)`", expected: what))
    }
}
