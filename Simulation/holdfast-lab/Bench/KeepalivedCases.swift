// keepalived from Debian in the same namespaces and with the same faults, for comparison: three guests share the address
// by VRRP (multicast), with its defaults and with advertisements every 0.1 s. No cluster runs meanwhile.

import CKernel
import FoundationEssentials

/// Runs the cases against a lab of keepalived daemons.
struct KeepalivedBench {
    enum Fault: String, CaseIterable {
        case powerOff = "host power-off, holder"
        case linkCut = "link cut"
        case partition = "partition that isolates the holder"
        case stop = "agent stop"
        case killed = "daemon killed"
    }

    let client: KeeperClient
    let program: String
    /// Seconds between advertisements.
    let advertisement: Double
    private static let address = HoldfastBench.address
    /// The member with the highest priority holds the address whenever it can.
    private static let members = [("k8s-cp1", 150), ("k8s-cp2", 100), ("k8s-cp3", 50)]
    private static let holder = "k8s-cp1"
    private static let machine = "pve1"
    /// How long nothing must happen before the address counts as settled: a new outage after a heal begins within two
    /// advertisements and keepalived's own delays.
    private var quietMilliseconds: Int { Int(advertisement * 2000) + 1_500 }

    /// Starts the daemons.
    func start() throws {
        for (name, priority) in Self.members {
            let program = try program(of: name, priority: priority)
            try client.ask(Request(.startAgent, node: name, arguments: program))
            try client.ask(Request(.memberJoined, node: name, arguments: program))
        }
    }

    private func program(of name: String, priority: Int) throws -> [String] {
        let file = "\(client.directory.folder(of: name))/keepalived.conf"
        let text = """
            global_defs {
                router_id \(name)
                vrrp_version 3
            }
            vrrp_instance api {
                state BACKUP
                interface eth0
                virtual_router_id 99
                priority \(priority)
                advert_int \(advertisement)
                virtual_ipaddress {
                    \(Self.address)/24
                }
            }

            """
        do { try Data(text.utf8).write(to: URL(filePath: file)) } catch { throw LabError("write \(file): \(error)") }
        let folder = client.directory.folder(of: name)
        let (daemon, child) = ("\(folder)/keepalived.pid", "\(folder)/vrrp.pid")
        // On a real machine these files vanish with the power; process ids start over in a new namespace, so a stale
        // one would name a living process.
        let script = "rm -f \"$1\" \"$2\"; exec \"$3\" -n -l -P -f \"$4\" -p \"$1\" -r \"$2\""
        return ["/bin/sh", "-c", script, "sh", daemon, child, program, file]
    }

    func repeatOnce(_ fault: Fault) throws -> Repetition {
        let observation = try Observation(client, address: Self.address)
        try observation.waitUntilSteady(owner: Self.holder, quietMilliseconds: quietMilliseconds, seconds: 60)
        let disturbed = try begin(fault)
        try observation.wait(for: "another owner that answers", seconds: 30) {
            !$0.isSilent && $0.owner != nil && $0.owner != Self.holder
        }
        let restored = lab_wall_clock()
        try putRight(fault)
        try observation.waitUntilSteady(owner: Self.holder, quietMilliseconds: quietMilliseconds, seconds: 60)
        return try observation.finish(disturbed: disturbed, restored: restored, target: Self.machine, leaderHit: nil)
    }

    private func begin(_ fault: Fault) throws -> Int64 {
        let request =
            switch fault {
            case .powerOff: Request(.powerOff, node: Self.machine)
            case .linkCut: Request(.unplug, node: Self.machine)
            case .partition: Request(.isolate, node: Self.machine)
            case .stop: Request(.stopAgent, node: Self.holder)
            case .killed: Request(.killAgent, node: Self.holder)
            }
        return try client.ask(request).at ?? lab_wall_clock()
    }

    private func putRight(_ fault: Fault) throws {
        switch fault {
        case .powerOff: try client.ask(Request(.powerOn, node: Self.machine))
        case .linkCut: try client.ask(Request(.plug, node: Self.machine))
        case .partition: try client.ask(Request(.heal))
        case .stop: try client.ask(Request(.startAgent, node: Self.holder))
        case .killed:
            // What a human would have to do: the dead daemon's address is still there and still answers.
            let words = [try Executables.require("ip"), "addr", "del", "\(Self.address)/24", "dev", "eth0"]
            try Command(try client.inside(Self.holder, words)).output(of: "remove the address keepalived left behind")
            try client.ask(Request(.startAgent, node: Self.holder))
        }
    }
}
