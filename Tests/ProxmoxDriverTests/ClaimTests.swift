// Orders that come late: nothing is done under an epoch that the cluster has left behind.

import Cluster
import Consensus
import Glibc
import Kinds
import Synchronization
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)

@Suite(.timeLimit(.minutes(2))) struct ClaimTests {
    private let machine = GuestNumber(.machine, 120)!

    private func holders(_ run: Run) throws -> [String] {
        try GuestFiles(folder: "\(run.proxmox.folder.path)/pve").holders(of: machine).map(\.text)
    }

    @Test func aTakeOverThatIsSupersededTouchesNothing() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        run.proxmox.change { $0.isQuorate = false }
        let asked = Mutex<[OrderClaim]>([])
        run.cluster.withLock {
            $0 = { claim in
                asked.withLock { $0.append(claim) }
                return .superseded("it was placed anew since")
            }
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: ["pve2"]))
            guard case .failed(_, 4, .start, let failure) = await reports.end() else {
                Issue.record("it must not be carried out")
                return
            }
            #expect(failure.reason.contains("placed anew"))
            #expect(!failure.isPermanent)
        }
        #expect(asked.withLock { $0 } == [.start(web.workload, epoch: 4)])
        #expect(!run.proxmox.votesWereLowered)
        #expect(try holders(run) == ["pve2"])
        #expect(run.proxmox.server.changes == [])
    }

    @Test func aTakeOverThatIsSupersededOnTheWayStartsNothing() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        let files = GuestFiles(folder: "\(run.proxmox.folder.path)/pve")
        let machine = machine
        // The placement changes as soon as the configuration has been taken.
        run.cluster.withLock {
            $0 = { _ in files.exists(machine, on: NodeName("pve1")!) ? .superseded("it was placed anew since") : .holds
            }
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: []))
            guard case .failed(_, 4, .start, _) = await reports.end() else {
                Issue.record("it must not be started")
                return
            }
        }
        #expect(try holders(run) == ["pve1"])
        #expect(run.proxmox.read { $0.running } == [])
        #expect(run.proxmox.server.changes == [])
    }

    /// pve2 was fenced when it was ordered, and its fence was lifted while the order waited. Wherever the configuration lies.
    @Test(arguments: ["pve1", "pve2"])
    func votesAreNotLoweredBesideAHostThatIsBack(holder: String) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: holder, "name: web")
        run.proxmox.change { $0.isQuorate = false }
        let asked = Mutex<[OrderClaim]>([])
        run.cluster.withLock {
            $0 = { claim in
                asked.withLock { $0.append(claim) }
                if case .lowerVotes = claim { return .superseded("pve2 is not proven to be away") }
                return .holds
            }
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: ["pve2"]))
            guard case .failed(_, 4, .start, let failure) = await reports.end() else {
                Issue.record("it must not go on alone")
                return
            }
            #expect(failure.reason.contains("pve2 is not proven to be away"))
            #expect(!failure.isPermanent)
        }
        #expect(!run.proxmox.votesWereLowered)
        #expect(asked.withLock { $0.last } == .lowerVotes(beside: ["pve2"]))
        #expect(try holders(run) == [holder])
        #expect(run.proxmox.read { $0.running } == [])
    }

    /// What the start was for may be over by the time that quorum is missed: then nothing is worth going on alone for.
    @Test func aStartThatIsSupersededWhileItWaitsForQuorumLowersNothing() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { $0.isQuorate = false }
        let asked = Mutex(0)
        run.cluster.withLock {
            $0 = { claim in
                guard case .start = claim else { return .holds }
                let times = asked.withLock { asked in
                    asked += 1
                    return asked
                }
                return times == 1 ? .holds : .superseded("it was placed anew since")
            }
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: [], provenAway: ["pve2"]))
            guard case .failed(_, 4, .start, let failure) = await reports.end() else {
                Issue.record("it must not be started")
                return
            }
            #expect(failure.reason.contains("placed anew"))
        }
        #expect(asked.withLock { $0 } == 2)
        #expect(!run.proxmox.votesWereLowered)
    }

    /// pve3 has joined Proxmox's cluster and not this one, or left this one alone: it may be quorate with pve2.
    @Test(arguments: ["pve1", "pve2"])
    func votesAreNotLoweredBesideAHostThatTheClusterDoesNotKnow(holder: String) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: holder, "name: web")
        run.proxmox.change { state in
            state.isQuorate = false
            state.others = ["pve2", "pve3"]
        }
        try await run({ $0.quorumPatience = .milliseconds(600) }) { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: ["pve2"]))
            guard case .failed(_, 4, .start, let failure) = await reports.end() else {
                Issue.record("it must not go on alone")
                return
            }
            #expect(failure.reason.contains("pve3 may be at work") || failure.reason.contains("no quorum"))
        }
        #expect(!run.proxmox.votesWereLowered)
        #expect(run.proxmox.read { $0.running } == [])
    }

    /// Neither stopped for it nor sent: what comes to a host after the proof that it writes no more may write all the same.
    @Test func aGuestIsNotSentToAHostThatIsBeingFenced() async throws {
        for live in [true, false] {
            let run = try await Run()
            run.proxmox.put(120, on: "pve1", "name: web")
            let asked = Mutex<[OrderClaim]>([])
            run.cluster.withLock {
                $0 = { claim in
                    asked.withLock { $0.append(claim) }
                    return .superseded("pve2 is being fenced")
                }
            }
            try await run { node, reports in
                node.carryOut(.migrate(web, epoch: 4, to: "pve2", live: live))
                guard case .failed(_, 4, .migrate, let failure) = await reports.end() else {
                    Issue.record("it must not be sent")
                    return
                }
                #expect(failure.reason.contains("being fenced"))
            }
            #expect(asked.withLock { $0 } == [.migrate(web.workload, epoch: 4, to: "pve2")])
            #expect(run.proxmox.server.changes == [])
            #expect(try holders(run) == ["pve1"])
        }
    }

    @Test func nothingIsStartedWhileNobodyCanSayWhetherItIsWanted() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.cluster.withLock { $0 = { _ in .unknown("no leader") } }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: [], provenAway: []))
            guard case .failed(_, 4, .start, let failure) = await reports.end() else {
                Issue.record("it must not be started")
                return
            }
            #expect(failure.reason.contains("no leader"))
        }
        #expect(run.proxmox.server.changes == [])
    }

    @Test func anAnswerThatTookTooLongIsAskedForAgain() async throws {
        let clock = Mutex(Instant(nanoseconds: 0))
        let questions = Mutex(0)
        let check = ClaimCheck(now: { clock.withLock { $0 } }) { _ in
            // The first answer comes after the agent was stopped for a minute.
            let isFirst = questions.withLock { questions in
                questions += 1
                return questions == 1
            }
            if isFirst { clock.withLock { $0 = $0 + .seconds(60) } }
            return .holds
        }
        try await check.confirm(.start(web.workload, epoch: 4), "start vm 120")
        #expect(questions.withLock { $0 } == 2)
        let slow = ClaimCheck(now: { clock.withLock { $0 } }) { _ in
            clock.withLock { $0 = $0 + .seconds(1) }
            return .holds
        }
        await #expect(throws: StepFailure.self) { try await slow.confirm(.lift(host: "pve2", epoch: 1), "lift") }
    }

    // MARK: Fences

    /// A stand-in for `ceph` that bars and lifts in a file of its own.
    private func ceph(_ run: Run) -> CephFence {
        let folder = run.proxmox.folder
        let script = """
            #!/bin/sh
            echo "$@" >> \(folder.path)/ceph-calls
            case "$*" in
            *"blocklist add"*) : > \(folder.path)/barred ;;
            *"blocklist rm"*) rm -f \(folder.path)/barred ;;
            *dump*)
              if [ -e \(folder.path)/barred ]; then entry='"10.77.0.2:0/0":"2036-01-01"'; else entry=''; fi
              echo '{"epoch":41,"blocklist":{'"$entry"'},"osds":[]}' ;;
            esac

            """
        return CephFence(ceph: LocalProgram(folder.write("ceph", script, mode: 0o700), limit: .seconds(20)))
    }

    private func isBarred(_ run: Run) -> Bool { FileText.read("\(run.proxmox.folder.path)/barred", most: 1) != nil }

    @Test func aLateLiftingOpensNoNewerFence() async throws {
        let run = try await Run()
        // The cluster is at the fence with the epoch 8; what is lifted is that with the epoch 7.
        run.cluster.withLock {
            $0 = { claim in
                switch claim {
                case .fence("pve2", 8, .cephBlocklist), .lift("pve2", 8): .holds
                default: .superseded("pve2 was fenced anew since")
                }
            }
        }
        try await run({ $0.ceph = ceph(run) }) { node, _ in
            node.carryOut(.blocklist(host: "pve2", epoch: 8, addresses: ["10.77.0.2"]))
            guard case .fenced(let order, _) = await run.nextFence(), order.epoch == 8 else {
                Issue.record("the fence holds")
                return
            }
            node.carryOut(.unblocklist(host: "pve2", epoch: 7, addresses: ["10.77.0.2"]))
            guard case .failed(let failed, let reason) = await run.nextFence(), failed.epoch == 7 else {
                Issue.record("an old lifting is not carried out")
                return
            }
            #expect(reason.contains("fenced anew"))
            #expect(isBarred(run))
            let lifting = FenceOrder.unblocklist(host: "pve2", epoch: 8, addresses: ["10.77.0.2"])
            node.carryOut(lifting)
            #expect(await run.nextFence() == .lifted(lifting))
            #expect(!isBarred(run))
        }
    }

    @Test func everyAddressOfAHostIsBarredAndLifted() async throws {
        let run = try await Run()
        let folder = run.proxmox.folder
        let script = """
            #!/bin/sh
            case "$*" in
            *"blocklist add"*) : > "\(folder.path)/at-${4%%:*}" ;;
            *"blocklist rm"*) rm -f "\(folder.path)/at-${4%%:*}" ;;
            *dump*)
              cd \(folder.path)
              list=''
              for each in at-*; do
                if [ -e "$each" ]; then list="$list,\\"${each#at-}:0/0\\":\\"2036-01-01\\""; fi
              done
              echo '{"epoch":41,"blocklist":{'"${list#,}"'},"osds":[]}' ;;
            esac

            """
        let program = folder.write("ceph-many", script, mode: 0o700)
        let addresses = ["10.77.0.2", "10.78.0.2"]
        func barred() -> [String] { addresses.filter { access("\(folder.path)/at-\($0)", F_OK) == 0 } }
        try await run({ $0.ceph = CephFence(ceph: LocalProgram(program, limit: .seconds(20))) }) { node, _ in
            node.carryOut(.blocklist(host: "pve2", epoch: 8, addresses: addresses))
            guard case .fenced(let order, let proof) = await run.nextFence(), order.epoch == 8 else {
                Issue.record("both can be barred")
                return
            }
            #expect(proof.contains("10.77.0.2, 10.78.0.2"))
            #expect(barred() == addresses)
            let lifting = FenceOrder.unblocklist(host: "pve2", epoch: 8, addresses: addresses)
            node.carryOut(lifting)
            #expect(await run.nextFence() == .lifted(lifting))
            #expect(barred().isEmpty)
            node.carryOut(.blocklist(host: "pve2", epoch: 9, addresses: []))
            guard case .failed(let failed, _) = await run.nextFence(), failed.epoch == 9 else {
                Issue.record("nothing barred is nothing proven")
                return
            }
        }
    }

    @Test func anOldFenceIsNotCarriedOutAgain() async throws {
        let run = try await Run()
        run.cluster.withLock { $0 = { _ in .superseded("it is lifted long since") } }
        let mark = "\(run.proxmox.folder.path)/off"
        try await run({ $0.ceph = ceph(run) }) { node, _ in
            node.carryOut(.blocklist(host: "pve2", epoch: 7, addresses: ["10.77.0.2"]))
            guard case .failed(let failed, _) = await run.nextFence(), failed.epoch == 7 else {
                Issue.record("an old fence bars nobody")
                return
            }
            node.carryOut(.powerOff(host: "pve2", epoch: 7, command: ["/bin/sh", "-c", ": > \(mark)"]))
            guard case .failed(let refused, _) = await run.nextFence(), refused.epoch == 7 else {
                Issue.record("an old fence takes nobody's power")
                return
            }
        }
        #expect(!isBarred(run))
        #expect(FileText.read(mark, most: 1) == nil)
    }

    /// However well it was meant when it was given: what the cluster said it would wait for is over.
    @Test func whatIsToBeBegunTooLateIsNotBegun() async throws {
        let run = try await Run()
        let mark = "\(run.proxmox.folder.path)/off"
        let past = BootTime.now()
        try await run({ $0.ceph = ceph(run) }) { node, _ in
            let command = ["/bin/sh", "-c", ": > \(mark)"]
            for order in [
                FenceOrder.blocklist(host: "pve2", epoch: 7, addresses: ["10.77.0.2"], until: past),
                .powerOff(host: "pve2", epoch: 7, command: command, until: past),
            ] {
                node.carryOut(order)
                guard case .failed(let failed, let reason) = await run.nextFence(), failed.epoch == 7 else {
                    Issue.record("\(order) comes too late")
                    return
                }
                #expect(reason.contains("could not be begun within 5 s"))
            }
            #expect(!isBarred(run))
            #expect(FileText.read(mark, most: 1) == nil)
            node.carryOut(.powerOff(host: "pve2", epoch: 7, command: command, until: past + .seconds(600)))
            guard case .fenced(let order, _) = await run.nextFence(), order.epoch == 7 else {
                Issue.record("this one is in time")
                return
            }
        }
        #expect(FileText.read(mark, most: 1) != nil)
    }
}

@Suite struct FenceLanesTests {
    private let addresses = ["10.77.0.2"]
    private func bar(_ epoch: UInt64) -> FenceOrder { .blocklist(host: "pve2", epoch: epoch, addresses: addresses) }
    private func lift(_ epoch: UInt64) -> FenceOrder { .unblocklist(host: "pve2", epoch: epoch, addresses: addresses) }

    @Test func oneHostsFencesAreCarriedOutOneAfterTheOther() {
        var lanes = FenceLanes()
        #expect(lanes.admit(lift(7)) == true)
        #expect(lanes.admit(lift(7)) == false)
        #expect(lanes.admit(bar(8)) == false)
        #expect(lanes.admit(.powerOff(host: "pve1", epoch: 1, command: [])) == true)
        #expect(lanes.next("pve2") == lift(7))
        lanes.ended("pve2")
        #expect(lanes.next("pve2") == bar(8))
        lanes.ended("pve2")
        #expect(lanes.next("pve2") == nil)
        #expect(lanes.admit(bar(9)) == true)
    }

    @Test func whatIsOlderThanTheNewestFenceIsDropped() {
        var lanes = FenceLanes()
        #expect(lanes.admit(bar(7)) == true)
        #expect(lanes.admit(lift(7)) == false)
        #expect(lanes.admit(bar(8)) == false)
        #expect(lanes.admit(lift(7)) == false)
        lanes.ended("pve2")
        #expect(lanes.next("pve2") == bar(8))
        lanes.ended("pve2")
        #expect(lanes.next("pve2") == nil)
    }
}
