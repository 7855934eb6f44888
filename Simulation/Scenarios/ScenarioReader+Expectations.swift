// What a scenario expects beyond what must hold in every run.

import Cluster
import Consensus
import Kinds
import SimulationWorld

extension ScenarioReader {
    /// Promises that every run is held to at every event; `never` may name them, to say what a scenario is about.
    public static let promises = [
        "doubleAddress", "twoLeaders", "logMatching", "leaderCompleteness", "stateMachineSafety", "stateDiverged",
        "nonLinearizable", "snapshotsDiffer", "logGap", "doubleRun", "doubleWrite", "startBeforeFence",
        "startWhileFenced", "fenceOpened", "strictRule", "overcommitted", "hostReset", "votesLowered",
    ]

    mutating func readExpectations(_ node: ScenarioNode?) {
        guard let node else { return }
        let known = [
            "final", "never", "recoveredWithin", "recoveries", "resets", "restarts", "gaps", "leader",
            "mostLeaderChanges", "quorum", "members",
        ]
        let inner = fields(of: node, at: "expect", known: known)
        if let node = inner["final"] { readFinal(node) }
        if let node = inner["never"] { readNever(node) }
        if let node = inner["recoveredWithin"] {
            plan.expect.recoveredWithin = length(node, at: "expect.recoveredWithin", in: 0...Self.mostLength)
        }
        if let node = inner["gaps"] {
            for field in entries(of: node, at: "expect.gaps") {
                guard let name = address(field.name, field.line, at: "expect.gaps") else { continue }
                plan.expect.gaps[name] = length(field.value, at: "expect.gaps.\(name)", in: 0...Self.mostLength)
            }
        }
        if let node = inner["recoveries"] {
            for field in entries(of: node, at: "expect.recoveries") {
                let place = ScenarioNode.text(field.name, line: field.line)
                guard let name = name(place, at: "expect.recoveries", among: workloadNames, "a workload") else {
                    continue
                }
                plan.expect.recoveries[name] = length(
                    field.value, at: "expect.recoveries.\(name)", in: 0...Self.mostLength)
            }
        }
        if let node = inner["resets"] {
            plan.expect.resets = names(node, at: "expect.resets", among: hostNames, "a host")
        }
        if let node = inner["restarts"] {
            plan.expect.restarts = names(node, at: "expect.restarts", among: hostNames, "a host")
        }
        if let node = inner["leader"] {
            plan.expect.leader = names(node, at: "expect.leader", among: machineNames, "a machine")
        }
        if let node = inner["members"] {
            plan.expect.members = names(node, at: "expect.members", among: machineNames, "a machine")
        }
        if let node = inner["mostLeaderChanges"] {
            plan.expect.mostLeaderChanges = number(node, at: "expect.mostLeaderChanges", in: 0...1_000_000).map {
                Int($0)
            }
        }
        if let node = inner["quorum"] { plan.expect.quorum = truth(node, at: "expect.quorum") }
        if plan.expect.quorum == false, !plan.expect.leader.isEmpty {
            wrong(node, "expect", expected: "no `leader` where there is to be no quorum")
        }
    }

    /// `{"address:api": {holder: [pve1, pve2]}}`; without the word before the colon it is an address too.
    private mutating func readFinal(_ node: ScenarioNode) {
        for field in entries(of: node, at: "expect.final") {
            let path = "expect.final.\(field.name)"
            let parts = field.name.split(separator: ":", maxSplits: 1).map(String.init)
            if parts.count == 2, parts[0] != "address" {
                readFinalWorkload(field, at: path)
                continue
            }
            guard let name = address(parts.last ?? "", field.line, at: "expect.final") else { continue }
            let inner = fields(of: field.value, at: path, known: ["holder"])
            guard let holder = inner["holder"] else {
                missing("holder", "who holds it at the end: names of machines, or nobody", from: field.value)
                continue
            }
            if case .text("nobody", _) = holder {
                plan.expect.holders[name] = []
            } else {
                plan.expect.holders[name] = names(holder, at: "\(path).holder", among: machineNames, "a machine")
            }
        }
    }

    /// What a workload can be at the end. `degraded`: it was given up, and waits for a person.
    static let finalStates = ["running", "stopped", "stuck", "degraded", "absent"]

    /// `{"vm:101": {state: running, host: [pve1]}}`
    private mutating func readFinalWorkload(_ field: ScenarioField, at path: String) {
        let place = ScenarioNode.text(field.name, line: field.line)
        guard let name = name(place, at: "expect.final", among: workloadNames, "a workload or an address") else {
            return
        }
        let inner = fields(of: field.value, at: path, known: ["state", "host", "reason", "starts"])
        var final = Plan.Expectation.Final()
        if let node = inner["state"] {
            final.states = names(node, at: "\(path).state", among: Self.finalStates, "a state")
        }
        if let node = inner["host"] { final.hosts = names(node, at: "\(path).host", among: hostNames, "a host") }
        if let node = inner["reason"] { final.reason = text(node, at: "\(path).reason") }
        if let node = inner["starts"] { final.starts = number(node, at: "\(path).starts", in: 0...1_000_000) }
        plan.expect.workloads[name] = final
    }

    private mutating func readNever(_ node: ScenarioNode) {
        guard case .list(let nodes, _) = node else {
            return wrong(node, "expect.never", expected: "a list of promises, like [doubleAddress]")
        }
        for (position, each) in nodes.enumerated() {
            let path = "expect.never[\(position)]"
            if case .text(let name, _) = each, let row = MissingPart.promises.first(where: { $0.name == name }) {
                errors.append(ScenarioError(file: file, line: each.line, field: path, name, waitsFor: row.part))
            } else {
                _ = name(each, at: path, among: Self.promises, "a promise")
            }
        }
    }

    private mutating func address(_ name: String, _ line: Int, at path: String) -> String? {
        self.name(.text(name, line: line), at: path, among: plan.addresses.map(\.name), "an address")
    }
}
