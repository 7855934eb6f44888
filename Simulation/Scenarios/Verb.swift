// The verbs of timelines: what each takes, and what happens then. The inverse is `Happening.description`; a test holds
// the two against each other.

import Consensus
import SimulationWorld

/// What a verb takes, one word each.
enum Argument: Hashable, Sendable {
    case machine, guest
    case host
    case workload
    /// `cores=2` or `memory=4Gi`.
    case amount
    /// A machine that joins when the timeline says so.
    case newcomer
    case address
    /// Nanoseconds; signed only for `change`.
    case length, change
    case share, rate
    case version
    /// Names with commas between them.
    case machines
    /// The same, or `nobody`.
    case machinesOrNobody
    case word([String])

    /// How the word stands in the form of a verb.
    var sign: String {
        switch self {
        case .machine: "M"
        case .guest: "G"
        case .host: "H"
        case .workload: "W"
        case .amount: "cores=2|memory=4Gi"
        case .newcomer: "M"
        case .address: "A"
        case .length: "10s"
        case .change: "30s"
        case .share: "10%"
        case .rate: "300ppm"
        case .version: "1.2.0"
        case .machines: "M,M"
        case .machinesOrNobody: "M,M|nobody"
        case .word(let words): words.joined(separator: "|")
        }
    }

    var expected: String {
        switch self {
        case .machine: "a machine"
        case .guest: "a guest"
        case .host: "a host"
        case .workload: "a workload"
        case .amount: "cores=2 or memory=4Gi"
        case .newcomer: "a machine that is declared with `joins: later`"
        case .address: "an address of `addresses`"
        case .length: "a length of time with its unit, like 500ms, 10s or 2m"
        case .change: "a length of time with its unit, like 30s or -30s"
        case .share: "a share in per cent, like 10% or 0.5%, with at most four decimals"
        case .rate: "a rate like 300ppm or -300ppm, at most 100000ppm"
        case .version: "a version like 1.2.0"
        case .machines: "names of machines with commas between them and no spaces"
        case .machinesOrNobody: "names of machines with commas between them and no spaces, or nobody"
        case .word(let words): words.joined(separator: " or ")
        }
    }
}

/// A word of a verb, read.
enum Word: Hashable, Sendable {
    case text(String)
    case number(Int64)
    case names([String])
}

struct Verb: Sendable {
    let name: String
    let arguments: [Argument]
    /// How many of the arguments, counted from the end, may be missing.
    let optional: Int
    let make: @Sendable (Words) -> Happening

    init(
        _ name: String, _ arguments: [Argument], optional: Int = 0,
        _ make: @escaping @Sendable (Words) -> Happening
    ) {
        self.name = name
        self.arguments = arguments
        self.optional = optional
        self.make = make
    }

    /// `pause-agent M 10s`
    var form: String {
        let needed = arguments.dropLast(optional).map(\.sign)
        let rest = optional > 0 ? ["[" + arguments.suffix(optional).map(\.sign).joined(separator: " ") + "]"] : []
        return ([name] + needed + rest).joined(separator: " ")
    }

    /// The words that came with a verb; each is what its argument says.
    struct Words: Sendable {
        let words: [Word]
        var count: Int { words.count }
        func text(_ position: Int) -> String { if case .text(let text) = words[position] { text } else { "" } }
        func number(_ position: Int) -> Int64 { if case .number(let number) = words[position] { number } else { 0 } }
        func names(_ position: Int) -> [String] { if case .names(let names) = words[position] { names } else { [] } }
    }

    static func named(_ name: String) -> Verb? { all.first { $0.name == name } }

    static let all: [Verb] = machines + wires + disks + people + workloads + onlookers

    private static let machines: [Verb] = [
        Verb("power-on", [.machine]) { .powerOn($0.text(0)) },
        Verb("power-off", [.machine]) { .powerOff($0.text(0)) },
        Verb("shutdown", [.machine]) { .shutdown($0.text(0)) },
        Verb("reboot", [.machine]) { .reboot($0.text(0)) },
        Verb("stop-agent", [.machine]) { .stopAgent($0.text(0)) },
        Verb("start-agent", [.machine]) { .startAgent($0.text(0)) },
        Verb("kill-agent", [.machine]) { .killAgent($0.text(0)) },
        Verb("pause-agent", [.machine, .length]) { .pauseAgent($0.text(0), $0.number(1)) },
        // A machine with an agent in it, or a workload.
        Verb("pause-guest", [.guest, .length]) {
            $0.text(0).contains(":") ? .pauseWorkload($0.text(0), $0.number(1)) : .pauseGuest($0.text(0), $0.number(1))
        },
        Verb("unhealthy", [.machine, .length]) { .unhealthy($0.text(0), $0.number(1)) },
        Verb("starve", [.machine, .length]) { .starve($0.text(0), $0.number(1)) },
        Verb("step-clock", [.machine, .change]) { .stepClock($0.text(0), $0.number(1)) },
        Verb("drift-clock", [.machine, .rate]) { .driftClock($0.text(0), $0.number(1)) },
        Verb("version", [.machine, .version]) { .version($0.text(0), $0.text(1)) },
    ]

    private static let wires: [Verb] = [
        Verb("isolate", [.machine]) { .isolate($0.text(0)) },
        Verb("rejoin", [.machine]) { .rejoin($0.text(0)) },
        Verb("cut", [.machine, .machine, .word(["one-way"])], optional: 1) {
            .cut($0.text(0), $0.text(1), oneWay: $0.count == 3)
        },
        Verb("heal", [.machine, .machine], optional: 2) {
            $0.count == 0 ? .healAll : .heal($0.text(0), $0.text(1))
        },
        Verb("loss", [.machine, .machine, .share]) { .loss($0.text(0), $0.text(1), Int($0.number(2))) },
        Verb("copies", [.machine, .machine, .share]) { .copies($0.text(0), $0.text(1), Int($0.number(2))) },
        Verb("late", [.machine, .machine, .share]) { .late($0.text(0), $0.text(1), Int($0.number(2))) },
        Verb("delay", [.machine, .machine, .length]) { .delay($0.text(0), $0.text(1), $0.number(2)) },
    ]

    private static let disks: [Verb] = [
        Verb("stall-disk", [.machine, .length]) { .stallDisk($0.text(0), $0.number(1)) },
        Verb("slow-disk", [.machine, .length]) { .slowDisk($0.text(0), $0.number(1)) },
        Verb("fill-disk", [.machine]) { .fillDisk($0.text(0)) },
        Verb("fail-disk", [.machine]) { .failDisk($0.text(0)) },
        Verb("mend-disk", [.machine]) { .mendDisk($0.text(0)) },
        Verb("corrupt-log", [.machine]) { .corruptLog($0.text(0)) },
        Verb("wipe-disk", [.machine]) { .wipeDisk($0.text(0)) },
        Verb("save-disk", [.machine]) { .saveDisk($0.text(0)) },
        Verb("rollback-disk", [.machine]) { .rollbackDisk($0.text(0)) },
        Verb("corrupt-snapshot", [.machine]) { .corruptSnapshot($0.text(0)) },
    ]

    private static let people: [Verb] = [
        Verb("join", [.newcomer]) { .join($0.text(0)) },
        Verb("remove", [.machine]) { .remove($0.text(0)) },
        Verb("move-address", [.address, .machine]) { .move($0.text(0), $0.text(1)) },
        Verb("transfer-leader", [.machine], optional: 1) { .transferLeadership($0.count == 0 ? nil : $0.text(0)) },
        Verb("redeclare", [.address, .machines, .word(["never", "always"])]) {
            .redeclare($0.text(0), candidates: $0.names(1), preempt: $0.text(2))
        },
        Verb("delete-address", [.address]) { .delete($0.text(0)) },
        Verb("try", [.address, .machines, .length]) {
            .tryOut($0.text(0), candidates: $0.names(1), $0.number(2))
        },
        Verb("roll-back", []) { _ in .rollBack },
        Verb("retime", [.length]) { .retime($0.number(0) / 1_000_000) },
    ]

    private static let onlookers: [Verb] = [
        Verb("expect-holder", [.address, .machinesOrNobody]) { .expectHolder($0.text(0), $0.names(1)) },
        Verb("expect-leader", [.machinesOrNobody]) { .expectLeader($0.names(0)) },
    ]
}
