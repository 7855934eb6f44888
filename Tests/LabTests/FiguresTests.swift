// The bench's figures and aims, lengths of time on the command line, and names on the wire.

import Testing

@testable import holdfast_lab

@Suite struct FiguresTests {
    @Test func percentilesAreOfTheSample() {
        let figures = Figures((1...100).map(Double.init).shuffled())
        #expect(figures == Figures((1...100).map(Double.init)))
        #expect([figures.least, figures.median, figures.percentile99, figures.most] == [1, 50, 99, 100])
    }

    @Test func theWorstOfThirtyIsTheirNinetyNinthPercentile() {
        #expect(Figures((1...30).map(Double.init)).percentile99 == 30)
    }

    @Test func twoOwnersBreakEveryAim() {
        let still = Figures([0, 0, 0])
        for aim in [Aim.fault, .planned, .heal] {
            #expect(aim.isKept(still, owners: 1))
            #expect(!aim.isKept(still, owners: 2))
        }
    }

    @Test func aimsAreKeptUpToTheirBounds() {
        #expect(Aim.fault.isKept(Figures([500, 500, 700]), owners: 1))
        #expect(!Aim.fault.isKept(Figures([501, 501, 501]), owners: 1))
        #expect(!Aim.fault.isKept(Figures([100, 100, 701]), owners: 1))
        #expect(!Aim.planned.isKept(Figures([0, 21]), owners: 1))
        #expect(!Aim.heal.isKept(Figures([0, 11]), owners: 1))
    }

    @Test func aCaseWithoutAFigureKeepsNothing() {
        #expect(!CaseResult(system: "s", name: "n", aim: .fault).isKept)
        #expect(!BenchResult(cases: [CaseResult(system: "s", name: "n", aim: .heal, failures: ["why"])]).isKept)
    }

    @Test(arguments: [("2ms", Int64(2_000_000)), ("0.5ms", 500_000), ("10s", 10_000_000_000), ("1m", 60_000_000_000)])
    func lengthsOfTimeAreRead(_ text: String, _ nanoseconds: Int64) {
        #expect(Span(argument: text)?.nanoseconds == nanoseconds)
    }

    @Test(arguments: ["", "2", "ms", "-2s", "0s", "twos"])
    func otherLengthsOfTimeAreRefused(_ text: String) { #expect(Span(argument: text) == nil) }
}

@Suite struct TopologyTests {
    private let lab = Topology.homelab

    @Test func hardwareAddressesNameTheirNode() throws {
        let host = try lab.node("pve1")
        #expect(host.hardwareAddress == "02:00:c0:a8:01:6a")
        #expect(lab.owner(ofHardwareAddress: host.hardwareAddress) == "pve1")
        #expect(lab.owner(ofHardwareAddress: host.cardHardwareAddress) == "pve1")
        #expect(lab.owner(ofHardwareAddress: Topology.observerHardwareAddress) == nil)
        let all = lab.nodes.map(\.hardwareAddress)
        #expect(Set(all).count == all.count)
    }

    @Test func theLossOfAHostTakesItsGuestsAlong() throws {
        #expect(lab.domain(of: try lab.node("pve1")).map(\.name) == ["pve1", "k8s-cp1", "k8s-cp3"])
        #expect(lab.domain(of: try lab.node("k8s-cp2")).map(\.name) == ["k8s-cp2"])
        #expect(try lab.attached(lab.node("k8s-cp2")).name == "pve2")
    }

    @Test func anUnknownNodeIsNamed() {
        #expect(throws: LabError.self) { try lab.node("pve9") }
    }

    @Test func interfacesFitTheKernelsNames() {
        #expect(lab.nodes.allSatisfy { $0.name.utf8.count <= 15 })
    }
}
