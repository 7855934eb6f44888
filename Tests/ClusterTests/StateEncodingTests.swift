// The state as bytes: equal states are equal bytes, bytes read back are the state, and nothing else is taken for one.

import Consensus
import Testing

@testable import Cluster

private struct Draws: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
}

@Suite struct StateEncodingTests {
    private static func member(_ number: UInt64) -> MemberRecord {
        var record = MemberRecord(
            id: MemberID(rawValue: number << 40 | number), name: "m\(number)", kind: number % 3 == 0 ? .guest : .host,
            host: number % 3 == 0 ? "m1" : "", peerEndpoint: "m\(number):7400", apiEndpoint: "m\(number):7443",
            version: "1.\(number)")
        if number % 2 == 0 { record.machine = "uuid of \(number)" }
        return record
    }

    private static func spec(_ draws: inout Draws) -> JSONValue {
        [
            "address": .string("192.168.1.\(draws.below(9))/24"), "count": .int(Int64(bitPattern: draws.next())),
            "share": .double(Double(draws.below(1_000)) / 7), "on": .bool(draws.below(2) == 0), "none": .null,
            "candidates": .array([["member": "m1"], ["member": .string("ü\u{0}€")]]),
        ]
    }

    private static func workloadCommand(_ draws: inout Draws) -> WorkloadCommand {
        let workload = ResourceKey(kind: "VirtualMachine", name: "r\(draws.below(2))")
        let (host, other) = ("m\(draws.below(2) + 1)", "m\(draws.below(3))")
        let (epoch, fence) = (draws.below(3), draws.below(3))
        let who = member(draws.below(6)).id
        switch draws.below(20) {
        case 0, 1:
            var facts = HostFacts(
                boot: "b\(draws.below(2))", memoryBytes: 9, cores: 2, storageAddress: "a-\(host)",
                watchdogMilliseconds: 5,
                isQuorate: draws.below(2) == 0)
            facts.isGuarded = draws.below(2) == 0
            if draws.below(2) == 0 { facts.isBlind = draws.below(2) == 0 }
            if draws.below(2) == 0 { facts.pauseMilliseconds = Int64(draws.below(12_000)) }
            return .reportHost(host, facts)
        case 2: return .hostLeaves(host, draws.below(2) == 0 ? .reboot : nil)
        case 3:
            switch draws.below(8) {
            case 0, 1: return .orderRestart(host, isForced: draws.below(2) == 0)
            case 2: return .cancelRestart(host)
            case 3: return .beginRestart(host, order: draws.below(40))
            case 4: return .restartFailed(host, order: draws.below(40), reason: "r")
            default: return .drain(host, draws.below(2) == 0)
            }
        case 4: return .disarm(milliseconds: draws.below(2) == 0 ? 5_000 : nil)
        case 5, 6: return .place(workload, epoch: epoch, on: host, reason: "why", because: other)
        case 7: return .move(workload, epoch: epoch, to: other, live: true, reason: "why", because: nil)
        case 8: return .moveEnded(workload, epoch: epoch, at: other, reason: "no")
        case 9:
            return .sight(
                workload, on: host,
                Sighting(
                    GuestState.allCases[Int(draws.below(4))], healthy: [nil, true, false][Int(draws.below(3))],
                    clients: ["\(host):0/1", "c-\(host):0/7"]))
        case 10: return .startFailed(workload, epoch: epoch, on: host, reason: "r", isFinal: draws.below(2) == 0)
        case 11: return .block(workload, epoch: epoch, obstacle: draws.below(2) == 0 ? "" : "o")
        case 12: return .steer(workload, draws.below(2) == 0 ? .stop : .move(to: host, live: true))
        case 13: return .beginFence(host, epoch: fence, .cephBlocklist, by: who, reason: "r")
        case 14:
            return .fenceProven(
                host, epoch: fence, .cephBlocklist, barred: ["a-\(host)", "c-\(host)", host], proof: "p")
        case 15: return .hostIsClean(host, epoch: fence)
        case 16:
            return draws.below(2) == 0
                ? .liftFence(host, epoch: fence, by: who) : .fenceFailed(host, epoch: fence, reason: "r")
        case 17: return draws.below(2) == 0 ? .fenceLifted(host, epoch: fence) : .fenceByWord(host)
        case 18:
            let steps: [CareStep] = [.restart, .move(to: other), .end]
            return draws.below(2) == 0
                ? .cancelFence(host, epoch: fence)
                : .care(workload, epoch: epoch, steps[Int(draws.below(3))], reason: "why")
        default: return .handBack(workload, epoch: epoch, from: host)
        }
    }

    private static func plan(from old: String) -> AuthorityRotation.Plan {
        func authority(_ letter: String) -> AuthorityRecord {
            AuthorityRecord(pin: String(repeating: letter, count: 64), certificate: "pem of \(letter)")
        }
        return AuthorityRotation.Plan(
            old: authority(old), new: authority(old == "a" ? "b" : "a"), link: "link", graceMilliseconds: 60_000)
    }

    private static func command(_ draws: inout Draws) -> Command {
        let name = "r\(draws.below(6))"
        let role = ResourceKey(kind: "VirtualIP", name: name)
        let who = member(draws.below(6)).id
        if draws.below(2) == 0 { return .workload(workloadCommand(&draws)) }
        switch draws.below(32) {
        case 29, 30, 31:
            return .apply(
                declarations: [
                    Declaration(
                        kind: "VirtualMachine", name: "r\(draws.below(2))",
                        spec: ["desired": draws.below(2) == 0 ? "running" : "stopped"])
                ], checkRevision: nil)
        case 23:
            var member = member(draws.below(6))
            member.signedBy = String(repeating: "b", count: 64)
            member.preparedFor = draws.below(2) == 0 ? member.signedBy : nil
            return .announce(member: member)
        case 24, 25: return .rotateAuthority(plan(from: draws.below(2) == 0 ? "a" : "b"))
        case 26:
            return .advanceRotation(
                pin: String(repeating: draws.below(2) == 0 ? "a" : "b", count: 64),
                to: draws.below(2) == 0 ? .replace : .finish)
        case 28: return .renameMember(who, to: "m\(draws.below(9))")
        case 27: return .cancelRotation(pin: String(repeating: "b", count: 64))
        case 20: return .raiseLevel(to: draws.below(3), without: [])
        case 14:
            var newcomer = OperatorRecord(
                name: name, role: OperatorRole.allCases[Int(draws.below(3))], key: "k\(draws.below(3))",
                certificateExpires: Int64(draws.below(9)) - 3)
            newcomer.changedMilliseconds = -1
            return .admitOperator(newcomer)
        case 15: return .revokeOperator(name: name)
        case 16: return .act(what: "look")
        case 17: return .rollBack(revision: draws.below(60), checkRevision: nil)
        case 18: return .settleTrial(revision: draws.below(60), keep: draws.below(2) == 0)
        case 19:
            return .apply(
                declarations: [Declaration(kind: "VirtualIP", name: name, spec: spec(&draws))], checkRevision: nil,
                trialMilliseconds: 5_000)
        case 0, 1:
            return .apply(
                declarations: [
                    Declaration(
                        kind: draws.below(3) == 0 ? "Cluster" : "VirtualIP", name: name, labels: ["a": "b", "": "x"],
                        environment: draws.below(2) == 0 ? "" : nil, spec: spec(&draws))
                ], checkRevision: nil)
        case 2:
            let isWorkload = draws.below(2) == 0
            return .delete(
                keys: [isWorkload ? ResourceKey(kind: "VirtualMachine", name: "r\(draws.below(2))") : role],
                checkRevision: nil)
        case 3:
            return .createToken(
                JoinToken(id: name, secretHash: "h", kind: .host, expiresMilliseconds: Int64(draws.below(9)) - 3))
        case 4: return .join(tokenID: name, secretHash: "h", member: member(draws.below(6)))
        case 5: return .announce(member: member(draws.below(6)))
        case 6: return .observeMember(who, reachable: draws.below(2) == 0, reason: "r")
        case 7: return .assign(role: role, epoch: draws.below(4), to: who, reason: "why", because: nil)
        case 8: return .release(role: role, epoch: draws.below(4), to: draws.below(2) == 0 ? who : nil, reason: "")
        case 9: return .released(role: role, epoch: draws.below(4))
        case 10: return .reportFitness(role: role, member: who, unfit: draws.below(2) == 0 ? "ill" : nil)
        case 11: return .stopping(who)
        case 13:
            return .reportConflict(
                role: role, epoch: draws.below(4), member: who, conflict: draws.below(2) == 0 ? "another" : "")
        case 12:
            if draws.below(6) == 0 { return .recover(epoch: draws.below(4) << 32 | 5, dead: [who]) }
            return .remove(key: "k\(draws.below(5))")
        default: return .put(key: "k\(draws.below(5))", value: "v\(draws.next())", expected: nil)
        }
    }

    /// A move that fails; a fence that is begun, fails and is taken back, while a workload is deleted.
    private static func lateCommand(_ step: UInt64, in state: ClusterState) -> Command {
        let (one, other) = (
            ResourceKey(kind: "VirtualMachine", name: "late1"), ResourceKey(kind: "VirtualMachine", name: "late2")
        )
        let fence = state.hosts["m1"]?.fenceEpoch ?? 0
        let epoch = state.placements[one]?.epoch ?? 0
        func facts(_ address: String) -> HostFacts {
            HostFacts(boot: "b0", memoryBytes: 9, cores: 2, storageAddress: address, watchdogMilliseconds: 5)
        }
        switch step {
        case 0: return .createToken(JoinToken(id: "late", secretHash: "h", kind: .host, expiresMilliseconds: .max))
        case 1: return .join(tokenID: "late", secretHash: "h", member: member(2))
        case 2: return .workload(.reportHost("m1", facts("a")))
        case 3: return .workload(.reportHost("m2", facts("b")))
        case 4:
            return .apply(
                declarations: [one, other].map {
                    Declaration(kind: $0.kind, name: $0.name, spec: ["desired": "running"])
                }, checkRevision: nil)
        case 5: return .workload(.place(one, epoch: epoch, on: "m2", reason: "r", because: nil))
        case 6: return .workload(.move(one, epoch: epoch, to: "m1", live: true, reason: "r", because: nil))
        case 7: return .workload(.moveEnded(one, epoch: epoch, at: "m2", reason: "no"))
        case 8: return .workload(.beginFence("m1", epoch: fence, .cephBlocklist, by: member(2).id, reason: "r"))
        case 9: return .workload(.fenceFailed("m1", epoch: fence, reason: "r"))
        case 10: return .delete(keys: [other], checkRevision: nil)
        default: return .workload(.cancelFence("m1", epoch: fence))
        }
    }

    /// Everything that commands can bring about, in some order.
    private static func state(seed: UInt64) -> ClusterState {
        var draws = Draws(state: seed)
        var state = ClusterState()
        func record(_ command: Command, _ number: UInt64) -> CommandRecord {
            CommandRecord(
                stamp: RequestStamp(
                    session: number % 5 << 60 | 1, request: number, settled: number > 9 ? number - 9 : 0),
                milliseconds: Int64(number) - 5, actor: "tester",
                origin: number % 3 == 0
                    ? CommandOrigin(
                        name: "r\(number % 6)", role: .admin, key: "k\(number % 2)", needs: .viewer,
                        reason: number % 2 == 0 ? "because" : nil) : nil,
                command: command)
        }
        let founder = OperatorRecord(name: "r0", role: .admin, key: "k0", certificateExpires: 5)
        _ = state.apply(
            record(.bootstrap(clusterName: "home", member: member(1), founder: seed % 2 == 0 ? founder : nil), 1))
        let last = draws.below(200) + 3
        for number in 2..<last { _ = state.apply(record(command(&draws), number)) }
        // What takes several commands in the right order, at the right epochs.
        if seed % 4 == 0 {
            for step in 0..<12 as Range<UInt64> { _ = state.apply(record(lateCommand(step, in: state), last + step)) }
        }
        return state
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>) func whatWasWrittenIsRead(seed: UInt64) throws {
        let state = Self.state(seed: seed)
        let bytes = state.encoded
        let read = try ClusterState(encoded: bytes)
        #expect(read == state)
        #expect(read.encoded == bytes)
    }

    /// A field that is added to the state and not to its bytes would be lost with the first snapshot.
    @Test func everyFieldOfTheStateIsWritten() {
        let written = [
            "revision", "declarationsRevision", "clusterName", "resources", "members", "roles", "retiredEpoch",
            "tokens", "values",
            "events", "lastEventID", "operators", "auditLog", "lastAuditID", "declarationChanges",
            "forgottenDeclarations", "trial", "epoch", "leftBehind", "authority", "rotation", "formerNames", "sessions",
            "level",
            "rules", "operatorsAreListed", "placements", "hosts", "disarmed", "retiredFenceEpoch",
            "leftFences",
            // Follows from the values, and is counted anew.
            "valueBytes",
        ]
        #expect(Mirror(reflecting: ClusterState()).children.compactMap(\.label) == written)
    }

    /// The draws must bring about what the encoding is for.
    @Test func theDrawsReachEveryPartOfTheState() {
        let states = (1...200 as ClosedRange<UInt64>).map { Self.state(seed: $0) }
        #expect(states.contains { !$0.operators.isEmpty && $0.operators.values.contains { $0.isRevoked } })
        #expect(states.contains { !$0.auditLog.isEmpty })
        #expect(states.contains { $0.declarationChanges.contains { $0.parts.contains { $0.before != nil } } })
        #expect(states.contains { $0.trial != nil })
        #expect(states.contains { $0.operatorsAreListed && $0.valueBytes > 0 })
        #expect(states.contains { !$0.operatorsAreListed && $0.valueBytes > 0 })
        #expect(states.contains { $0.disarmed != nil })
        #expect(states.contains { $0.hosts.values.contains { !$0.fence.isNone } })
        #expect(states.contains { $0.placements.values.contains { $0.host != nil && !$0.sightings.isEmpty } })
        #expect(states.contains { $0.placements.values.contains { !$0.barredFrom.isEmpty } })
        #expect(states.contains { $0.hosts.values.contains { !$0.earlierAddresses.isEmpty } })
        #expect(states.contains { $0.hosts.values.contains { $0.barred.count > 1 && !$0.retired.isEmpty } })
        #expect(
            states.contains { state in
                state.hosts.values.contains { if case .withdrawn = $0.fence { true } else { false } }
            })
        #expect(
            states.contains { $0.rotation?.phase == .spreading } && states.contains { $0.rotation?.phase == .replacing }
        )
        #expect(states.contains { $0.formerNames.count > 1 })
        #expect(states.contains { $0.authority != nil && $0.rotation == nil })
        #expect(states.contains { $0.members.values.contains { $0.machine != nil } })
        #expect(states.contains { $0.members.values.contains { $0.signedBy != nil && $0.preparedFor != nil } })
        #expect(states.contains { $0.epoch > 0 && !$0.leftBehind.isEmpty })
    }

    @Test func forgottenRevisionsStayForgotten() throws {
        var state = ClusterState()
        for number in 1...130 as ClosedRange<UInt64> {
            let declaration = Declaration(kind: "VirtualIP", name: "a", spec: .int(Int64(number)))
            _ = state.apply(
                CommandRecord(
                    stamp: RequestStamp(session: 1, request: number, settled: number - 1), milliseconds: 1,
                    actor: "tester", command: .apply(declarations: [declaration], checkRevision: nil)))
        }
        #expect(state.oldestKnownDeclarations > 0)
        let read = try ClusterState(encoded: state.encoded)
        #expect(read == state)
        #expect(read.declarations(at: 5) == nil)
    }

    /// The state goes on from where it was: answered requests stay answered, events go on counting.
    @Test func aStateThatWasReadGoesOnAsTheOther() throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            var one = Self.state(seed: seed)
            var other = try ClusterState(encoded: one.encoded)
            var draws = Draws(state: seed &* 77)
            for number in 1...60 as ClosedRange<UInt64> {
                let stamp = RequestStamp(session: number % 5 << 60 | 1, request: 100 + number % 40, settled: 90)
                let record = CommandRecord(
                    stamp: stamp, milliseconds: 9, actor: "tester", command: Self.command(&draws))
                #expect(one.apply(record) == other.apply(record))
            }
            #expect(one.encoded == other.encoded)
        }
    }

    @Test func anEmptyStateIsRead() throws {
        #expect(try ClusterState(encoded: ClusterState().encoded) == ClusterState())
    }

    @Test func aStateCutAnywhereIsRefusedOrIsALesserOne() {
        let bytes = Self.state(seed: 5).encoded
        for length in 0..<bytes.count {
            // A cut between two fields leaves a smaller whole. The file and the message around it have checksums.
            guard let read = try? ClusterState(encoded: Array(bytes[..<length])) else { continue }
            #expect(read.encoded == Array(bytes[..<length]))
        }
    }

    @Test func noGarbageStopsAMember() {
        var draws = Draws(state: 3)
        let valid = Self.state(seed: 7).encoded
        for _ in 0..<20_000 {
            var bytes = valid
            for _ in 0...draws.below(4) {
                let place = Int(draws.below(UInt64(bytes.count)))
                switch draws.below(3) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: draws.next())
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8(truncatingIfNeeded: draws.next()), at: place)
                }
            }
            guard var read = try? ClusterState(encoded: bytes) else { continue }
            // What is taken for a state is one: it can be asked and goes on.
            let stamp = RequestStamp(session: 1, request: 1, settled: 0)
            for command in [Command.put(key: "k", value: "v", expected: nil), Self.command(&draws)] {
                _ = read.apply(CommandRecord(stamp: stamp, milliseconds: 0, actor: "", command: command))
            }
            _ = read.causes(of: read.lastEventID)
            _ = read.event(1)
        }
    }

    @Test func whatALaterVersionWroteIsRefusedInWords() throws {
        var bytes = ClusterState().encoded
        bytes.append(60 << 2)
        bytes.append(1)
        #expect(throws: StateDecodingError.newer(what: "a field 60 of the state")) { try ClusterState(encoded: bytes) }
        bytes = ClusterState().encoded
        bytes[bytes.count - 1] += 1
        #expect(throws: StateDecodingError.newer(what: "the form 2")) { try ClusterState(encoded: bytes) }
    }

    @Test func valuesNestedTooDeepAreRefused() {
        var value = JSONValue.null
        for _ in 0..<100 { value = .array([value]) }
        var writer = StateWriter()
        writer.json(value)
        var reader = StateReader(writer.bytes)
        #expect(throws: StateDecodingError.self) { try reader.json() }
    }
}
