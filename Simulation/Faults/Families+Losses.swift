// Families about lost hosts and about wires.

import Cluster
import Consensus
import SimulationWorld

extension Family {
    static let losses: [Family] = [
        Family("loss-of-the-leader", "The host that leads dies, and its guests start on the other.") { f in
            f.now(.powerOff("pve1"))
        },
        Family("loss-of-the-follower", "The host that follows dies, and its guest starts on the other.") { f in
            f.now(.powerOff("pve2"))
        },
        Family("loss-and-quick-return", "A host dies and is back before or after its guests are.") { f in
            let host = f.host
            f.now(.powerOff(host))
            f.waitInFailover()
            f.now(.powerOn(host))
        },
        Family("loss-before-and-after", "One host dies, comes back, and then the other dies.") { f in
            f.now(.powerOff("pve1"))
            f.wait(15...20)
            f.now(.powerOn("pve1"))
            f.wait(30...60)
            f.now(.powerOff("pve2"))
        },
        Family("both-die-together", "Both hosts die in the same second and come back in any order.") { f in
            f.now(.powerOff("pve1"))
            f.wait(0...1)
            f.now(.powerOff("pve2"))
            f.wait(5...30)
            f.now(.powerOn(f.host))
            f.wait(0...30)
            f.now(.powerOn("pve1"), .powerOn("pve2"))
        },
        Family("survivor-dies-in-the-failover", "The host that takes over dies while it does so.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.powerOff("pve2"))
            f.wait(10...20)
            f.now(.powerOn(f.host))
        },
        Family("cold-start", "Everything is off, and returns in any order with a minute between.") { f in
            f.now(.powerOff("pve1"), .powerOff("pve2"), .powerOff("witness"))
            f.wait(5...20)
            var names = ["pve1", "pve2", "witness"]
            while !names.isEmpty {
                let name = f.draws.one(of: names)
                names.removeAll { $0 == name }
                f.now(.powerOn(name))
                f.wait(0...60)
            }
        },
        Family(
            "cold-start-without-one", "Everything was off, and one host never comes back before the others are well."
        ) {
            f in
            f.now(.powerOff("pve1"), .powerOff("pve2"), .powerOff("witness"))
            f.wait(5...20)
            f.now(.powerOn("witness"), .powerOn("pve2"))
        },
        Family("power-flickers", "A host loses power again and again while it boots.") { f in
            for _ in 0..<4 {
                f.now(.powerOff("pve1"))
                f.wait(1...4)
                f.now(.powerOn("pve1"))
                f.wait(8...40)
            }
        },
        Family("witness-dies-first", "The witness dies, later a host: nothing is started without a majority.") { f in
            f.now(.powerOff("witness"))
            f.wait(1...10)
            f.now(.powerOff(f.host))
            f.wait(20...30)
        },
        Family("witness-dies-in-the-failover", "The witness dies while a host is being fenced.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.powerOff("witness"))
            f.wait(10...20)
            f.now(.powerOn("witness"))
        },
        Family("agent-of-the-survivor-dies", "The agent that takes over is killed in the middle of it.") { f in
            f.now(.powerOff("pve1"))
            f.waitInFailover()
            f.now(.killAgent("pve2"))
            f.wait(0.5...5)
            f.now(.startAgent("pve2"))
        },
    ]

    static let wires: [Family] = [
        Family("isolation", "A host is cut off for a while and comes back with its old guests running.") { f in
            let host = f.host
            f.now(.isolate(host))
            f.wait(0.2...40)
            f.now(.rejoin(host))
        },
        Family("isolation-flaps", "A cable is loose.") { f in
            let host = f.host
            for _ in 0..<8 {
                f.now(.isolate(host))
                f.wait(0.1...6)
                f.now(.rejoin(host))
                f.wait(0.1...6)
            }
        },
        Family("link-between-hosts", "The hosts do not hear each other, and both hear the witness.") { f in
            f.now(.cut("pve1", "pve2", oneWay: false))
            f.wait(5...60)
            f.now(.heal("pve1", "pve2"))
        },
        Family("one-way-link", "One host does not hear the other, which hears it.") { f in
            let host = f.host
            f.now(.cut(host, host == "pve1" ? "pve2" : "pve1", oneWay: true))
            f.wait(5...60)
            f.now(.healAll)
        },
        Family("one-way-from-both", "A host is heard by nobody, and hears everybody.") { f in
            let host = f.host
            let other = host == "pve1" ? "pve2" : "pve1"
            f.now(.cut(host, other, oneWay: true), .cut(host, "witness", oneWay: true))
            f.wait(5...60)
            f.now(.healAll)
        },
        Family("one-way-to-both", "A host hears nobody, and is heard by everybody.") { f in
            let host = f.host
            let other = host == "pve1" ? "pve2" : "pve1"
            f.now(.cut(other, host, oneWay: true), .cut("witness", host, oneWay: true))
            f.wait(5...60)
            f.now(.healAll)
        },
        Family("witness-hears-one", "The witness hears one host only, and then that one dies.") { f in
            f.now(.cut("pve2", "witness", oneWay: false))
            f.wait(5...20)
            f.now(.powerOff("pve1"))
            f.wait(10...30)
            f.now(.healAll)
        },
        Family("switch-off", "Nobody hears anybody for minutes; all goes on as it was.") { f in
            f.now(.isolate("pve1"), .isolate("pve2"), .isolate("witness"))
            f.wait(30...300)
            f.now(.rejoin("pve1"), .rejoin("pve2"), .rejoin("witness"))
        },
        Family("switch-comes-back-in-steps", "After an outage of the switch its ports come up one by one.") { f in
            f.now(.isolate("pve1"), .isolate("pve2"), .isolate("witness"))
            f.wait(5...60)
            f.now(.rejoin(f.host))
            f.wait(0...20)
            f.now(.rejoin("witness"))
            f.wait(0...20)
            f.now(.rejoin("pve1"), .rejoin("pve2"))
        },
        Family("lossy-wires", "A third of all frames is lost while a host dies.") { f in
            f.plan.conditions.loss = f.draws.number(50_000...300_000)
            f.now(.powerOff(f.host))
            f.wait(10...30)
        },
        Family("slow-wires", "Frames take tens of milliseconds while a host dies.") { f in
            f.plan.conditions.delay = 1_000_000...f.draws.number(10_000_000...40_000_000)
            f.now(.powerOff(f.host))
            f.wait(10...30)
        },
        Family("cut-in-a-move", "The hosts lose each other while guests move between them.") { f in
            f.now(.drain("pve1", true))
            f.wait(0...8)
            f.now(.cut("pve1", "pve2", oneWay: false))
            f.wait(5...30)
            f.now(.healAll, .drain("pve1", false))
        },
        Family("isolation-in-a-move", "The source of a live move is cut off in the middle of it.") { f in
            f.now(.moveWorkload("vm:101", "pve2", live: true), .moveWorkload("ct:103", "pve2", live: true))
            f.wait(0...8)
            f.now(.isolate(f.host))
            f.wait(5...30)
            f.now(.rejoin("pve1"), .rejoin("pve2"))
        },
    ]
}
