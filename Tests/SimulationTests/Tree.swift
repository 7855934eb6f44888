// The files of this repository that the simulator's tests look at.

import Foundation
import SimulationScenarios
import SimulationWorld
import Testing

@testable import holdfast_sim

enum Tree {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    static let cases = root + "/Simulation/Cases"

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(root)/\(path)") }

    /// Every Swift file of a folder and below it: its text without comments that fill a line.
    static func code(in folder: String) -> [String] {
        var texts: [String] = []
        for case let name as String in FileManager.default.enumerator(atPath: "\(root)/\(folder)") ?? .init()
        where name.hasSuffix(".swift") {
            guard let text = try? String(contentsOfFile: "\(root)/\(folder)/\(name)", encoding: .utf8) else { continue }
            let lines = text.split(separator: "\n", omittingEmptySubsequences: true).filter {
                !$0.drop(while: { $0 == " " }).hasPrefix("//")
            }
            texts.append(lines.joined(separator: "\n"))
        }
        return texts
    }

    /// The names of all scenarios of the tree, which are the names of their files.
    static let scenarioNames: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: cases)) ?? []
        return files.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
    }()

    static func plan(_ name: String, seed: UInt64 = 1) throws -> Plan {
        var plan = try ScenarioFiles.plan("\(cases)/\(name).yaml")
        plan.seed = seed
        return plan
    }
}

/// Runs a plan and, when something was violated, says so with its story.
@discardableResult
func expectHeld(_ plan: Plan, _ circumstances: String = "") -> RunResult {
    let result = World(plan).run()
    if let violation = result.violations.first {
        let story = Story.short(World(plan, tells: true).run().story).joined(separator: "\n")
        Issue.record(
            "\(plan.name), seed \(plan.seed)\(circumstances): \(violation.invariant): \(violation.words)\n\(story)")
    }
    return result
}
