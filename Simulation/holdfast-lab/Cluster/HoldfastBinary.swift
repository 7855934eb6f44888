// The `holdfast` program as a person uses it: found beside the laboratory's own, run inside a node of the lab, its JSON
// read. Nothing is linked from the product; its command line is the contract.

import ArgumentParser
import FoundationEssentials
import Glibc

/// `--holdfast`.
struct HoldfastOptions: ParsableArguments {
    @Option(name: .customLong("holdfast"), help: "The holdfast program. Default: beside this one.")
    var path: String?

    /// - Throws: when there is none.
    func binary() throws -> String {
        let candidate = try path.map(Executables.absolute) ?? "\(Executables.ownFolder())/holdfast"
        guard Executables.isExecutable(candidate) else {
            throw LabError(
                "there is no holdfast program at \(candidate); build it (swift build --product holdfast), "
                    + "name it with --holdfast, or start with --network-only")
        }
        return candidate
    }
}

/// What `holdfast status -o json` says, as far as the laboratory reads it.
struct ClusterStatus: Codable, Equatable {
    struct Member: Codable, Equatable {
        var name: String
        var kind: String
        var host: String?
        var reachable: Bool
        var voter: Bool
    }

    struct Address: Codable, Equatable {
        var name: String
        var address: String
        var holder: String?
        var epoch: UInt64?
        var reason: String?

        /// Without the length of its prefix.
        var plain: String { String(address.prefix { $0 != "/" }) }
    }

    var leader: String?
    var revision: UInt64?
    var members: [Member]
    var addresses: [Address]

    func address(_ plain: String) -> Address? { addresses.first { $0.plain == plain } }
}

/// Runs `holdfast` inside the lab.
struct HoldfastClient {
    let client: KeeperClient
    let binary: String
    let topology = Topology.homelab

    static let interfacePort = 7443
    static let peerPort = 7400

    /// All peers, or just one.
    func endpoints(_ member: String? = nil) -> String {
        topology.members.filter { member == nil || $0.name == member }
            .map { "\($0.address):\(Self.interfacePort)" }.joined(separator: ",")
    }

    /// A command line from the client's seat.
    func arguments(_ words: [String], via member: String? = nil, timeout: String = "2s") -> [String] {
        [binary] + words + ["--endpoints", endpoints(member), "--timeout", timeout]
    }

    /// Runs it from the client's seat and answers what came of it; only a failure to start throws.
    func run(
        _ words: [String], via member: String? = nil, timeoutSeconds: Int = 2, from node: String = "client"
    ) throws -> Command.Result {
        let line = arguments(words, via: member, timeout: "\(timeoutSeconds)s")
        var command = Command(try client.inside(node, line))
        command.additionalEnvironment = ["HOLDFAST_CONFIG": client.directory.context]
        command.deadlineMilliseconds = timeoutSeconds * 1000 + 20_000
        return try command.run()
    }

    /// Runs it and answers its output. - Throws: with what it said.
    @discardableResult
    func output(_ words: [String], via member: String? = nil, timeoutSeconds: Int = 20) throws -> String {
        let result = try run(words, via: member, timeoutSeconds: timeoutSeconds)
        guard result.succeeded else {
            throw LabError("holdfast \(words.joined(separator: " ")): \(result.complaint)")
        }
        return result.output
    }

    /// The cluster as any peer tells it; nil while no peer can.
    func status() throws -> ClusterStatus? {
        let result = try run(["status", "-o", "json"])
        guard result.succeeded else { return nil }
        do { return try JSONDecoder().decode(ClusterStatus.self, from: Data(result.output.utf8)) } catch {
            throw LabError("holdfast status -o json: not what was agreed on: \(error)")
        }
    }

    /// Asks again and again until `condition` holds. - Throws: at the deadline, with `expectation` and the last answer.
    @discardableResult
    func wait(
        for expectation: String, seconds: Int, _ condition: (ClusterStatus) -> Bool
    ) throws -> ClusterStatus {
        let deadline = Deadline.after(milliseconds: seconds * 1000)
        var last: ClusterStatus?
        repeat {
            if let status = try status() {
                if condition(status) { return status }
                last = status
            }
            // The cadence of asking, not a wait for something: each answer costs a process.
            _ = waitReadable([], until: .after(milliseconds: 100))
        } while !deadline.hasPassed
        let seen = try last.map { try jsonLine($0) } ?? "no peer answered"
        throw LabError.timedOut("\(expectation) did not happen within \(seconds) s; last seen: \(seen)")
    }
}
