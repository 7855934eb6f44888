// The certificates of the simulated members: who can connect, what stands, and how they are renewed.

import SimulationScenarios
import Testing

@testable import SimulationWorld
@testable import holdfast_sim

@Suite struct CertificateTests {
    private static let began: Int64 = 1_800_000_000_000

    /// Two members with certificates that last an hour.
    private func pair() -> Certificates {
        var certificates = Certificates(count: 2, life: 3_600_000)
        for machine in 0..<2 {
            certificates.admit(machine, signerWall: Self.began, isNew: true, draws: Draws(seed: 1))
        }
        return certificates
    }

    private func after(_ milliseconds: Int64) -> Int64 { Self.began + milliseconds }

    // MARK: Who is believed

    @Test func theyLiveAsLongAsTheProducts() {
        let authority = Tree.code(in: "Sources/Runtime/Identity").first { $0.contains("struct ClusterAuthority") } ?? ""
        #expect(authority.contains("memberLifetime: TimeInterval = 90 * day"))
        #expect(authority.contains("backdating: TimeInterval = 5 * 60"))
        #expect(authority.contains("authorityLifetime: TimeInterval = 3653 * day"))
        #expect(Certificates.usualLife == 90 * Certificates.day && Certificates.backdating == 300_000)
        #expect(Certificates.authorityLife == 3_653 * Certificates.day)
    }

    @Test(arguments: [(-300_001, false), (-300_000, true), (0, true), (3_600_000, true), (3_600_001, false)])
    func itIsBelievedFromItsBeginToItsEnd(milliseconds: Int64, isBelieved: Bool) {
        #expect(pair().isBelieved(0, at: after(milliseconds)) == isBelieved)
    }

    @Test func whoHasNotJoinedHasNone() { #expect(!Certificates(count: 1, life: 1).isBelieved(0, at: Self.began)) }

    /// The authority itself is not valid yet for whoever's clock stands before its beginning.
    @Test func nobodyIsBelievedBeforeTheLabWasFounded() {
        var certificates = pair()
        let wall = after(-Certificates.authorityAge - 600_000)
        let signed = certificates.signed(at: wall)
        certificates.held[0]?.shown = signed
        #expect(signed.isValid(at: wall))
        #expect(!certificates.isBelieved(0, at: wall))
    }

    /// Whoever has its clock a year ahead signs what is valid for itself only.
    @Test func whatAClockAheadSignsIsForNobodyElse() {
        var certificates = pair()
        let signed = certificates.signed(at: after(Certificates.authorityAge))
        certificates.held[0]?.shown = signed
        #expect(certificates.isBelieved(0, at: after(Certificates.authorityAge)))
        #expect(!certificates.isBelieved(0, at: after(0)))
    }

    // MARK: Connections

    @Test func whatStandsOutlivesTheCertificates() {
        var certificates = pair()
        certificates.reconsider(now: 0, walls: [after(0), after(0)]) { _, _ in true }
        #expect(certificates.isCalm)
        // One of them sees the other's end.
        certificates.reconsider(now: 1, walls: [after(0), after(4_000_000)]) { from, _ in from == 0 }
        #expect(!certificates.isCalm)
        #expect(certificates.stands(from: 0, to: 1) && !certificates.stands(from: 1, to: 0))
        certificates.reconsider(now: 2, walls: [after(1), after(4_000_001)]) { _, _ in false }
        #expect(certificates.stands(from: 0, to: 1), "what stands is found once, when the first one is not believed")
        certificates.disconnect(from: 0, to: 1)
        #expect(!certificates.stands(from: 0, to: 1))
    }

    @Test func everybodyIsLookedAtAgainBeforeTheFirstCertificateEnds() {
        var certificates = pair()
        certificates.reconsider(now: 0, walls: [after(0), after(10_000)]) { _, _ in true }
        let left: Int64 = (3_600_000 - 10_000) * 1_000_000
        #expect(certificates.nextLook < left && certificates.nextLook > left / 100 * 99)
    }

    @Test func aPairIsToldOnceUntilItConnects() {
        var certificates = pair()
        let first = certificates.tellOnce(from: 0, to: 1)
        let second = certificates.tellOnce(from: 0, to: 1)
        let ofTheOtherWay = certificates.tellOnce(from: 1, to: 0)
        #expect(first && !second && ofTheOtherWay)
        certificates.connect(from: 0, to: 1)
        let afterwards = certificates.tellOnce(from: 0, to: 1)
        #expect(afterwards)
    }

    // MARK: In a lab

    private func lab(_ duration: String, _ timeline: String = "[]") throws -> Plan {
        let text = """
            name: lab
            about: A lab.
            duration: \(duration)
            hosts: {pve1: {}, pve2: {}}
            members: {witness: {kind: witness}}
            certificates: {life: 20m}
            timeline: \(timeline)

            """
        return try ScenarioFiles.plan(Array(text.utf8), file: "lab.yaml")
    }

    private func story(_ world: World) -> [String] { world.run().story.map(\.words) }

    @Test func asLongAsAllAreValidNothingIsDifferent() throws {
        var plan = try Tree.plan("host-dies")
        let usual = World(plan).run()
        plan.conditions.certificateLife = 3_600_000_000_000
        #expect(World(plan).run().hash == usual.hash)
    }

    @Test func everybodyRenewsAtTwoThirds() throws {
        let world = World(try lab("10m"), tells: true)
        let told = world.run().story.filter { $0.words.hasSuffix(": the certificate is renewed") }
        #expect(told.map(\.words).sorted() == ["pve1", "pve2", "witness"].map { "\($0): the certificate is renewed" })
        for line in told {
            // Two thirds of 1,500 seconds, less up to 50; the first certificates are 133 seconds old, and begin 300 before
            // that. The lab took some seconds to found, and clocks differ by some.
            #expect((500_000_000_000...572_000_000_000).contains(line.at), "\(line.text)")
        }
        #expect(world.certificates.isCalm)
    }

    /// The product asks the next host only when one does not sign. So one host with a clock ahead keeps all others from
    /// getting a certificate of use, though its neighbour could sign.
    /// Started anew, pve1 signs for itself at once, and is believed five minutes later. What it signs begins later still.
    @Test func aHostWhoseClockIsAheadIsNotTheLastOneAsked() throws {
        let steps = "{at: 10s, do: [step-clock pve1 10m, kill-agent pve1]}, {at: 11s, do: start-agent pve1}"
        let told = story(World(try lab("11m", "[\(steps)]"), tells: true))
        #expect(told.contains("witness: the certificate is renewed"))
        #expect(!told.contains("witness: the certificate was not renewed; asking again"))
    }

    /// A host that does not answer, or is not believed itself, is passed by.
    @Test(arguments: ["kill-agent pve1", "cut witness pve1", "step-clock pve1 9000h"])
    func theNextHostIsAsked(fault: String) throws {
        let told = story(World(try lab("11m", "[{at: 10s, do: \(fault)}]"), tells: true))
        #expect(told.contains("witness: the certificate is renewed"))
    }

    @Test func whoCannotConnectIsToldOfOnce() throws {
        let steps =
            "[{at: 10s, do: step-clock pve1 9000h}, {at: 20s, do: kill-agent pve1}, {at: 21s, do: start-agent pve1}]"
        let told = story(World(try lab("40s", steps), tells: true))
        let words = "pve2 cannot connect to pve1: pve2 does not accept the certificate of pve1"
        #expect(told.count { $0 == words } == 1)
        let before = told.prefix { $0 != "— kill-agent pve1 —" }
        #expect(before.count < told.count && !before.contains { $0.contains("cannot connect") })
    }
}
