// `holdfast-sim what-if`: the rehearsal of `holdfast what-if`, on the lab of a scenario file instead of a live cluster.

import ArgumentParser
import Foundation
import SimulationWhatIf
import SimulationWorld

struct WhatIfCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "what-if", abstract: "What would come of a loss, in the lab of a scenario.",
        discussion: """
            The scenario's lab is founded, its timeline left out; then what is named is lost. Ends with 1 when something \
            stays down. For example: what-if lab.yaml host/pve1 link/pve1:pve2
            """)

    @Argument(help: "A scenario file.") var file: String
    @Argument(help: "host/NAME, member/NAME, vm/NAME, ct/NAME, link/A:B or network/NAME; several are lost at once.")
    var losses: [String] = []
    @Option(help: "The seed of everything that is left to chance.") var seed = WhatIf.usualSeed
    @Flag(help: "Every single loss.") var allSingle = false
    @Flag(help: "Every two losses at once.") var allDouble = false
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        var plan = try ScenarioFiles.plan(file)
        plan.timeline = []
        guard let present = World(plan).found() else {
            throw ValidationError("\(file): the lab does not come up; see: holdfast-sim run \(file) --story")
        }
        let cluster = PresentCluster(
            state: present.state, configuration: present.configuration, leader: present.leader)
        do {
            if allSingle || allDouble {
                try series(cluster)
            } else {
                let supposition = try cluster.supposition(losses)
                let forecast = try WhatIf.forecast(cluster, [supposition], seed: seed)
                print(json ? try Self.json(forecast) : forecast.lines(everything: true).joined(separator: "\n"))
                if !forecast.isSurvived { throw ExitCode(1) }
            }
        } catch let refusal as RehearsalRefusal {
            throw ValidationError(refusal.description)
        }
    }

    private func series(_ cluster: PresentCluster) throws {
        let all = (allSingle ? cluster.singleLosses : []) + (allDouble ? cluster.doubleLosses : [])
        let began = Date()
        let rows = try all.map { SeriesRow(try WhatIf.forecast(cluster, [$0], seed: seed)) }
        let wall = Date().timeIntervalSince(began)
        if json {
            print(try Self.json(rows))
        } else {
            for row in rows { print(row.cells.joined(separator: "  |  ")) }
            print("\(rows.count) rehearsals in \(String(format: "%.2f", wall)) s")
        }
        if rows.contains(where: { !$0.isSurvived }) { throw ExitCode(1) }
    }

    private static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
