// `holdfast-sim growth`: what the agents' own decisions cost as a lab gets more voters, more learners and more addresses.
// Sockets, TLS and disks are not in it: Simulation/Bench/growth.sh measures real agents.

import ArgumentParser
import Cluster
import SimulationWorld

struct GrowthCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "growth", abstract: "Measures what a lab at rest costs as it grows.")

    @Option(name: .customLong("simulate"), help: "Simulated time that each lab is at rest.")
    var length = "60s"

    func run() throws {
        let length = try Arguments.length(length)
        print("VOTERS  LEARNERS  ADDRESSES   EVENTS/S   CPU MS/S   CPU µS/S AND MEMBER")
        for voters in [3, 5, 7] { measure(voters: voters, learners: 0, addresses: 2, length) }
        for learners in [10, 30, 100] { measure(voters: 3, learners: learners, addresses: 2, length) }
        for addresses in [10, 100, 1_000] { measure(voters: 3, learners: 0, addresses: addresses, length) }
    }

    /// The difference between a long run and a short one: what founding and joining cost is in both.
    private func measure(voters: Int, learners: Int, addresses: Int, _ length: Int64) {
        let short = spent(lab(voters: voters, learners: learners, addresses: addresses, length / 4))
        let long = spent(lab(voters: voters, learners: learners, addresses: addresses, length / 4 + length))
        let seconds = Double(length) / 1e9
        let milliseconds = (long.processor - short.processor) * 1e3 / seconds
        let columns = [
            (String(voters), 6), (String(learners), 10), (String(addresses), 11),
            (String(Int(Double(long.events - short.events) / seconds)), 11), (Self.rounded(milliseconds), 11),
            (Self.rounded(milliseconds * 1e3 / Double(voters + learners)), 22),
        ]
        print(columns.map { String(repeating: " ", count: max(0, $1 - $0.count)) + $0 }.joined())
    }

    private func spent(_ plan: Plan) -> (events: UInt64, processor: Double) {
        let before = Corpus.threadSeconds()
        let result = World(plan).run()
        return (UInt64(result.events), Corpus.threadSeconds() - before)
    }

    /// Nobody but the agents: no clients, no probes, no faults.
    private func lab(voters: Int, learners: Int, addresses: Int, _ length: Int64) -> Plan {
        var plan = Plan(name: "growth", seed: 1, length: length)
        plan.members = [Plan.Member(name: "pve1", kind: .host), Plan.Member(name: "pve2", kind: .host)]
        plan.members.append(Plan.Member(name: "witness", kind: .witness))
        for number in 3..<voters { plan.members.append(Plan.Member(name: "pve\(number)", kind: .host)) }
        for number in 0..<learners {
            plan.members.append(Plan.Member(name: "guest\(number)", kind: .guest, host: "pve\(number % 2 + 1)"))
        }
        plan.addresses = (0..<addresses).map { number in
            Plan.Address(
                name: "address\(number)", address: "10.0.\(number / 250).\(number % 250 + 1)",
                candidates: ["pve1", "pve2"])
        }
        return plan
    }

    private static func rounded(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
