// The index of named cases, held against the tree: what it names exists, and nothing waits for a part that is there.

import Foundation
import Manifests
import SimulationScenarios
import Testing

@testable import holdfast_sim

struct IndexedCase {
    var number = 0
    var shows = ""
    var tests: [String] = []
    var scenarios: [String] = []
    var waits: [String] = []
}

/// Simulation/CaseIndex.yaml, read.
struct CaseIndex {
    var cases: [IndexedCase] = []
    var signs: [(part: String, signs: [String])] = []

    init() throws {
        let path = Tree.root + "/Simulation/CaseIndex.yaml"
        let document = ScenarioNode(try YAMLText.document(try YAMLText.contents(of: path), file: path))
        for field in Self.fields(document) {
            switch field.name {
            case "parts": signs = Self.fields(field.value).map { ($0.name, Self.texts($0.value)) }
            case "cases":
                guard case .list(let nodes, _) = field.value else { continue }
                cases = nodes.map(Self.indexed)
            default: Issue.record("CaseIndex.yaml:\(field.line): nothing reads `\(field.name)`")
            }
        }
    }

    private static func indexed(_ node: ScenarioNode) -> IndexedCase {
        var found = IndexedCase()
        for field in fields(node) {
            let texts = texts(field.value)
            switch field.name {
            case "case": found.number = Int(texts.first ?? "") ?? 0
            case "shows": found.shows = texts.first ?? ""
            case "tests": found.tests = texts
            case "scenarios": found.scenarios = texts
            case "waits": found.waits = texts
            default: Issue.record("CaseIndex.yaml:\(field.line): nothing reads `\(field.name)`")
            }
        }
        return found
    }

    private static func fields(_ node: ScenarioNode) -> [ScenarioField] {
        if case .map(let fields, _) = node { fields } else { [] }
    }

    private static func texts(_ node: ScenarioNode) -> [String] {
        switch node {
        case .text(let text, _): [text]
        case .list(let nodes, _): nodes.flatMap(texts)
        case .map: []
        }
    }
}

@Suite struct CaseIndexTests {
    let index: CaseIndex

    init() throws { index = try CaseIndex() }

    @Test func everyCaseStandsThereOnce() {
        #expect(index.cases.map(\.number) == Array(1...60))
        for each in index.cases {
            #expect(!each.shows.isEmpty)
            #expect(
                !(each.tests + each.scenarios + each.waits).isEmpty,
                "case \(each.number) is neither written nor waits for a part")
        }
    }

    @Test func everyNamedTestExists() {
        var code: [String: [String]] = [:]
        for each in index.cases {
            for test in each.tests {
                let parts = test.split(separator: ".").map(String.init)
                guard parts.count == 2 else {
                    Issue.record("case \(each.number): \(test) is not written as Module.function")
                    continue
                }
                let folder = parts[0] == "IntegrationTests" ? "Tests/Integration" : "Tests/\(parts[0])"
                if code[folder] == nil { code[folder] = Tree.code(in: folder) }
                let exists = code[folder]?.contains { $0.contains("func \(parts[1])(") } ?? false
                #expect(exists, "case \(each.number): there is no test \(parts[1]) in \(folder)")
            }
        }
    }

    @Test func scenariosAndCasesNameEachOther() {
        let named = Set(index.cases.flatMap(\.scenarios))
        for each in index.cases {
            for scenario in each.scenarios {
                #expect(
                    Tree.scenarioNames.contains(scenario), "case \(each.number): no Simulation/Cases/\(scenario).yaml")
            }
        }
        for scenario in Tree.scenarioNames {
            #expect(named.contains(scenario), "Simulation/Cases/\(scenario).yaml belongs to no case of CaseIndex.yaml")
        }
    }

    @Test func partsAreThoseThatScenariosKnow() {
        #expect(Set(index.signs.map(\.part)) == Set(MissingPart.allCases.map(\.rawValue)))
        for each in index.cases {
            for part in each.waits {
                #expect(MissingPart(rawValue: part) != nil, "case \(each.number): no part \(part)")
            }
        }
        for (part, signs) in index.signs { #expect(!signs.isEmpty, "\(part) has no sign by which it would be noticed") }
    }

    @Test func nothingWaitsForAPartThatIsThere() {
        let code = Tree.code(in: "Sources") + Tree.code(in: "Simulation/World")
        for (part, signs) in index.signs {
            let seen = signs.filter { sign in
                sign.hasPrefix("Sources/") || sign.hasPrefix("Simulation/")
                    ? Tree.exists(sign) : code.contains { $0.contains(sign) }
            }
            let waiting = index.cases.filter { $0.waits.contains(part) }.map { String($0.number) }
            #expect(
                seen.isEmpty,
                "\(part) is there (\(seen)); write cases \(waiting), and take its rows out of MissingPart and CaseIndex"
            )
        }
    }
}
