// What is supposed to befall a cluster, as people type it: `host/pve1`, `vm/gitlab`, `link/pve1:pve2`. Read against what the
// cluster has, so that a name that is not there is an error with the nearest one that is.

import Cluster
import Consensus
import Kinds
import SimulationWorld

/// One thing that is lost.
public enum Loss: Hashable, Sendable {
    /// A host or a witness loses its power, and what is on it.
    case machine(String)
    /// It stands still for so long, nanoseconds, and goes on.
    case pause(String, Int64)
    /// The agent in a guest ends, and does not come back.
    case agent(String)
    /// The process of a workload ends.
    case workload(ResourceKey)
    /// Two machines do not reach each other any more.
    case link(String, String)
    /// A machine reaches nobody any more.
    case network(String)
}

/// What befalls the cluster at one moment.
public struct Supposition: Hashable, Sendable {
    public var losses: [Loss]

    public init(_ losses: [Loss]) { self.losses = losses }

    /// As a person would type it.
    public var description: String { losses.map(\.subject).joined(separator: " ") }
}

extension Loss {
    /// `host/pve1`
    public var subject: String {
        switch self {
        case .machine(let name), .agent(let name): "member/\(name)"
        case .pause(let name, _): "member/\(name) --pause"
        case .workload(let key): "\(key.kind == WorkloadSpec.machine ? "vm" : "ct")/\(key.name)"
        case .link(let one, let other): "link/\(one):\(other)"
        case .network(let name): "network/\(name)"
        }
    }

    /// In a sentence: `pve1 loses its power`.
    public var words: String {
        switch self {
        case .machine(let name): "\(name) loses its power"
        case .pause(let name, let time): "the agent of \(name) stands still for \(TimeText.length(time))"
        case .agent(let name): "the agent in \(name) ends"
        case .workload(let key): "the process of \(key.name) ends"
        case .link(let one, let other): "\(one) and \(other) do not reach each other"
        case .network(let name): "\(name) reaches nobody"
        }
    }

}

extension PresentCluster {
    func happenings(of supposition: Supposition) -> [Happening] { supposition.losses.flatMap(happenings) }

    private func happenings(of loss: Loss) -> [Happening] {
        switch loss {
        case .machine(let name): [.powerOff(name)]
        case .pause(let name, let time): [.pauseAgent(name, time)]
        case .agent(let name): [.killAgent(name)]
        case .workload(let key): [.crash(key.description)]
        case .network(let name): [.isolate(name)]
        case .link(let one, let other):
            // What runs on a machine reaches the other machine over the same link.
            around(one).flatMap { near in around(other).map { .cut(near, $0, oneWay: false) } }
        }
    }

    private func around(_ name: String) -> [String] {
        members.filter { $0.name == name || $0.kind == .guest && $0.host == name }.map(\.name)
    }
}

// MARK: Reading

extension PresentCluster {
    /// How long a pause lasts: longer than any lease.
    static let pause: Int64 = 30_000_000_000
    static let mostLosses = 16

    /// Reads subjects: `host/pve1`, `host:pve1`, or the word and the name as two arguments.
    /// - Parameters:
    ///   - isPause: machines stand still instead of losing their power.
    ///   - isolated: pairs `A:B` that do not reach each other.
    /// - Throws: `RehearsalRefusal` with what was found and what was expected.
    public func supposition(
        _ arguments: [String], isPause: Bool = false, isolated: [String] = []
    ) throws(RehearsalRefusal) -> Supposition {
        var losses: [Loss] = []
        var rest = arguments[...]
        while let first = rest.popFirst() {
            let (subject, name) = try Self.parts(first, &rest)
            losses.append(try loss(subject, name, isPause: isPause))
        }
        for pair in isolated { losses.append(try link(pair)) }
        guard !losses.isEmpty else {
            throw RehearsalRefusal("nothing is lost: name what is, like host/pve1, vm/gitlab or link/pve1:pve2")
        }
        guard losses.count <= Self.mostLosses else {
            throw RehearsalRefusal("\(losses.count) losses at once; a rehearsal takes at most \(Self.mostLosses)")
        }
        for (position, loss) in losses.enumerated() where losses[..<position].contains(loss) {
            throw RehearsalRefusal("\(loss.subject) is named twice")
        }
        return Supposition(losses)
    }

    private static func parts(
        _ argument: String, _ rest: inout ArraySlice<String>
    ) throws(RehearsalRefusal) -> (subject: String, name: String) {
        if let parts = LossText.parts(of: argument) { return (parts.word, parts.name) }
        guard let name = rest.popFirst() else {
            throw RehearsalRefusal("\(argument) of what? Write it as host/pve1, vm/gitlab or link/pve1:pve2")
        }
        return (argument, name)
    }

    private func loss(_ subject: String, _ name: String, isPause: Bool) throws(RehearsalRefusal) -> Loss {
        switch LossText.subject(called: subject) {
        case .host?: return try machine(name, subject, isPause, hosts)
        case .witness?: return try machine(name, subject, isPause, members.filter { $0.kind == .witness }.map(\.name))
        case .member?: return try machine(name, subject, isPause, members.map(\.name))
        case .vm?: return try workload(name, subject, WorkloadSpec.machine)
        case .ct?: return try workload(name, subject, WorkloadSpec.container)
        case .link?: return try link(name)
        case .network?: return .network(try known(name, subject, machines))
        case nil:
            let guess = Nearest.match(subject, among: LossText.subjects)
            throw RehearsalRefusal(
                "\(subject) is nothing that can be lost; expected \(Excerpt.choices(LossText.subjects))"
                    + (guess.map { "; did you mean \($0)?" } ?? ""))
        }
    }

    private var hosts: [String] { members.filter { $0.kind == .host }.map(\.name) }
    /// Those with a cable of their own.
    private var machines: [String] { members.filter { $0.kind != .guest }.map(\.name) }

    private func machine(
        _ name: String, _ subject: String, _ isPause: Bool, _ names: [String]
    ) throws(RehearsalRefusal) -> Loss {
        let name = try known(name, subject, names)
        if isPause { return .pause(name, Self.pause) }
        return state.member(named: name)?.kind == .guest ? .agent(name) : .machine(name)
    }

    private func workload(_ name: String, _ subject: String, _ kind: String) throws(RehearsalRefusal) -> Loss {
        let names = workloads.keys.filter { $0.kind == kind }.map(\.name)
        return .workload(ResourceKey(kind: kind, name: try known(name, subject, names)))
    }

    private func link(_ pair: String) throws(RehearsalRefusal) -> Loss {
        guard let ends = LossText.ends(of: pair) else {
            throw RehearsalRefusal("a link is between two machines, like pve1:pve2; found \(Excerpt.quoted(pair))")
        }
        let one = try known(ends.one, "link", members.map(\.name))
        return .link(one, try known(ends.other, "link", members.map(\.name)))
    }

    private func known(_ name: String, _ subject: String, _ names: [String]) throws(RehearsalRefusal) -> String {
        guard !names.contains(name) else { return name }
        let guess = Nearest.match(name, among: names)
        let what =
            guess.map { "; did you mean \($0)?" }
            ?? (names.isEmpty ? "; there is none" : "; there is \(Self.some(names))")
        throw RehearsalRefusal("\(subject)/\(name): there is no such \(subject)\(what)")
    }

    private static func some(_ names: [String]) -> String {
        names.count <= 8 ? names.joined(separator: ", ") : names.prefix(8).joined(separator: ", ") + " and more"
    }

    // MARK: All of them

    /// Each machine with its own power.
    public var machineLosses: [Supposition] {
        machines.filter { name in state.member(named: name).map(answers) ?? false }.map { Supposition([.machine($0)]) }
    }

    /// Everything that can be lost by one fault: each machine with its own power, and each link between two of them.
    public var singleLosses: [Supposition] {
        let machines = machines.filter { name in state.member(named: name).map(answers) ?? false }
        var all = machines.map { Supposition([.machine($0)]) }
        for (position, one) in machines.enumerated() {
            for other in machines[(position + 1)...] { all.append(Supposition([.link(one, other)])) }
        }
        return all
    }

    /// Every two of them at once, but for a link of a machine that is lost itself.
    public var doubleLosses: [Supposition] {
        let single = singleLosses.map { $0.losses[0] }
        var all: [Supposition] = []
        for (position, one) in single.enumerated() {
            for other in single[(position + 1)...] {
                if case .machine(let name) = one, case .link(let left, let right) = other, [left, right].contains(name)
                {
                    continue
                }
                all.append(Supposition([one, other]))
            }
        }
        return all
    }
}
