// What people see, to the letter.

@testable import API
import Cluster
import Consensus
import Testing

@testable import holdfast

@Suite struct RenderingTests {
    private static let now: Int64 = 1_772_366_584_512
    private let clock = WallClock(now: { now + 90_000 }, offset: { _ in 3_600 })

    private static let read = ReadAge(
        consistency: .linearizable, revision: 41, behind: 0, member: "pve2", knowsLeader: true)

    private func member(_ name: String, _ kind: String, reachable: Bool = true, leader: Bool = false) -> MemberDocument
    {
        MemberDocument(
            name: name, id: "00000000000000aa", kind: kind, host: kind == "guest" ? "pve1" : name, domain: name,
            reachable: reachable, stopping: false, voter: kind != "guest", leader: leader, version: "0.1.0",
            endpoint: "127.0.0.1:7001", peerEndpoint: "127.0.0.1:7000", lacking: nil)
    }

    private func address(_ phase: RolePhase, holder: String?, to successor: String? = nil) -> AddressDocument {
        AddressDocument(
            name: "kube-api", address: "192.168.1.99/24", phase: phase, holder: holder, successor: successor, epoch: 7,
            since: "", sinceMilliseconds: Self.now, reason: "k8s-cp1 was lost", unfit: [], conflict: nil)
    }

    private func tolerance(_ domain: String, _ why: [String]) throws -> ToleranceDocument {
        let json: JSONValue = [
            "domain": .string(domain), "members": [.string(domain)], "canBeLost": .bool(why.isEmpty),
            "why": .array(why.map { .string($0) }),
        ]
        return try CanonicalJSON.decode(ToleranceDocument.self, from: CanonicalJSON.encode(json))
    }

    private func status(_ change: (inout StatusDocument) throws -> Void = { _ in }) throws -> StatusDocument {
        var status = StatusDocument(
            cluster: "home", clusterID: "00000000000000cc", leader: "pve2", revision: 41, quorum: true,
            members: [member("pve1", "host", reachable: false), member("pve2", "host", leader: true)],
            addresses: [address(.releasing, holder: "pve1", to: "pve2")],
            tolerance: [
                try tolerance("pve1", []),
                try tolerance(
                    "pve2", ["1 of 3 voters would be left, 2 are needed", "nobody would be left to hold dns"]),
            ], degraded: ["host pve1 is unreachable"], read: Self.read)
        try change(&status)
        return status
    }

    @Test func aDegradedClusterSaysSoFromTheFirstLineOn() throws {
        #expect(
            StatusText.render(try status(), clock: clock, style: .plain) == """
                You can lose: pve1 yes · pve2 NO (1 of 3 voters would be left, 2 are needed; nobody would be left to hold dns)
                Cluster home, led by pve2, revision 41

                Members
                  NAME   KIND   HOST   REACHABLE   ROLE
                  pve1   host   -      NO          voter
                  pve2   host   -      yes         leader

                Addresses
                  NAME       ADDRESS           HOLDER        SINCE          EPOCH   REASON
                  kube-api   192.168.1.99/24   pve1 → pve2   13:03:04.512   7       k8s-cp1 was lost

                Degraded
                  host pve1 is unreachable

                """)
    }

    @Test func aLocalStatusSaysWhatItIsWorth() throws {
        let old = try status { status in
            status.leader = nil
            status.quorum = false
            status.read = ReadAge(consistency: .local, revision: 41, behind: 3, member: "pve1", knowsLeader: false)
            status.addresses = []
            status.degraded = []
            status.members = []
        }
        #expect(
            StatusText.render(old, clock: clock, style: .plain).split(separator: "\n")[1...2] == [
                "Cluster home, no leader known, no quorum, revision 41",
                "As pve1 has it: revision 41, 3 log entries behind what it knows of; it knows no leader, so this may be old",
            ])
    }

    @Test func theWideTableAddsColumnsOnly() throws {
        let lines = StatusText.render(try status(), clock: clock, style: .plain, wide: true).split(separator: "\n")
        #expect(
            lines.contains("  NAME   KIND   HOST   REACHABLE   ROLE     VERSION   API              PEER             ID")
        )
    }

    @Test func coloursChangeNoLetter() throws {
        let coloured = StatusText.render(try status(), clock: clock, style: Style(colour: true))
        let escape = "\u{1B}["
        #expect(coloured.contains(escape))
        var bare = ""
        var rest = Substring(coloured)
        while let start = rest.firstIndex(of: "\u{1B}") {
            bare += rest[..<start]
            rest = rest[start...].drop { $0 != "m" }.dropFirst()
        }
        bare += rest
        #expect(bare == StatusText.render(try status(), clock: clock, style: .plain))
    }

    @Test func aChainOfCausesReadsBackInTime() {
        func event(_ id: UInt64, before: Int64, _ type: String, _ subject: String, _ message: String) -> ClusterEvent {
            ClusterEvent(
                id: id, revision: id, milliseconds: Self.now - before, type: type, subject: subject, message: message,
                cause: id - 1, actor: "pve2")
        }
        let why = WhyDocument(
            subject: "VirtualIP/kube-api", state: "held by k8s-cp2", sinceMilliseconds: Self.now,
            reason: "k8s-cp1 was lost",
            chain: [
                event(3, before: 0, "RoleAssigned", "VirtualIP/kube-api", "k8s-cp2 holds it now: k8s-cp1 was lost"),
                event(2, before: 312, "MemberLost", "member/k8s-cp1", "no answer for 300 ms"),
                event(1, before: 86_400_000, "MemberJoined", "member/k8s-cp1", "guest k8s-cp1 joined"),
            ], read: Self.read)
        #expect(
            WhyText.render(why, clock: clock, style: .plain) == """
                VirtualIP/kube-api held by k8s-cp2 since 13:03:04.512 because k8s-cp1 was lost

                  13:03:04.512              90 s ago   VirtualIP/kube-api   RoleAssigned   k8s-cp2 holds it now: k8s-cp1 was lost [pve2]
                  13:03:04.200              −312 ms    member/k8s-cp1       MemberLost     no answer for 300 ms [pve2]
                  2026-02-28 13:03:04.512   −24 h      member/k8s-cp1       MemberJoined   guest k8s-cp1 joined [pve2]

                """)
    }

    @Test func aPlanNamesEveryFieldThatChanges() {
        let plan = PlanDocument(
            index: 41,
            changes: [
                ResourceChange(action: .create, kind: "VirtualIP", name: "dns", fields: [], old: nil, new: nil),
                ResourceChange(
                    action: .update, kind: "VirtualIP", name: "kube-api",
                    fields: [
                        FieldChange(path: "spec.address", old: "192.168.1.99/24", new: "192.168.1.98/24"),
                        FieldChange(path: "spec.candidates[2].member", old: "k8s-cp3", new: nil),
                        FieldChange(path: "spec.follow", old: nil, new: ["tcp": "127.0.0.1:6443"]),
                    ], old: nil, new: nil),
                ResourceChange(action: .delete, kind: "Host", name: "pve3", fields: [], old: nil, new: nil),
            ], unchanged: 2, read: Self.read)
        #expect(
            PlanText.plan(plan, style: .plain) == """
                + VirtualIP/dns
                ~ VirtualIP/kube-api
                    spec.address: "192.168.1.99/24" → "192.168.1.98/24"
                    spec.candidates[2].member: "k8s-cp3" → (absent)
                    spec.follow: (absent) → {"tcp":"127.0.0.1:6443"}
                - Host/pve3

                1 to create, 1 to change, 1 to delete, 2 as declared already.
                Index 41

                """)
    }

    @Test func timesOfOtherDaysCarryTheirDate() {
        let utc = WallClock(now: { Self.now }, offset: { _ in 0 })
        #expect(utc.text(Self.now) == "12:03:04.512")
        #expect(utc.text(Self.now - 86_400_000) == "2026-02-28 12:03:04.512")
        #expect(utc.text(0) == "1970-01-01 00:00:00.000")
        #expect(utc.text(-1) == "1969-12-31 23:59:59.999")
        #expect(utc.text(951_782_400_000) == "2000-02-29 00:00:00.000")
        #expect(utc.text(4_107_542_399_999) == "2100-02-28 23:59:59.999")
        #expect(utc.age(Self.now - 5_000) == "5 s")
        #expect(utc.age(Self.now - 600_000) == "10 min")
        #expect(utc.age(Self.now + 1) == "0 s")
    }

    @Test func aTableIsAsWideAsItsWidestCells() {
        var table = Table(["A", "B", "C"])
        table.add(["long cell", "x", "end"])
        table.add(["y", "", ""])
        #expect(table.lines() == ["A           B   C", "long cell   x   end", "y"])
    }
}
