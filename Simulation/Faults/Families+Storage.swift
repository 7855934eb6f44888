// Families about storages and their fences, and about hosts that are slow, paused or shut down.

import Cluster
import Consensus
import SimulationWorld

extension Family {
    static let storages: [Family] = [
        Family("shared-loss", "On shared storage the watchdog's time is the proof.") { f in
            f.use(.shared)
            f.now(.powerOff(f.host))
        },
        Family("shared-isolation", "A host that is cut off ends its guests before its watchdog would.") { f in
            f.use(.shared)
            let host = f.host
            f.now(.isolate(host))
            f.wait(1...60)
            f.now(.rejoin(host))
        },
        Family("shared-isolation-around-the-watchdog", "The cable is back just when the watchdog is about to fire.") {
            f in
            f.use(.shared)
            let host = f.host
            f.now(.isolate(host))
            f.wait(4...17)
            f.now(.rejoin(host))
        },
        Family("shared-paused-agent", "An agent on shared storage stands still: its watchdog resets the host or not.") {
            f in
            f.use(.shared)
            f.now(.pauseAgent(f.host, f.length(1...30)))
        },
        Family("shared-killed-agent", "An agent on shared storage is killed and started again, soon or late.") { f in
            f.use(.shared)
            let host = f.host
            f.now(.killAgent(host))
            f.wait(0.2...25)
            f.now(.startAgent(host))
        },
        Family("shared-late-watchdog", "A watchdog fires late on a host that has ended its guests.") { f in
            f.use(.shared)
            f.now(.lateWatchdog("pve1", f.length(1...60)))
            f.wait(1...2)
            f.now(.isolate("pve1"))
            f.wait(20...60)
            f.now(.rejoin("pve1"))
        },
        Family("shared-spurious-watchdog", "A watchdog fires without cause.") { f in
            f.use(.shared)
            f.now(.fireWatchdog(f.host))
        },
        Family("shared-flapping", "On shared storage a cable is loose.") { f in
            f.use(.shared)
            let host = f.host
            for _ in 0..<6 {
                f.now(.isolate(host))
                f.wait(1...16)
                f.now(.rejoin(host))
                f.wait(0.2...6)
            }
        },
        Family("shared-no-quorum", "On shared storage nobody hears anybody.") { f in
            f.use(.shared)
            f.now(.isolate("pve1"), .isolate("pve2"), .isolate("witness"))
            f.wait(3...60)
            f.now(.rejoin("pve1"), .rejoin("pve2"), .rejoin("witness"))
        },
        Family("shared-without-watchdog", "Without a watchdog a lost host's guests wait for it, or for a person.") {
            f in
            f.use(.shared)
            f.plan.hypervisors.watchdog = 0
            f.now(.powerOff("pve1"))
            if f.draws.chance(500) {
                f.wait(5...20)
                f.now(.confirmOff("pve1"))
            }
        },
        Family("shared-silent-hypervisor", "A host that is cut off cannot end its guests, and is reset.") { f in
            f.use(.shared)
            f.now(.failAPI("pve1", f.length(20...60)))
            f.wait(0.5...3)
            f.now(.isolate("pve1"))
            f.wait(20...40)
            f.now(.rejoin("pve1"))
        },
        Family("power-switch", "A cut-off host is switched off; one that died takes its switch with it.") { f in
            f.use(.shared)
            f.plan.policy.methods = ["power", "watchdog"]
            f.now(f.draws.chance(500) ? .isolate("pve1") : .powerOff("pve1"))
            f.wait(15...40)
            f.now(.rejoin("pve1"))
        },
        Family("local-loss", "Guests with local disks wait for their host.") { f in
            f.use(.local)
            f.now(.powerOff(f.host))
        },
        Family("slow-monitors", "Ceph's monitors take long to agree after a loss.") { f in
            f.plan.hypervisors.election = 10_000_000_000...20_000_000_000
            f.now(.powerOff(f.host))
            f.wait(20...30)
        },
        Family(
            "monitors-on-the-other-side", "All monitors are with the host that is lost, so nothing proves its fence."
        ) { f in
            f.plan.hypervisors.monitors = ["pve1"]
            let cut = f.draws.chance(500)
            f.now(cut ? .isolate("pve1") : .powerOff("pve1"))
            f.wait(20...60)
            f.now(cut ? .rejoin("pve1") : .powerOn("pve1"))
        },
        Family("monitors-flap", "The monitors lose and find each other while a host is being fenced.") { f in
            f.now(.powerOff("pve1"))
            for _ in 0..<4 {
                f.wait(0.3...4)
                f.now(.cut("pve2", "witness", oneWay: false))
                f.wait(0.3...4)
                f.now(.heal("pve2", "witness"))
            }
        },
        Family("blocklist-expires", "The entry of a cut-off host expires before it is back.") { f in
            let host = f.host
            f.now(.isolate(host))
            f.wait(8...30)
            f.now(.expireBlocklist)
            f.wait(0...20)
            f.now(.rejoin(host))
        },
        Family("moves-fail-at-their-end", "Live moves fail once the guests run there; a host may be lost then.") { f in
            f.use(f.draws.one(of: [.ceph, .ceph, .shared]))
            for name in ["vm:101", "vm:102"] {
                f.now(
                    .failMove(name, f.draws.one(of: Plan.MoveFailure.allCases)), .moveWorkload(name, "pve2", live: true)
                )
            }
            guard f.draws.chance(700) else { return }
            let host = f.host
            f.wait(2...14)
            f.now(f.draws.chance(700) ? .powerOff(host) : .isolate(host))
            f.wait(1...60)
            f.now(.powerOn(host), .rejoin(host))
        },
    ]

    static let hosts: [Family] = [
        Family("paused-agent", "An agent stands still while its host goes on.") { f in
            f.now(.pauseAgent(f.host, f.length(0.2...40)))
        },
        Family("paused-in-the-failover", "The agent that takes over stands still in the middle of it.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.pauseAgent("pve2", f.length(0.2...20)))
        },
        Family("paused-before-a-start", "An agent is paused between its order and the call, and its host is fenced.") {
            f in
            f.now(.crash("vm:101"))
            f.wait(0...2)
            f.now(.pauseAgent("pve1", f.length(5...30)))
        },
        Family("slow-disks", "Every write takes a tenth of a second while a host dies.") { f in
            f.now(.slowDisk("pve2", 40_000_000_000), .slowDisk("witness", 40_000_000_000))
            f.wait(0...3)
            f.now(.powerOff("pve1"))
        },
        Family("stalled-disk", "The disk of the agent that takes over stands still.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.stallDisk("pve2", f.length(1...15)))
        },
        Family("reboot-migrate", "A host is restarted by plan, and its guests leave it first.") { f in
            f.plan.policy.onHostShutdown = "migrate"
            f.now(.reboot(f.host))
        },
        Family("reboot-freeze", "A host is restarted by plan, and its guests wait for it.") { f in
            f.plan.policy.onHostShutdown = "freeze"
            f.now(.reboot(f.host))
        },
        Family("shutdown-conditional", "A host is powered off by plan, and its guests go on elsewhere.") { f in
            f.plan.policy.onHostShutdown = "conditional"
            f.now(.shutdown(f.host))
        },
        Family("shutdown-restart", "A host goes down by plan, and its guests are started elsewhere.") { f in
            f.plan.policy.onHostShutdown = "restart"
            f.now(f.draws.chance(500) ? .shutdown("pve1") : .reboot("pve1"))
        },
        Family("shutdown-then-power-off", "A host that goes down by plan loses power on the way.") { f in
            f.plan.policy.onHostShutdown = f.draws.one(of: ["migrate", "freeze", "restart", "conditional"])
            f.now(.reboot("pve1"))
            f.wait(0...12)
            f.now(.powerOff("pve1"))
            f.wait(10...20)
            f.now(.powerOn("pve1"))
        },
        Family("shutdown-while-the-other-is-down", "A host goes down by plan when there is nowhere to go.") { f in
            f.now(.powerOff("pve2"))
            f.wait(10...30)
            f.now(.reboot("pve1"))
            f.wait(20...40)
            f.now(.powerOn("pve2"))
        },
        Family("clocks-drift", "Clocks run apart while a host is lost.") { f in
            f.now(.driftClock("pve1", 450), .driftClock("pve2", -450))
            f.wait(1...20)
            f.now(f.draws.chance(500) ? .powerOff("pve1") : .isolate("pve1"))
        },
        Family("upgrade-with-a-host-down", "Agents are replaced by a newer version while a host is down.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.version("pve2", "1.2.0"))
            f.wait(2...10)
            f.now(.version("witness", "1.2.0"))
            f.wait(5...10)
            f.now(.powerOn("pve1"))
        },
    ]
}
