// What can befall the lab, or be asked of it, at a moment of a plan. Each is one verb of scenario files.

import Consensus
import Kinds

/// One thing that happens to the world, named by machines and addresses.
public enum Happening: Hashable, Sendable {
    // Power and processes.
    case powerOn(String)
    case powerOff(String)
    /// The operating system stops: agents are asked to stop, then the power goes.
    case shutdown(String)
    case reboot(String)
    case stopAgent(String)
    case startAgent(String)
    case killAgent(String)
    /// SIGSTOP, for a while.
    case pauseAgent(String, Int64)
    /// A guest stands still, clocks and all, for a while.
    case pauseGuest(String, Int64)
    /// What the addresses' health checks look at is down, for a while.
    case unhealthy(String, Int64)
    /// Processors are so busy that a driver waits for its turn in the middle of a call, for a while.
    case starve(String, Int64)

    // Wires. Names are machines; a host's cable carries its guests.
    case isolate(String)
    case rejoin(String)
    case cut(String, String, oneWay: Bool)
    case heal(String, String)
    case healAll
    /// Chances in a million.
    case loss(String, String, Int)
    case copies(String, String, Int)
    case late(String, String, Int)
    case delay(String, String, Int64)

    // Disks.
    case stallDisk(String, Int64)
    case slowDisk(String, Int64)
    case fillDisk(String)
    case failDisk(String)
    case mendDisk(String)
    case corruptLog(String)
    /// Nothing of the log and its snapshots is left; it shows at the next start.
    case wipeDisk(String)
    /// An image of the disk is taken.
    case saveDisk(String)
    /// The machine is set back to that image, and restarts from it.
    case rollbackDisk(String)
    /// The newest snapshot cannot be read any more, if there is another.
    case corruptSnapshot(String)

    // Clocks.
    case stepClock(String, Int64)
    case driftClock(String, Int64)

    // People.
    case version(String, String)
    case join(String)
    case remove(String)
    /// Move an address to a member.
    case move(String, String)
    /// Hand leadership to a member, or to the best one.
    case transferLeadership(String?)
    /// Declare an address anew with these candidates.
    case redeclare(String, candidates: [String], preempt: String)
    /// Take an address out of the declarations.
    case delete(String)
    /// Declare an address on trial, for so long.
    case tryOut(String, candidates: [String], Int64)
    /// Undo the newest change of the declarations.
    case rollBack
    /// Declare other timings; milliseconds of the quorum lease.
    case retime(Int64)

    // Workloads: by command.
    case setWorkload(String, String)
    /// Live where that is possible, or stopped.
    case moveWorkload(String, String, live: Bool)
    case addWorkload(Plan.Workload)
    case deleteWorkload(String)
    /// It is declared to need so many processors, and so much memory.
    case load(String, cores: Int64?, memory: Int64?)
    case drain(String, Bool)
    /// A host is to be emptied and restarted, by its agent's own order; or, forced, whatever else is away.
    case rebootHost(String, isForced: Bool)
    /// Not any more.
    case cancelReboot(String)
    /// For so long; nil: from now on again.
    case disarm(Int64?)
    /// A person has seen that a host is off, and says so.
    case confirmOff(String)

    // Workloads: behind the cluster's back.
    case handMove(String, String)
    case handStart(String)
    case handStop(String)
    /// It runs on, and does no work until it is started again.
    case hang(String)
    /// Its process ends.
    case crash(String)
    case lock(String)
    case unlock(String)
    /// It stands still, with its disks open.
    case pauseWorkload(String, Int64)

    // Hypervisors, Ceph, watchdogs.
    case failAPI(String, Int64)
    /// Of the next call nobody hears how it ended.
    case unknownOutcome(String)
    /// Its next live move fails after it has begun to run at its target.
    case failMove(String, Plan.MoveFailure)
    case expireBlocklist
    case lateWatchdog(String, Int64)
    /// It resets nothing, and cannot be armed, for so long.
    case breakWatchdog(String, Int64)
    case fireWatchdog(String)

    // Onlookers: nothing happens, but what they expect must be true at this moment.
    /// One of these machines answers for the address; an empty list: nobody does.
    case expectHolder(String, [String])
    /// One of these machines leads, with the newest term; an empty list: nobody does.
    case expectLeader([String])
    /// It runs on one of these hosts; an empty list: it does not run.
    case expectGuest(String, [String])
}

extension Happening: CustomStringConvertible {
    /// The verb as scenario files write it.
    public var description: String {
        switch self {
        case .powerOn(let name): "power-on \(name)"
        case .powerOff(let name): "power-off \(name)"
        case .shutdown(let name): "shutdown \(name)"
        case .reboot(let name): "reboot \(name)"
        case .stopAgent(let name): "stop-agent \(name)"
        case .startAgent(let name): "start-agent \(name)"
        case .killAgent(let name): "kill-agent \(name)"
        case .pauseAgent(let name, let time): "pause-agent \(name) \(TimeText.length(time))"
        case .pauseGuest(let name, let time): "pause-guest \(name) \(TimeText.length(time))"
        case .unhealthy(let name, let time): "unhealthy \(name) \(TimeText.length(time))"
        case .starve(let name, let time): "starve \(name) \(TimeText.length(time))"
        case .isolate(let name): "isolate \(name)"
        case .rejoin(let name): "rejoin \(name)"
        case .cut(let from, let to, let oneWay): "cut \(from) \(to)\(oneWay ? " one-way" : "")"
        case .heal(let from, let to): "heal \(from) \(to)"
        case .healAll: "heal"
        case .loss(let from, let to, let chance): "loss \(from) \(to) \(TimeText.percent(chance))"
        case .copies(let from, let to, let chance): "copies \(from) \(to) \(TimeText.percent(chance))"
        case .late(let from, let to, let chance): "late \(from) \(to) \(TimeText.percent(chance))"
        case .delay(let from, let to, let time): "delay \(from) \(to) \(TimeText.length(time))"
        case .stallDisk(let name, let time): "stall-disk \(name) \(TimeText.length(time))"
        case .slowDisk(let name, let time): "slow-disk \(name) \(TimeText.length(time))"
        case .fillDisk(let name): "fill-disk \(name)"
        case .failDisk(let name): "fail-disk \(name)"
        case .mendDisk(let name): "mend-disk \(name)"
        case .corruptLog(let name): "corrupt-log \(name)"
        case .wipeDisk(let name): "wipe-disk \(name)"
        case .saveDisk(let name): "save-disk \(name)"
        case .rollbackDisk(let name): "rollback-disk \(name)"
        case .corruptSnapshot(let name): "corrupt-snapshot \(name)"
        case .stepClock(let name, let time): "step-clock \(name) \(TimeText.length(time))"
        case .driftClock(let name, let rate): "drift-clock \(name) \(rate)ppm"
        case .version(let name, let version): "version \(name) \(version)"
        case .join(let name): "join \(name)"
        case .remove(let name): "remove \(name)"
        case .move(let address, let member): "move-address \(address) \(member)"
        case .transferLeadership(let member): "transfer-leader\(member.map { " \($0)" } ?? "")"
        case .redeclare(let address, let candidates, let preempt):
            "redeclare \(address) \(candidates.joined(separator: ",")) \(preempt)"
        case .delete(let address): "delete-address \(address)"
        case .tryOut(let address, let candidates, let time):
            "try \(address) \(candidates.joined(separator: ",")) \(TimeText.length(time))"
        case .rollBack: "roll-back"
        case .retime(let lease): "retime \(lease)ms"
        case .expectHolder(let address, let names): "expect-holder \(address) \(Self.anyOf(names))"
        case .expectLeader(let names): "expect-leader \(Self.anyOf(names))"
        default: labDescription
        }
    }

    private var labDescription: String {
        switch self {
        case .setWorkload(let name, let desired): "set \(name) \(desired)"
        case .moveWorkload(let name, let host, let live): "\(live ? "move" : "relocate") \(name) \(host)"
        case .addWorkload(let workload): "add \(workload.name) {\(workload.fields.joined(separator: ", "))}"
        case .deleteWorkload(let name): "delete \(name)"
        case .load(let name, let cores, let memory):
            "load \(name)\(cores.map { " cores=\($0)" } ?? "")\(memory.map { " memory=\(ByteSize.text($0))" } ?? "")"
        case .rebootHost(let host, let isForced): "\(isForced ? "force-reboot" : "reboot-host") \(host)"
        case .cancelReboot(let host): "cancel-reboot \(host)"
        case .drain(let host, let isDraining): "\(isDraining ? "drain" : "undrain") \(host)"
        case .disarm(let time): time.map { "disarm \(TimeText.length($0))" } ?? "arm"
        case .confirmOff(let host): "confirm-off \(host)"
        case .handMove(let name, let host): "hand-move \(name) \(host)"
        case .handStart(let name): "hand-start \(name)"
        case .handStop(let name): "hand-stop \(name)"
        case .hang(let name): "hang \(name)"
        case .crash(let name): "crash \(name)"
        case .lock(let name): "lock \(name)"
        case .unlock(let name): "unlock \(name)"
        case .pauseWorkload(let name, let time): "pause-guest \(name) \(TimeText.length(time))"
        case .failAPI(let host, let time): "fail-api \(host) \(TimeText.length(time))"
        case .unknownOutcome(let host): "unknown-outcome \(host)"
        case .failMove(let name, let failure): "fail-move \(name) \(failure.rawValue)"
        case .expireBlocklist: "blocklist-expire"
        case .lateWatchdog(let host, let time): "late-watchdog \(host) \(TimeText.length(time))"
        case .breakWatchdog(let host, let time): "break-watchdog \(host) \(TimeText.length(time))"
        case .fireWatchdog(let host): "fire-watchdog \(host)"
        case .expectGuest(let name, let hosts): "expect-guest \(name) \(Self.anyOf(hosts))"
        default: preconditionFailure("every happening has a verb")
        }
    }
}

extension Happening {
    private static func anyOf(_ names: [String]) -> String {
        names.isEmpty ? "nobody" : names.joined(separator: ",")
    }
}

/// Times and shares as scenario files write them.
public enum TimeText {
    /// The shortest exact form: `2s`, `1500ms`, `20us`, `7ns`.
    public static func length(_ nanoseconds: Int64) -> String {
        for (unit, size) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] as [(String, Int64)]
        where nanoseconds % size == 0 {
            return "\(nanoseconds / size)\(unit)"
        }
        return "\(nanoseconds)ns"
    }

    public static func percent(_ perMillion: Int) -> String {
        guard perMillion % 10_000 != 0 else { return "\(perMillion / 10_000)%" }
        let fraction = String(perMillion % 10_000 + 10_000).dropFirst()
        var digits = String(fraction)
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(perMillion / 10_000).\(digits)%"
    }

    /// Seconds with milliseconds, for stories: `12.034`.
    public static func seconds(_ nanoseconds: Int64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        return "\(milliseconds / 1_000)." + String(String(milliseconds % 1_000 + 1_000).dropFirst())
    }
}
