// Families about hypervisors, about people in the middle of a failover, about double faults, and about agents inside the
// guests that are recovered.

import Cluster
import Consensus
import SimulationWorld

extension Family {
    static let hypervisors: [Family] = [
        Family("unknown-outcome-of-a-start", "Nobody hears how the start of a recovered guest went.") { f in
            f.now(.unknownOutcome("pve2"), .powerOff("pve1"))
            f.wait(1...8)
            f.now(.unknownOutcome("pve2"))
        },
        Family("unknown-outcome-of-a-move", "Nobody hears how a move ended.") { f in
            f.now(.unknownOutcome("pve1"), .drain("pve1", true))
            f.wait(1...10)
            f.now(.unknownOutcome("pve1"))
            f.wait(10...20)
            f.now(.drain("pve1", false))
        },
        Family("unknown-outcome-of-the-clean-up", "Nobody hears how the old guests of a returned host ended.") { f in
            f.now(.isolate("pve1"), .unknownOutcome("pve1"))
            f.wait(10...30)
            f.now(.rejoin("pve1"))
        },
        Family("silent-hypervisor", "The hypervisor that takes over answers nothing for a while.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.failAPI("pve2", f.length(1...30)))
        },
        Family("silent-hypervisor-on-return", "The hypervisor of a returned host answers nothing at first.") { f in
            f.now(.isolate("pve1"))
            f.wait(10...20)
            f.now(.failAPI("pve1", f.length(5...30)), .rejoin("pve1"))
        },
        Family("without-qdevice", "Proxmox itself has no quorum when a host is gone.") { f in
            f.plan.hypervisors.hasQDevice = false
            let host = f.host
            f.now(f.draws.chance(500) ? .powerOff(host) : .isolate(host))
            f.wait(10...40)
            f.now(.powerOn(host), .rejoin(host))
        },
        Family("without-qdevice-link-cut", "Without a QDevice the hosts lose each other.") { f in
            f.plan.hypervisors.hasQDevice = false
            f.now(.cut("pve1", "pve2", oneWay: false))
            f.wait(2...40)
            f.now(.crash("vm:104"), .crash("vm:101"))
            f.wait(2...40)
            f.now(.healAll)
        },
        Family("starts-fail", "Guests fail to start a few times before they do.") { f in
            f.forEachWorkload { $0.faults.startFails = 1 }
            f.now(.powerOff(f.host))
        },
        Family("moves-fail", "Moves fail a few times before they succeed.") { f in
            f.forEachWorkload { $0.faults.migrateFails = 1 }
            f.now(.drain("pve1", true))
            f.wait(20...40)
            f.now(.drain("pve1", false))
        },
        Family("guests-do-not-end", "Guests do not end by themselves when their host goes down.") { f in
            f.forEachWorkload { $0.faults.stopFails = true }
            f.now(.reboot("pve1"))
            f.wait(60...90)
        },
        Family("locked-guests", "A backup holds guests when their host dies, or when they crash.") { f in
            f.now(.lock("vm:101"), .lock("vm:104"))
            f.wait(0...5)
            f.now(.powerOff("pve1"), .crash("vm:104"))
            f.wait(10...20)
            f.now(.unlock("vm:101"), .unlock("vm:104"))
        },
        Family("crashes", "Guests crash again and again.") { f in
            for _ in 0..<8 {
                f.now(.crash(f.workload))
                f.wait(0...8)
            }
        },
    ]

    static let people: [Family] = [
        Family("edits-in-the-failover", "People change what is to run while a host is being fenced.") { f in
            f.now(.powerOff("pve1"))
            for _ in 0..<4 {
                f.waitInFailover()
                f.now(.setWorkload(f.workload, f.draws.one(of: ["running", "stopped", "ignored"])))
            }
        },
        Family("moves-in-the-failover", "People move guests while a host is being fenced.") { f in
            f.now(.powerOff("pve1"))
            for _ in 0..<3 {
                f.waitInFailover()
                f.now(.moveWorkload(f.workload, f.host, live: f.draws.chance(500)))
            }
        },
        Family(
            "delete-and-add-in-the-failover", "A guest is deleted and declared again while its host is being fenced."
        ) { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.deleteWorkload("vm:101"))
            f.waitInFailover()
            f.now(.addWorkload(Plan.Workload(name: "vm:101", host: "pve1")))
        },
        Family("drain-in-the-failover", "The host that takes over is drained while it does.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.drain("pve2", true))
            f.wait(5...20)
            f.now(.drain("pve2", false))
        },
        Family("disarmed-loss", "A host dies while the cluster is disarmed, and is fenced when it is armed.") { f in
            f.now(.disarm(600_000_000_000))
            f.wait(0.5...3)
            f.now(.powerOff("pve1"))
            f.wait(5...20)
            f.now(.disarm(nil))
        },
        Family("disarm-in-the-failover", "The cluster is disarmed in the middle of a failover.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.disarm(f.length(5...30)))
        },
        Family("behind-our-back", "People start, stop and move guests by hand.") { f in
            for _ in 0..<6 {
                let name = f.workload
                let host = f.host
                f.now(f.draws.one(of: [.handMove(name, host), .handStop(name), .handStart(name)]))
                f.wait(0.5...8)
            }
        },
        Family("hand-move-before-a-loss", "A guest was moved by hand just before its new host dies.") { f in
            f.now(.handMove("vm:101", "pve2"))
            f.wait(1...9)
            f.now(.powerOff("pve2"))
        },
        Family("short-of-memory", "The host that is left has memory for some only.") { f in
            f.plan.members[0].memory = 4 << 30
            f.plan.members[1].memory = 3 << 30
            f.now(.powerOff("pve1"))
            f.wait(20...30)
            f.now(.powerOn("pve1"))
        },
        Family("load-grows", "Guests are declared to need more than there is.") { f in
            f.plan.members[1].memory = 8 << 30
            f.now(.load("vm:101", cores: nil, memory: 6 << 30), .load("vm:102", cores: 4, memory: 6 << 30))
            f.wait(0.2...4)
            f.now(.powerOff("pve1"))
        },
        Family("strict-rule", "A strict rule keeps a guest from the host that is left.") { f in
            f.plan.rules = [
                Plan.Rule(
                    .hosts([Plan.Rule.Preference(host: "pve1", priority: 1)], strict: true), workloads: ["vm:101"])
            ]
            f.now(.powerOff("pve1"))
            f.wait(10...30)
            f.now(.powerOn("pve1"))
        },
        Family("kept-apart", "Two guests must be apart, and one host is left.") { f in
            f.plan.rules = [Plan.Rule(.apart, workloads: ["vm:101", "vm:104"])]
            f.now(.powerOff(f.host))
            f.wait(10...30)
        },
        Family("kept-together", "Two guests must be together, and their host dies.") { f in
            f.plan.rules = [Plan.Rule(.together, workloads: ["vm:101", "vm:102"])]
            f.now(.powerOff("pve1"))
        },
        Family("failback", "A guest goes back to its best host when that is there again.") { f in
            f.forEachWorkload { $0.failback = true }
            f.plan.rules = [
                Plan.Rule(
                    .hosts(
                        [
                            Plan.Rule.Preference(host: "pve1", priority: 2),
                            Plan.Rule.Preference(host: "pve2", priority: 1),
                        ], strict: false), workloads: ["vm:101", "ct:103"])
            ]
            f.now(.powerOff("pve1"))
            f.wait(10...20)
            f.now(.powerOn("pve1"))
        },
    ]

    static let doubles: [Family] = [
        Family("loss-and-cut", "A host dies while the other loses the witness for a moment.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.cut("pve2", "witness", oneWay: f.draws.chance(500)))
            f.wait(0.5...10)
            f.now(.heal("pve2", "witness"))
        },
        Family("loss-and-restart", "A host dies while the other's agent restarts.") { f in
            f.now(.killAgent("pve2"))
            f.wait(0...2)
            f.now(.powerOff("pve1"))
            f.wait(0...3)
            f.now(.startAgent("pve2"))
        },
        Family("fenced-host-dies", "A host that was cut off and fenced dies, and returns after a boot.") { f in
            f.now(.isolate("pve1"))
            f.wait(3...20)
            f.now(.powerOff("pve1"))
            f.wait(1...10)
            f.now(.rejoin("pve1"), .powerOn("pve1"))
        },
        Family("return-dies-while-it-cleans-up", "A fenced host is back, and dies while it ends its old guests.") { f in
            f.now(.isolate("pve1"))
            f.wait(6...15)
            f.now(.rejoin("pve1"))
            f.wait(0...2)
            f.now(.powerOff("pve1"))
            f.wait(2...10)
            f.now(.powerOn("pve1"))
        },
        Family("other-dies-while-it-cleans-up", "The host that took over dies before the first one's fence is lifted.")
        { f in
            f.now(.isolate("pve1"))
            f.wait(6...15)
            f.now(.rejoin("pve1"))
            f.wait(0...2)
            f.now(.powerOff("pve2"))
        },
        Family("fences-in-turn", "Each host is cut off in turn, again and again.") { f in
            for _ in 0..<4 {
                for host in ["pve1", "pve2"] {
                    f.now(.isolate(host))
                    f.wait(2...12)
                    f.now(.rejoin(host))
                    f.wait(0.5...10)
                }
            }
        },
        Family("leadership-moves-in-the-failover", "Leadership is handed around while a host is being fenced.") { f in
            f.now(.powerOff("pve2"))
            for _ in 0..<3 {
                f.waitInFailover()
                f.now(.transferLeadership(f.draws.one(of: [nil, "witness", "pve1"])))
            }
        },
    ]

    static let machinesInside: [Family] = [
        Family("agent-in-a-guest", "An agent lives in a guest that is recovered.") { f in
            f.carry("vm:101")
            f.now(.powerOff("pve1"))
            f.wait(15...30)
            f.now(.powerOn("pve1"))
        },
        Family(
            "agent-in-a-guest-that-moves",
            "An agent lives in a guest that moves while it runs, and its host dies later."
        ) { f in
            f.carry("vm:101")
            f.now(.moveWorkload("vm:101", "pve2", live: true))
            f.wait(0...20)
            f.now(.powerOff(f.host))
        },
        Family("agent-in-a-paused-guest", "An agent lives in a guest that is held still, and its host is cut off.") {
            f in
            f.carry("vm:101")
            f.now(.pauseWorkload("vm:101", f.length(1...20)))
            f.wait(0...5)
            f.now(.isolate("pve1"))
            f.wait(5...20)
            f.now(.rejoin("pve1"))
        },
    ]
}

extension FamilyPlan {
    /// An agent lives in this workload, and may hold the address.
    mutating func carry(_ workload: String) {
        guard let host = plan.workloads.first(where: { $0.name == workload })?.host else { return }
        var member = Plan.Member(name: "k8s-cp1", kind: .guest, host: host)
        member.workload = workload
        plan.members.append(member)
        plan.addresses.append(
            Plan.Address(name: "kube-api", address: "192.168.1.99", candidates: ["k8s-cp1", "pve2"]))
    }
}
