// The workloads of a scenario, the rules and the policy they stand under, and what hypervisors and Ceph are like.

import Cluster
import Consensus
import Kinds
import SimulationWorld

extension ScenarioReader {
    /// Workloads in one scenario; more would be another kind of test.
    static let mostWorkloads = 500

    var hostNames: [String] { plan.members.filter { $0.kind == .host }.map(\.name) }

    // MARK: Workloads

    mutating func readWorkloads(_ node: ScenarioNode?) {
        guard let node else { return }
        for field in entries(of: node, at: "workloads") {
            if let workload = workload(field.name, field.value, field.line, at: "workloads.\(field.name)") {
                plan.workloads.append(workload)
            }
        }
        if plan.workloads.count > Self.mostWorkloads {
            wrong(node, "workloads", expected: "at most \(Self.mostWorkloads)")
        }
    }

    mutating func workload(_ name: String, _ node: ScenarioNode, _ line: Int, at path: String) -> Plan.Workload? {
        guard checkWorkloadName(name, line, at: path) else { return nil }
        let inner = fields(
            of: node, at: path,
            known: ["host", "desired", "failback", "restarts", "moves", "live", "memory", "cores", "health", "faults"])
        guard let hostNode = inner["host"] else {
            missing("host", "the host it is on at the start", from: node)
            return nil
        }
        guard let host = self.name(hostNode, at: "\(path).host", among: hostNames, "a host") else { return nil }
        var workload = Plan.Workload(name: name, host: host)
        if let node = inner["desired"] {
            workload.desired =
                self.name(node, at: "\(path).desired", among: Self.desiredStates, "what it is to be") ?? "running"
        }
        if let node = inner["failback"] { workload.failback = truth(node, at: "\(path).failback") }
        if let node = inner["live"] { workload.isLive = truth(node, at: "\(path).live") }
        if let node = inner["restarts"] { workload.restarts = number(node, at: "\(path).restarts", in: 0...10) }
        if let node = inner["moves"] { workload.moves = number(node, at: "\(path).moves", in: 0...10) }
        if let node = inner["cores"] { workload.cores = number(node, at: "\(path).cores", in: 1...512) ?? 1 }
        if let node = inner["memory"] { workload.memory = bytes(node, at: "\(path).memory") ?? workload.memory }
        if let node = inner["health"] {
            workload.health = length(node, at: "\(path).health", in: 1_000_000_000...3_600_000_000_000)
        }
        if let node = inner["faults"] { workload.faults = faults(node, at: "\(path).faults") }
        return workload
    }

    static let desiredStates = ["running", "stopped", "ignored"]

    private mutating func faults(_ node: ScenarioNode, at path: String) -> Plan.Workload.Faults {
        var faults = Plan.Workload.Faults()
        let inner = fields(of: node, at: path, known: ["startFails", "migrateFails", "stopFails", "onlyOn", "wellOn"])
        if let node = inner["startFails"] {
            faults.startFails = number(node, at: "\(path).startFails", in: 0...1_000) ?? 0
        }
        if let node = inner["migrateFails"] {
            faults.migrateFails = number(node, at: "\(path).migrateFails", in: 0...1_000) ?? 0
        }
        if let node = inner["stopFails"] { faults.stopFails = truth(node, at: "\(path).stopFails") ?? false }
        if let node = inner["onlyOn"], node.phrase != "nothing" {
            faults.onlyOn = name(node, at: "\(path).onlyOn", among: hostNames, "a host") ?? ""
        }
        if let node = inner["wellOn"], node.phrase != "nothing" {
            faults.wellOn = name(node, at: "\(path).wellOn", among: hostNames, "a host") ?? ""
        }
        return faults
    }

    private mutating func checkWorkloadName(_ name: String, _ line: Int, at path: String) -> Bool {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, ["vm", "ct"].contains(parts[0]), let number = Quantity.digits(parts[1]),
            (100...999_999_999).contains(number), parts[1].first != "0"
        {
            return true
        }
        errors.append(
            ScenarioError(
                file: file, line: line, field: path, found: Excerpt.quoted(name),
                expected: "vm:NUMBER for a virtual machine or ct:NUMBER for a container, from 100 to 999999999"))
        return false
    }

    mutating func bytes(_ node: ScenarioNode, at path: String) -> Int64? {
        guard case .text(let text, _) = node, let bytes = ByteSize.parse(text) else {
            wrong(node, path, expected: "an amount of memory like 512Mi or 4Gi")
            return nil
        }
        return bytes
    }

    /// Those that are there from the start, and those that are added later.
    var workloadNames: [String] {
        var names = plan.workloads.map(\.name)
        for name in addedNames where !names.contains(name) { names.append(name) }
        return names
    }

    // MARK: Rules

    mutating func readRules(_ node: ScenarioNode?) {
        guard let node else { return }
        guard case .list(let nodes, _) = node else {
            if case .text("", _) = node { return }
            return wrong(node, "rules", expected: "a list of rules, each like {kind: hostAffinity, …}")
        }
        for (position, each) in nodes.enumerated() { readRule(each, at: "rules[\(position)]") }
    }

    private mutating func readRule(_ node: ScenarioNode, at path: String) {
        let inner = fields(of: node, at: path, known: ["kind", "workloads", "hosts", "strict", "sign", "affinity"])
        guard let kindNode = inner["kind"] else {
            return missing("kind", "hostAffinity or workloadAffinity", from: node)
        }
        guard let workloadsNode = inner["workloads"] else {
            return missing("workloads", "the workloads it is about", from: node)
        }
        let workloads = names(workloadsNode, at: "\(path).workloads", among: workloadNames, "a workload")
        switch name(kindNode, at: "\(path).kind", among: ["hostAffinity", "workloadAffinity"], "a kind of rule") {
        case "hostAffinity"?:
            if let node = inner["sign"] {
                wrong(node, "\(path).sign", expected: "no sign: it belongs to workloadAffinity")
            }
            guard let hosts = inner["hosts"] else {
                return missing("hosts", "the hosts with their priorities, like {pve1: 2, pve2: 1}", from: node)
            }
            let strict = inner["strict"].flatMap { truth($0, at: "\(path).strict") } ?? false
            plan.rules.append(
                Plan.Rule(.hosts(preferences(hosts, at: "\(path).hosts"), strict: strict), workloads: workloads))
        case "workloadAffinity"?:
            for name in ["hosts", "strict"] {
                if let node = inner[name] {
                    wrong(node, "\(path).\(name)", expected: "no such field: it belongs to hostAffinity")
                }
            }
            guard let signNode = inner["sign"] else { return missing("sign", "negative or positive", from: node) }
            guard let sign = name(signNode, at: "\(path).sign", among: ["negative", "positive"], "a sign") else {
                return
            }
            plan.rules.append(Plan.Rule(sign == "positive" ? .together : .apart, workloads: workloads))
        default: break
        }
    }

    /// `{pve1: 2, pve2: 1}`, or a list of hosts that are all the same.
    private mutating func preferences(_ node: ScenarioNode, at path: String) -> [Plan.Rule.Preference] {
        if case .map = node {
            return entries(of: node, at: path).compactMap { field in
                guard
                    let host = name(
                        .text(field.name, line: field.line), at: path, among: hostNames, "a host")
                else { return nil }
                if case .text("", _) = field.value { return Plan.Rule.Preference(host: host, priority: 0) }
                return number(field.value, at: "\(path).\(host)", in: 0...1_000).map {
                    Plan.Rule.Preference(host: host, priority: $0)
                }
            }
        }
        return names(node, at: path, among: hostNames, "a host").map { Plan.Rule.Preference(host: $0, priority: 0) }
    }

    // MARK: Policy

    /// Scenarios say failover for what the product calls restart: stopped here, started on another host.
    static let shutdownPolicies = ["conditional", "freeze", "failover", "migrate"]

    mutating func readPolicy(_ node: ScenarioNode?) {
        guard let node else { return }
        let inner = fields(of: node, at: "policy", known: ["onHostShutdown", "methods", "after"])
        if let node = inner["onHostShutdown"] {
            let word = name(
                node, at: "policy.onHostShutdown", among: Self.shutdownPolicies, "what happens to guests then")
            plan.policy.onHostShutdown = word == "failover" ? "restart" : word
        }
        if let node = inner["methods"] {
            plan.policy.methods = names(
                node, at: "policy.methods", among: FenceMethod.allCases.map(\.rawValue), "a fence method")
        }
        if let node = inner["after"] {
            plan.policy.after = length(node, at: "policy.after", in: 200_000_000...3_600_000_000_000)
        }
    }

    // MARK: Hypervisors

    mutating func readHypervisors(proxmox: ScenarioNode?, ceph: ScenarioNode?, watchdog: ScenarioNode?) {
        if let node = proxmox {
            let inner = fields(
                of: node, at: "proxmox", known: ["qdevice", "corosync", "start", "stop", "migration", "look"])
            if let node = inner["qdevice"] {
                plan.hypervisors.hasQDevice = truth(node, at: "proxmox.qdevice") ?? true
            }
            if let node = inner["corosync"] {
                plan.hypervisors.corosync =
                    length(node, at: "proxmox.corosync", in: 1_000_000...60_000_000_000) ?? plan.hypervisors.corosync
            }
            plan.hypervisors.start = range(inner["start"], at: "proxmox.start") ?? plan.hypervisors.start
            plan.hypervisors.stop = range(inner["stop"], at: "proxmox.stop") ?? plan.hypervisors.stop
            plan.hypervisors.migration =
                range(inner["migration"], at: "proxmox.migration") ?? plan.hypervisors.migration
            if let node = inner["look"] {
                plan.hypervisors.look =
                    length(node, at: "proxmox.look", in: 1_000_000...Self.mostLength) ?? plan.hypervisors.look
            }
        }
        if let node = ceph {
            let inner = fields(of: node, at: "ceph", known: ["monitors", "election", "proposal"])
            if let node = inner["monitors"] {
                plan.hypervisors.monitors = names(node, at: "ceph.monitors", among: machineNames, "a machine")
            }
            plan.hypervisors.election = range(inner["election"], at: "ceph.election") ?? plan.hypervisors.election
            plan.hypervisors.proposal = range(inner["proposal"], at: "ceph.proposal") ?? plan.hypervisors.proposal
        }
        if let node = watchdog {
            plan.hypervisors.watchdog = length(node, at: "watchdog", in: 0...3_600_000_000_000) ?? 0
        }
    }

    private mutating func range(_ node: ScenarioNode?, at path: String) -> ClosedRange<Int64>? {
        guard let node else { return nil }
        guard case .text(let text, _) = node, let read = Quantity.lengths(text) else {
            wrong(node, path, expected: "two lengths of time with .. between them, like 2s..7s")
            return nil
        }
        return read
    }
}
