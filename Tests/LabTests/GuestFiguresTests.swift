// The bench's figures of virtual machines: aims, tables, and what is read off a process.

import Testing

@testable import holdfast_lab

@Suite struct GuestFiguresTests {
    private static func result(
        _ fencing: GuestFencing, start: Double, answers: Double, twoWriters: [String] = []
    ) -> GuestCaseResult {
        let back = GuestReturn(guest: "mail", host: "pve1", startIssued: start, answered: answers)
        var result = GuestCaseResult(fencing: fencing, means: .powerOff, hitsLeader: true)
        result.repetitions = [GuestRepetition(host: "pve2", wasLeader: true, guests: [back])]
        result.disksWithTwoWriters = twoWriters
        return result
    }

    @Test func eachWayOfFencingHasItsAim() {
        #expect(Self.result(.storage, start: 3_000, answers: 9_000).isKept)
        #expect(!Self.result(.power, start: 3_001, answers: 3_002).isKept)
        #expect(Self.result(.watchdog, start: 25_000, answers: 27_000).isKept)
        #expect(!Self.result(.watchdog, start: 25_001, answers: 27_000).isKept)
    }

    @Test func twoWritersBreakEveryAim() {
        #expect(!Self.result(.watchdog, start: 1, answers: 2, twoWriters: ["mail"]).isKept)
        var drain = DepartureResult(departure: .drain)
        drain.repetitions = [
            DepartureRepetition(
                host: "pve1", wasLeader: false, guests: 20, emptyAfterSeconds: 60, longestGapMilliseconds: 2_000)
        ]
        #expect(drain.isKept)
        drain.disksWithTwoWriters = ["crowd-100"]
        #expect(!drain.isKept)
    }

    @Test func aDrainIsJudgedByItsLongestGap() {
        var drain = DepartureResult(departure: .drain)
        #expect(!drain.isKept)
        for gap in [0.0, 2_001] {
            drain.repetitions.append(
                DepartureRepetition(
                    host: "pve1", wasLeader: false, guests: 20, emptyAfterSeconds: 60, longestGapMilliseconds: gap))
        }
        #expect(!drain.isKept)
    }

    @Test func theTableSaysWhoLedAndWhatWasKept() {
        let table = GuestCaseResult.table([Self.result(.watchdog, start: 24_000, answers: 26_000)])
        let row = table.split(separator: "\n").last.map { $0.split(separator: " ").map(String.init) }
        #expect(
            row == [
                "watchdog", "of", "15", "s", "yes", "1", "24000", "24000", "26000", "26000", "0", "≤", "25000", "/",
                "25000", "yes",
            ])
    }

    @Test func theWatchdogIsMeasuredWithoutPowerAndWithoutCable() {
        #expect(GuestFencing.watchdog.losses == [.powerOff, .isolation])
        #expect(GuestFencing.watchdog.outfit.watchdogSeconds == 15)
        #expect(GuestFencing.multiplexer.outfit.watchdogSeconds == 70)
        #expect(GuestFencing.power.outfit.watchdogSeconds == nil)
    }

    @Test func aCrowdIsNobodyElse() {
        let all = LabGuest.all + LabGuest.onFiles + LabGuest.crowd(LabGuest.mostOfACrowd)
        #expect(Set(all.map(\.vmid)).count == all.count)
        #expect(Set(all.map(\.name)).count == all.count)
        let taken = Topology.homelab.nodes.map(\.address) + [Topology.observerAddress] + HoldfastClient.addresses
        #expect(Set(all.map(\.address) + taken).count == all.count + taken.count)
        #expect(all.allSatisfy { LabGuest.guest($0.vmid)?.address == $0.address })
    }

    @Test func aProcessIsReadFromProc() throws {
        let stat = "42 (hold (fast)) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 12 0 100 0 0"
        let use = try #require(
            ProcessUse("\(stat)\nName:\tholdfast\nVmRSS:\t   38912 kB\n", ticksPerSecond: 100))
        #expect(use.processorSeconds == 2)
        #expect(use.residentMebibytes == 38)
        #expect(ProcessUse("\(stat)\n", ticksPerSecond: 100) == nil)
        #expect(ProcessUse("", ticksPerSecond: 100) == nil)
    }
}
