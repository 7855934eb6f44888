// Declarations of the past, and changes on trial.

import Consensus
import Testing

@testable import Cluster

@Suite struct RevisionTests {
    private let dns = ResourceKey(kind: "VirtualIP", name: "dns")

    private func label(_ bench: ClusterBench, _ key: ResourceKey = ClusterBench.api) -> String? {
        bench.state.resources[key]?.declaration.labels["n"]
    }

    private func trial(_ label: String, milliseconds: Int64? = 60_000) -> Command {
        .apply(
            declarations: [
                Declaration(
                    kind: "VirtualIP", name: "api", labels: ["n": .init(label)], spec: ["address": "192.168.1.99/24"])
            ], checkRevision: nil, trialMilliseconds: milliseconds)
    }

    // MARK: Revisions

    @Test func whatWasDeclaredAtARevisionIsKnown() {
        var bench = ClusterBench.founded()
        let first = bench.state.revision
        bench.declare(ClusterBench.api, label: "2")
        bench.apply(.put(key: "unrelated", value: "", expected: nil))
        let second = bench.state.revision
        bench.declare(dns, address: "192.168.1.2/24")
        bench.apply(.delete(keys: [ClusterBench.api], checkRevision: nil))
        #expect(bench.state.declarations(at: first)?[ClusterBench.api]?.labels["n"] == "1")
        #expect(bench.state.declarations(at: first)?.keys == [ClusterBench.api])
        #expect(bench.state.declarations(at: second)?[ClusterBench.api]?.labels["n"] == "2")
        #expect(bench.state.declarations(at: bench.state.revision)?.keys == [dns])
        #expect(bench.state.declarations(at: bench.state.revision + 1) == nil)
        #expect(bench.state.declarations(at: 0)?.isEmpty == true, "before everything")
    }

    @Test func rollingBackDeclaresWhatWasDeclared() {
        var bench = ClusterBench.founded()
        let first = bench.state.revision
        bench.declare(ClusterBench.api, label: "2")
        bench.declare(dns, address: "192.168.1.2/24")
        #expect(bench.apply(.rollBack(revision: first, checkRevision: nil)).code == .done)
        #expect(label(bench) == "1")
        #expect(bench.state.resources[dns] == nil)
        #expect(bench.state.roles[dns] == nil)
        #expect(bench.state.declarationChanges.last?.what == "rolled back to \(first)")
        #expect(bench.apply(.rollBack(revision: first, checkRevision: nil)).code == .unchanged)
    }

    @Test func aRollBackCanBeRolledBack() {
        var bench = ClusterBench.founded()
        let first = bench.state.revision
        bench.declare(ClusterBench.api, label: "2")
        let second = bench.state.revision
        bench.apply(.rollBack(revision: first, checkRevision: nil))
        #expect(bench.apply(.rollBack(revision: second, checkRevision: nil)).code == .done)
        #expect(label(bench) == "2")
    }

    @Test func aRollBackHeedsTheIndexItWasPlannedAt() {
        var bench = ClusterBench.founded()
        let first = bench.state.revision
        bench.declare(ClusterBench.api, label: "2")
        #expect(bench.apply(.rollBack(revision: first, checkRevision: first)).code == .conflict)
    }

    @Test func aRevisionThatIsForgottenIsSaidToBe() {
        var bench = ClusterBench.founded()
        let first = bench.state.revision
        for number in 0...ClusterState.mostDeclarationChanges { bench.declare(ClusterBench.api, label: "n\(number)") }
        #expect(bench.state.declarationChanges.count == ClusterState.mostDeclarationChanges)
        #expect(bench.apply(.rollBack(revision: first, checkRevision: nil)).code == .notFound)
        let oldest = bench.state.oldestKnownDeclarations
        #expect(bench.apply(.rollBack(revision: oldest, checkRevision: nil)).code == .done)
        #expect(label(bench) == "n0")
    }

    @Test func manyLargeChangesAreForgottenSooner() {
        var bench = ClusterBench.founded()
        for round in 0..<5 {
            let declarations = (0..<900).map {
                Declaration(kind: "Host", name: "h\($0)", labels: ["n": .init("\(round)")], spec: [:])
            }
            bench.apply(.apply(declarations: declarations, checkRevision: nil))
        }
        let kept = bench.state.declarationChanges.reduce(0) { $0 + $1.parts.count }
        #expect(kept <= ClusterState.mostDeclarationParts)
        #expect(bench.state.declarationChanges.count == 2)
    }

    @Test func nothingChangedIsNoRevision() {
        var bench = ClusterBench.founded()
        let count = bench.state.declarationChanges.count
        bench.declare(ClusterBench.api)
        #expect(bench.state.declarationChanges.count == count)
    }

    // MARK: Trials

    @Test func aTrialIsInForceAtOnce() {
        var bench = ClusterBench.founded()
        #expect(bench.apply(trial("2")).code == .done)
        #expect(label(bench) == "2")
        #expect(bench.state.trial?.revision == bench.state.revision)
        #expect(bench.state.trial?.endsMilliseconds == 61_000)
    }

    @Test func aConfirmedTrialStays() {
        var bench = ClusterBench.founded()
        bench.apply(trial("2"))
        let revision = bench.state.revision
        #expect(bench.apply(.settleTrial(revision: revision, keep: true)).code == .done)
        #expect(label(bench) == "2" && bench.state.trial == nil)
        #expect(bench.apply(.settleTrial(revision: revision, keep: false)).code == .notFound)
        #expect(label(bench) == "2")
    }

    @Test func aTrialThatIsNotKeptIsUndone() {
        var bench = ClusterBench.founded()
        bench.apply(trial("2"))
        bench.apply(.put(key: "unrelated", value: "", expected: nil))
        #expect(bench.apply(.settleTrial(revision: bench.state.revision - 1, keep: false)).code == .done)
        #expect(label(bench) == "1" && bench.state.trial == nil)
        #expect(bench.state.events.contains { $0.type == "TrialRolledBack" })
        bench.declare(ClusterBench.api, label: "3")
        #expect(label(bench) == "3")
    }

    @Test func onlyTheTrialThatIsNamedIsSettled() {
        var bench = ClusterBench.founded()
        bench.apply(trial("2"))
        #expect(bench.apply(.settleTrial(revision: 1, keep: true)).code == .notFound)
        #expect(bench.state.trial != nil)
    }

    @Test func whileATrialRunsNothingElseIsDeclared() {
        var bench = ClusterBench.founded()
        bench.apply(trial("2"))
        let others: [Command] = [
            trial("3"), trial("3", milliseconds: nil), .delete(keys: [ClusterBench.api], checkRevision: nil),
            .rollBack(revision: 3, checkRevision: nil),
        ]
        for command in others {
            let outcome = bench.apply(command)
            #expect(outcome.code == .conflict && outcome.message.contains("on trial by tester"))
        }
        #expect(label(bench) == "2")
    }

    @Test func aTrialThatChangesNothingIsNone() {
        var bench = ClusterBench.founded()
        #expect(bench.apply(trial("1")).code == .unchanged)
        #expect(bench.state.trial == nil)
    }

    @Test func aTrialTakesFromASecondToADay() {
        var bench = ClusterBench.founded()
        for length in [0, 999, 86_400_001, -1, Int64.min] as [Int64] {
            #expect(bench.apply(trial("2", milliseconds: length)).code == .invalid)
        }
        #expect(bench.apply(trial("2", milliseconds: 86_400_000)).code == .done)
    }
}
