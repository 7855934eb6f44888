// What is wrong with a host's Proxmox, and what to do about it.

import Testing

@testable import Decisions

@Suite struct HypervisorDiagnosisTests {
    private let day: Int64 = 86_400_000

    private func findings(_ change: (inout HypervisorReadings) -> Void) -> [Finding] {
        var readings = SelfReadings(member: "pve1", version: "1", wallMilliseconds: 0)
        var proxmox = HypervisorReadings(version: "9.1.6", hosts: 2)
        proxmox.certificateExpires = 700 * day
        (proxmox.hasQDevice, proxmox.givesQDeviceVote) = (true, true)
        change(&proxmox)
        readings.hypervisor = proxmox
        return HypervisorDiagnosis.judge(readings, 0)
    }

    @Test func aProxmoxThatIsWellIsSaidToBe() {
        #expect(findings { _ in }.map(\.verdict) == [.fine])
        // Three hosts need no third vote, and a host alone has none.
        #expect(findings { ($0.hosts, $0.hasQDevice) = (3, false) }.map(\.verdict) == [.fine])
        #expect(findings { ($0.hosts, $0.hasQDevice) = (1, nil) }.map(\.verdict) == [.fine])
        // corosync as it is to be, and a host that waits for nobody.
        #expect(findings { $0.corosyncPause = 1_300 }.map(\.verdict) == [.fine])
        #expect(findings { ($0.hosts, $0.corosyncPause) = (1, 6_600) }.map(\.verdict) == [.fine])
        // With more hosts it takes longer, and nothing is left to be set.
        #expect(findings { ($0.hosts, $0.corosyncPause) = (3, 3_630) }.map(\.verdict) == [.fine])
        #expect(findings { ($0.hosts, $0.corosyncPause) = (4, 5_060) }.map(\.verdict) == [.fine])
        #expect(findings { ($0.hosts, $0.corosyncPause) = (4, 5_061) }.map(\.verdict) == [.advice])
    }

    /// corosync.conf(5): a consensus below the token is safe with two hosts only.
    @Test func aShortConsensusIsAdvisedToTwoHostsOnly() {
        #expect(findings { $0.corosyncPause = 6_600 }.first?.remedy.contains("consensus: 300") == true)
        #expect(findings { ($0.hosts, $0.corosyncPause) = (3, 8_030) }.first?.remedy.contains("consensus") == false)
    }

    /// Two hosts as corosync.sh sets them, and then a third joins: the pause alone looks better than before.
    @Test func aConsensusShorterThanTheTokenIsWrongFromThreeHostsOn() {
        func judged(_ hosts: Int, _ token: Int?, _ consensus: Int?) -> [Finding] {
            findings {
                ($0.hosts, $0.corosyncToken, $0.corosyncConsensus) = (hosts, token, consensus)
                if let token, let consensus { $0.corosyncPause = token + consensus }
            }
        }
        #expect(judged(2, 1_000, 300).map(\.verdict) == [.fine])
        let found = judged(3, 1_650, 300)
        #expect(found.map(\.verdict) == [.wrong])
        #expect(
            found.first?.sentence.hasPrefix(
                "with 3 hosts corosync's consensus (300 ms) is shorter than its token (1650 ms), ") == true)
        #expect(found.first?.remedy.hasPrefix("/usr/share/holdfast/corosync.sh --apply") == true)
        #expect(judged(3, 1_650, 1_979).first?.sentence.contains("1.2 times its token (1650 ms)") == true)
        // As corosync reckons it itself, also where that is rounded.
        #expect(judged(3, 1_650, 1_980).map(\.verdict) == [.fine])
        #expect(judged(4, 1_651, 1_981).map(\.verdict) == [.fine])
        // An agent from before does not say them.
        #expect(judged(3, nil, nil).map(\.verdict) == [.fine])
        #expect(judged(3, 1_650, nil).map(\.verdict) == [.fine])
    }

    @Test func aMemberWithoutAProxmoxHasNothingToSay() {
        #expect(HypervisorDiagnosis.judge(SelfReadings(member: "w", version: "1", wallMilliseconds: 0), 0).isEmpty)
    }

    @Test func everythingThatIsWrongComesWithItsRemedy() {
        let cases: [(String, Finding.Verdict, (inout HypervisorReadings) -> Void)] = [
            ("cannot be driven: no route", .wrong, { $0.problem = "no route" }),
            ("lacks VM.PowerMgmt on /vms", .wrong, { $0.missingPrivileges = ["VM.PowerMgmt on /vms"] }),
            ("ends in 29 days", .advice, { $0.certificateExpires = 29 * 86_400_000 }),
            ("certificate has ended", .wrong, { $0.certificateExpires = 0 }),
            ("no third vote", .advice, { $0.hasQDevice = false }),
            ("third vote is not given", .wrong, { $0.givesQDeviceVote = false }),
            ("/etc/pve for up to 12 s", .advice, { $0.corosyncPause = 12_000 }),
            ("has no quorum", .wrong, { $0.isQuorate = false }),
            ("manages vm:120, ct:200", .advice, { $0.managed = ["vm:120", "ct:200"] }),
            ("/etc/pve can only be read", .wrong, { $0.outOfReach = ["/etc/pve can only be read by this service"] }),
            ("starts vm:120, ct:200 by itself", .wrong, { $0.startedAtBoot = ["vm:120", "ct:200"] }),
            ("witness in vm:105 runs on this host", .wrong, { $0.witnesses = ["witness in vm:105"] }),
            ("cannot be armed", .wrong, { $0.watchdogProblem = "/dev/watchdog is in use by watchdog-mux" }),
        ]
        for (words, verdict, change) in cases {
            let found = findings(change)
            #expect(found.count == 1 && found[0].verdict == verdict, "\(words): \(found)")
            #expect(found.first?.sentence.contains(words) == true, "\(found)")
            #expect(found.first?.remedy.isEmpty == false)
        }
    }
}
