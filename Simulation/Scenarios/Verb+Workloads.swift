// The verbs about workloads, hosts that run them, and what lies under them.

import Cluster
import Consensus
import Kinds
import SimulationWorld

extension Verb {
    static let workloads: [Verb] = [
        Verb("set", [.workload, .word(ScenarioReader.desiredStates)]) { .setWorkload($0.text(0), $0.text(1)) },
        Verb("move", [.workload, .host]) { .moveWorkload($0.text(0), $0.text(1), live: true) },
        Verb("relocate", [.workload, .host]) { .moveWorkload($0.text(0), $0.text(1), live: false) },
        Verb("delete", [.workload]) { .deleteWorkload($0.text(0)) },
        Verb("load", [.workload, .amount, .amount], optional: 1) { words in
            var cores: Int64?
            var memory: Int64?
            for position in 1..<words.count {
                let parts = words.text(position).split(separator: "=")
                if parts[0] == "cores" { cores = Int64(parts[1]) } else { memory = ByteSize.parse(String(parts[1])) }
            }
            return .load(words.text(0), cores: cores, memory: memory)
        },
        Verb("drain", [.host]) { .drain($0.text(0), true) },
        Verb("reboot-host", [.host]) { .rebootHost($0.text(0), isForced: false) },
        Verb("force-reboot", [.host]) { .rebootHost($0.text(0), isForced: true) },
        Verb("cancel-reboot", [.host]) { .cancelReboot($0.text(0)) },
        Verb("undrain", [.host]) { .drain($0.text(0), false) },
        Verb("disarm", [.length], optional: 1) { .disarm($0.count == 0 ? 3_600_000_000_000 : $0.number(0)) },
        Verb("arm", []) { _ in .disarm(nil) },
        Verb("confirm-off", [.host]) { .confirmOff($0.text(0)) },
        Verb("hand-move", [.workload, .host]) { .handMove($0.text(0), $0.text(1)) },
        Verb("hand-start", [.workload]) { .handStart($0.text(0)) },
        Verb("hand-stop", [.workload]) { .handStop($0.text(0)) },
        Verb("hang", [.workload]) { .hang($0.text(0)) },
        Verb("crash", [.workload]) { .crash($0.text(0)) },
        Verb("lock", [.workload]) { .lock($0.text(0)) },
        Verb("unlock", [.workload]) { .unlock($0.text(0)) },
        Verb("fail-api", [.host, .length]) { .failAPI($0.text(0), $0.number(1)) },
        Verb("unknown-outcome", [.host]) { .unknownOutcome($0.text(0)) },
        Verb("fail-move", [.workload, .word(Plan.MoveFailure.allCases.map(\.rawValue))]) {
            .failMove($0.text(0), Plan.MoveFailure(rawValue: $0.text(1)) ?? .config)
        },
        Verb("blocklist-expire", []) { _ in .expireBlocklist },
        Verb("late-watchdog", [.host, .length]) { .lateWatchdog($0.text(0), $0.number(1)) },
        Verb("break-watchdog", [.host, .length]) { .breakWatchdog($0.text(0), $0.number(1)) },
        Verb("fire-watchdog", [.host]) { .fireWatchdog($0.text(0)) },
        Verb("expect-guest", [.workload, .machinesOrNobody]) { .expectGuest($0.text(0), $0.names(1)) },
    ]
}
