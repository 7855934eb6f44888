// What one run came to, as the documented JSON object and as a few lines for people.

import Foundation
import SimulationWorld

/// `holdfast-sim run --json`. Times are seconds since the plan began, for people and for plots; histories carry exact
/// nanoseconds.
struct RunReport: Encodable {
    struct Violation: Encodable {
        let invariant: String
        let at: Double
        /// What led there, at most thirty lines.
        let story: [String]
    }

    struct Gap: Encodable {
        let from: Double
        let to: Double
    }

    struct Address: Encodable {
        let holder: String?
        let gaps: [Gap]
        let mostOwners: Int

        enum Key: String, CodingKey { case holder, gaps, mostOwners }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            // A null says that nobody holds it; a missing field would say nothing.
            try container.encode(holder, forKey: .holder)
            try container.encode(gaps, forKey: .gaps)
            try container.encode(mostOwners, forKey: .mostOwners)
        }
    }

    /// What no run has yet; the fields are there, so that readers need not be changed when they fill.
    struct Nothing: Encodable {}

    let name: String
    let seed: UInt64
    let hash: String
    let events: UInt64
    let simulatedSeconds: Double
    let wallSeconds: Double
    let violations: [Violation]
    let workloads: [String: Nothing] = [:]
    let addresses: [String: Address]
    let recoveries: [Nothing] = []
    let resets: [Nothing] = []
    let leader: String?
    let leaderChanges: Int
    let operations: Int
    let acknowledged: Int
    let healedAfterSeconds: Double?
    let legitimateStall: String?

    init(_ result: RunResult, wallSeconds: Double, story: [String]) {
        name = result.name
        seed = result.seed
        hash = String(result.hash, radix: 16)
        events = result.events
        simulatedSeconds = Self.seconds(result.simulated)
        self.wallSeconds = wallSeconds
        violations = result.violations.map {
            Violation(invariant: $0.invariant, at: Self.seconds($0.at), story: story + [$0.words])
        }
        var held: [String: Address] = [:]
        for (name, address) in result.addresses.pairs {
            let gaps = address.gaps.map { Gap(from: Self.seconds($0.from), to: Self.seconds($0.to)) }
            held[name] = Address(holder: address.holder, gaps: gaps, mostOwners: address.mostOwners)
        }
        addresses = held
        leader = result.leader
        leaderChanges = result.leaderChanges
        operations = result.operations
        acknowledged = result.acknowledged
        healedAfterSeconds = result.healedAfter.map(Self.seconds)
        legitimateStall = result.legitimateStall
    }

    private static func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// One line when all went well; what was violated, and the story, when not.
    func text() -> [String] {
        let holders = addresses.keys.sorted().map { name -> String in
            let address = addresses[name]
            let longest = address?.gaps.map { $0.to - $0.from }.max() ?? 0
            return "\(name) on \(address?.holder ?? "nobody"), longest gap \(Int((longest * 1000).rounded())) ms"
        }
        let state = ["\(leader ?? "nobody") leads, \(leaderChanges) changes"] + holders
        var lines = [
            "\(violations.isEmpty ? "held  " : "FAILED") \(name) (seed \(seed)): \(state.joined(separator: "; "))"
        ]
        for violation in violations {
            lines += violation.story.dropLast().map { "    \($0)" }
            lines.append(
                "    FAILED \(violation.invariant) at t+\(String(format: "%.3f", violation.at)): \(violation.story.last ?? "")"
            )
        }
        return lines
    }
}
