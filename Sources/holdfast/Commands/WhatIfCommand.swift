// What would come of a loss. The cluster is asked once for its state; the rehearsal runs here, in the person's own process,
// so that nothing is asked of the agents that could hold up a heartbeat.

import API
import ArgumentParser
import Cluster
import Consensus
import FoundationEssentials
import SimulationWhatIf

struct WhatIfCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "what-if",
        abstract: "What would come of a loss: what happens when, what stays down and why. Exit code 1: something.",
        discussion: """
            holdfast what-if host/pve1                    it loses its power, with everything on it
            holdfast what-if link/pve1:pve2 member/witness    both at once
            holdfast what-if host/pve1 --then host/pve2   the second when all has come to rest from the first
            holdfast what-if --all-single --all-double    a table of everything that can be lost

            Subjects are host/NAME, member/NAME, witness/NAME, vm/NAME, ct/NAME, link/A:B, and network/NAME (it reaches
            nobody any more). The same decisions as the cluster's own are made in a simulated one that begins as this one
            is now; nothing is changed. Wires are as slow as was measured; how long guests and hosts take is assumed, and
            -o wide says what was.
            """)

    @Argument(help: "What is lost, all at once: host/pve1, vm/gitlab, link/pve1:pve2.") var losses: [String] = []
    @Flag(help: "Hosts and members stand still for 30 s instead of losing their power.") var pause = false
    @Flag(help: "Hosts and members lose their power; so it is unless something else is said.") var power = false
    @Option(help: ArgumentHelp("Two machines that do not reach each other.", valueName: "a:b")) var isolate: [String] =
        []
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Lost when everything has come to rest from what was lost before.", valueName: "subject"))
    var then: [String] = []
    @Flag(help: "Each machine, and each link between two of them, on its own.") var allSingle = false
    @Flag(help: "Every two of them at once.") var allDouble = false
    @Option(help: "The seed of everything that is left to chance.") var seed = WhatIf.usualSeed
    @Option(help: "Rehearse so many times, with other seeds, and show how the gaps are distributed.") var runs = 1
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions

    func validate() throws {
        let isSeries = allSingle || allDouble
        if isSeries, !losses.isEmpty || !isolate.isEmpty || !then.isEmpty {
            throw ValidationError("--all-single and --all-double rehearse every loss; name none.")
        }
        if !isSeries, losses.isEmpty, isolate.isEmpty {
            throw ValidationError("Name what is lost, like host/pve1, or --all-single.")
        }
        if pause, power { throw ValidationError("--pause and --power say two things of the same machines.") }
        guard (1...1_000).contains(runs) else { throw ValidationError("--runs takes 1 to 1000.") }
        if isSeries, runs > 1 {
            throw ValidationError("--runs is about one loss; leave out --all-single and --all-double.")
        }
    }

    func run() async throws {
        let cluster = try await connection.withClient { client, limit in
            try await Rehearsing.present(client, read.consistency, limit)
        }
        let rehearsing = try Rehearsing(cluster, within: connection.timeout?.duration)
        if allSingle || allDouble { return try showSeries(rehearsing) }
        let suppositions = try rehearsing.read {
            (cluster) throws(RehearsalRefusal) in
            var all = [try cluster.supposition(losses, isPause: pause, isolated: isolate)]
            for each in then { all.append(try cluster.supposition([each], isPause: pause)) }
            return all
        }
        if runs > 1 { return try showDistribution(rehearsing, suppositions) }
        let forecast = try rehearsing.forecast(suppositions, seed: seed)
        output.show(forecast, name: { forecast.down.map(\.subject).joined(separator: "\n") }) { wide in
            forecast.lines(everything: wide).joined(separator: "\n")
        }
        if !forecast.isSurvived { throw ExitCode(ExitStatus.difference) }
    }

    private func showSeries(_ rehearsing: Rehearsing) throws {
        let all =
            (allSingle ? rehearsing.cluster.singleLosses : []) + (allDouble ? rehearsing.cluster.doubleLosses : [])
        let rows = try all.map { SeriesRow(try rehearsing.forecast([$0], seed: seed)) }
        let fatal = rows.filter { !$0.isSurvived }
        output.show(rows, name: { fatal.map(\.supposed).joined(separator: "\n") }) { _ in
            var table = Table(SeriesRow.header)
            for row in rows { table.add(row.cells) }
            let count = "\(rows.count - fatal.count) of \(rows.count) losses would be survived."
            return (table.lines() + ["", count]).joined(separator: "\n")
        }
        if !fatal.isEmpty { throw ExitCode(ExitStatus.difference) }
    }

    private func showDistribution(_ rehearsing: Rehearsing, _ suppositions: [Supposition]) throws {
        var distribution = Distribution()
        for offset in 0..<UInt64(runs) {
            distribution.add(try rehearsing.forecast(suppositions, seed: seed &+ offset))
        }
        output.show(distribution, name: { distribution.down.keys.joined(separator: "\n") }) { _ in
            var table = Table(Distribution.header)
            for row in distribution.rows { table.add(row) }
            let count = "\(distribution.survived) of \(distribution.runs) rehearsals were survived."
            let lost = distribution.firstLoss.map { ["", "With seed \($0.seed): \($0.verdict)"] } ?? []
            return (table.lines() + ["", count] + lost).joined(separator: "\n")
        }
        if distribution.survived < distribution.runs { throw ExitCode(ExitStatus.difference) }
    }
}

/// Rehearsals of one cluster, within a bound of real time.
struct Rehearsing {
    /// So that a command that hangs on a strange state ends.
    static let usualLimit: Duration = .seconds(60)

    let cluster: PresentCluster
    private let deadline: ContinuousClock.Instant

    init(_ cluster: PresentCluster, within limit: Duration?) throws {
        self.cluster = cluster
        deadline = .now + (try limit ?? ConnectionOptions.limit(usually: Self.usualLimit))
    }

    /// Asks the cluster for its state, and the member that answered for the round trips that it measures.
    static func present(
        _ client: HoldfastClient, _ consistency: ReadConsistency, _ limit: Duration
    ) async throws -> PresentCluster {
        let document = try await client.present(consistency, within: limit)
        if consistency == .local { Terminal.current.note(StatusText.age(document.read)) }
        if document.version != Version.current {
            Terminal.current.note(
                "the member that answered runs \(document.version); the rehearsal follows the rules of \(Version.current)"
            )
        }
        // What is measured makes a rehearsal better; without it there is one all the same.
        let readings = try? await client.selfReadings(within: limit)
        return try document.cluster(roundTrips: readings?.roundTrips.map(\.microseconds) ?? [])
    }

    func read<Result>(
        _ work: (PresentCluster) throws(RehearsalRefusal) -> Result
    ) throws -> Result {
        do { return try work(cluster) } catch { throw Self.failure(error) }
    }

    func forecast(_ suppositions: [Supposition], seed: UInt64) throws -> Forecast {
        try within { (isCancelled) throws(RehearsalRefusal) in
            try WhatIf.forecast(cluster, suppositions, seed: seed, isCancelled: isCancelled)
        }
    }

    /// Runs what asks now and then whether the time is up.
    func within<Result>(
        _ work: (_ isCancelled: @escaping () -> Bool) throws(RehearsalRefusal) -> Result
    ) throws -> Result {
        let deadline = deadline
        do { return try work { ContinuousClock.now >= deadline } } catch { throw Self.failure(error) }
    }

    static func failure(_ refusal: RehearsalRefusal) -> CommandFailure {
        CommandFailure(ExitStatus.error, refusal.description, next: "holdfast what-if --help")
    }
}

extension PresentDocument {
    /// - Throws: `CommandFailure` when the state is of a newer version, or no state.
    func cluster(roundTrips: [Int64]) throws -> PresentCluster {
        guard let data = Data(base64Encoded: state) else {
            throw CommandFailure(ExitStatus.error, "the member's state is not in base64")
        }
        let state: ClusterState
        do {
            state = try ClusterState(encoded: Array(data))
        } catch {
            throw CommandFailure(
                ExitStatus.error, "the state of the cluster (version \(version)) is not understood: \(error)",
                next: "rehearse with the program of a member: holdfast version, holdfast cluster members")
        }
        guard
            Configuration.isWellFormed(
                voters: voters, learners: learners, outgoingVoters: outgoingVoters, learnersNext: learnersNext)
        else { throw CommandFailure(ExitStatus.error, "the member names voters that cannot be") }
        let configuration = Configuration(
            voters: voters, learners: learners, outgoingVoters: outgoingVoters, learnersNext: learnersNext)
        return PresentCluster(
            state: state, configuration: configuration, leader: leader, silent: silent, roundTrips: roundTrips)
    }
}
