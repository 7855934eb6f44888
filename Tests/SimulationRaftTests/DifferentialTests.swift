// The comparison with etcd's raft on a few programs; `Simulation/RaftAlone/differential.sh` runs ten thousand. And proof,
// without another Raft, that the comparison sees a Raft that is wrong.

import Foundation
import Testing

@testable import SimulationRaft
@testable import holdfast_sim

@Suite struct DifferentialTests {
    private static let programs: UInt64 = 16

    private static let go: String? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/go" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }()
    private static let isHere = go != nil && Vectors.areHere

    /// Builds the oracle where the script builds it, and gives its path.
    private static func oracle() throws -> String {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        process.arguments = ["300", root.path + "/Simulation/RaftAlone/differential.sh", "--oracle-only"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return String(decoding: output, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    @Test(
        .enabled(
            if: isHere, "etcd's raft is not here to compare with; apt install golang-go golang-etcd-server-dev"))
    func etcdsRaftGivesTheSameAnswers() throws {
        var other = try OracleProcess(path: try Self.oracle())
        var totals = Differential.Totals()
        for seed in 1...Self.programs {
            let failure = try Differential.run(seed: seed, against: &other, totals: &totals)
            #expect(failure == nil, "seed \(seed)")
        }
        #expect(totals.programs == Self.programs)
        #expect(totals.lockstep > 0 && totals.lockstep < totals.programs)
        #expect(totals.configurationChanges > 0)
    }

    /// Answers as our own core does, but for what `spoil` makes of it.
    private struct Spoiled: OtherRaft {
        let spoil: (inout MemberState) -> Void

        mutating func answers(to program: [String]) throws -> [[UInt8]] {
            var cluster = LoneCluster()
            return try program.map { line in
                try cluster.perform(try RaftOperation(line: Array(line.utf8)))
                var states = cluster.states
                for position in states.indices { spoil(&states[position]) }
                return Array(states.line.utf8)
            }
        }
    }

    private func failure(spoil: @escaping (inout MemberState) -> Void) throws -> Differential.Failure? {
        var other = Spoiled(spoil: spoil)
        var totals = Differential.Totals()
        for seed in 1...Self.programs {
            if let failure = try Differential.run(seed: seed, against: &other, totals: &totals) { return failure }
        }
        return nil
    }

    @Test func aRaftAgreesWithItself() throws {
        let found = try failure { _ in }
        #expect(found == nil)
    }

    @Test func aDifferenceIsSeenAndMadeSmall() throws {
        let vote = try #require(try failure { if $0.id == 2, $0.term == 2 { $0.vote = 2 } })
        #expect(vote.reason.contains("vote") || vote.reason.contains("voted"))
        #expect(vote.program.count < 60)
        let log = try failure { if $0.id == 1, $0.log.count > 3 { $0.log.removeLast() } }
        #expect(log != nil)
        let applied = try failure { if $0.applied.count > 2 { $0.applied.swapAt(0, 1) } }
        #expect(applied?.reason.contains("applied") == true)
        let term = try failure { if $0.id == 3, $0.term > 1 { $0.term -= 1 } }
        #expect(term != nil)
        let configuration = try failure { if $0.configuration.hasPrefix("voters=(1 2 3)") { $0.configuration = "" } }
        #expect(configuration?.reason.contains("configuration") == true)
        let silence = try failure { $0.role = .follower }
        #expect(silence != nil)
    }

    @Test func aSeedAlwaysGivesTheSameProgram() {
        for seed in 1...Self.programs as ClosedRange<UInt64> {
            var players = [Player(DifferentialProgram(seed: seed)), Player(DifferentialProgram(seed: seed))]
            for position in players.indices {
                if players[position].program.mode == .chaos {
                    players[position].playChaos()
                } else {
                    players[position].playLockstep()
                }
            }
            #expect(players[0].operations == players[1].operations)
            #expect(players[0].states == players[1].states)
            #expect(players[0].operations.count > 20)
        }
    }

    @Test func statesAreReadAsTheyAreWritten() {
        var player = Player(DifferentialProgram(seed: 4))
        player.playLockstep()
        #expect(StateReader.read(Array(player.states.line.utf8)) == player.states)
        #expect(StateReader.read(Array("[]x".utf8)) == nil)
        #expect(StateReader.read(Array(player.states.line.dropLast().utf8)) == nil)
    }

    @Test func operationsAreReadAsTheyAreWritten() throws {
        for seed in 1...Self.programs as ClosedRange<UInt64> {
            var player = Player(DifferentialProgram(seed: seed))
            player.playChaos()
            for operation in player.operations {
                #expect(try RaftOperation(line: Array(operation.line.utf8)) == operation)
            }
        }
    }
}
