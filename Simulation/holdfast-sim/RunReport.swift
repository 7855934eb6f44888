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

    struct Workload: Encodable {
        let state: String
        let host: String?
        let starts: Int
        let moves: Int
        let reason: String

        enum Key: String, CodingKey { case state, host, starts, moves, reason }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(state, forKey: .state)
            // A null says that it is on no host.
            try container.encode(host, forKey: .host)
            try container.encode(starts, forKey: .starts)
            try container.encode(moves, forKey: .moves)
            try container.encode(reason, forKey: .reason)
        }
    }

    struct Recovery: Encodable {
        let workload: String
        let lostAt: Double
        let startedAt: Double
        let from: String?
        let to: String
        /// blocklist, watchdog or power; null: nothing had to be fenced.
        let fence: String?

        enum Key: String, CodingKey { case workload, lostAt, startedAt, from, to, fence }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(workload, forKey: .workload)
            try container.encode(lostAt, forKey: .lostAt)
            try container.encode(startedAt, forKey: .startedAt)
            try container.encode(from, forKey: .from)
            try container.encode(to, forKey: .to)
            try container.encode(fence, forKey: .fence)
        }
    }

    struct Reset: Encodable {
        let host: String
        let at: Double
        let why: String
    }

    let name: String
    let seed: UInt64
    let hash: String
    let events: UInt64
    let simulatedSeconds: Double
    let wallSeconds: Double
    let violations: [Violation]
    let workloads: [String: Workload]
    let addresses: [String: Address]
    let recoveries: [Recovery]
    let resets: [Reset]
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
        var running: [String: Workload] = [:]
        for (name, workload) in result.workloads.pairs {
            running[name] = Workload(
                state: workload.state, host: workload.host, starts: workload.starts, moves: workload.moves,
                reason: workload.reason)
        }
        workloads = running
        recoveries = result.recoveries.map {
            Recovery(
                workload: $0.workload, lostAt: Self.seconds($0.lostAt), startedAt: Self.seconds($0.startedAt),
                from: $0.from, to: $0.to, fence: $0.fence)
        }
        resets = result.resets.map { Reset(host: $0.host, at: Self.seconds($0.at), why: $0.why) }
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
        let guests = workloads.keys.sorted().map { name -> String in
            let workload = workloads[name]
            return "\(name) \(workload?.state ?? "absent") on \(workload?.host ?? "no host")"
        }
        let state = ["\(leader ?? "nobody") leads, \(leaderChanges) changes"] + holders + guests
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
