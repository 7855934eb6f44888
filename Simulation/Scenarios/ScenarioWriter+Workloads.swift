// The part of a written scenario that is about workloads.

import Cluster
import Consensus
import Kinds
import SimulationWorld

extension ScenarioWriter {
    static func workloads(_ plan: Plan) -> [String] {
        var lines: [String] = []
        if plan.storage != .local { lines.append("storage: \(plan.storage.rawValue)") }
        if !plan.workloads.isEmpty {
            lines.append("workloads:")
            lines += plan.workloads.map { "  \(quoted($0.name)): {\($0.fields.joined(separator: ", "))}" }
        }
        if !plan.rules.isEmpty {
            lines.append("rules:")
            lines += plan.rules.map { "  - {\(fields(of: $0).joined(separator: ", "))}" }
        }
        lines += policy(plan.policy)
        lines += hypervisors(plan.hypervisors)
        return lines
    }

    private static func fields(of rule: Plan.Rule) -> [String] {
        let workloads = "workloads: [\(rule.workloads.map(quoted).joined(separator: ", "))]"
        switch rule.form {
        case .hosts(let hosts, let strict):
            let listed = hosts.map { "\($0.host): \($0.priority)" }.joined(separator: ", ")
            return ["kind: hostAffinity", workloads, "hosts: {\(listed)}", "strict: \(strict)"]
        case .together: return ["kind: workloadAffinity", "sign: positive", workloads]
        case .apart: return ["kind: workloadAffinity", "sign: negative", workloads]
        }
    }

    private static func policy(_ policy: Plan.Policy) -> [String] {
        var parts: [String] = []
        if let word = policy.onHostShutdown { parts.append("onHostShutdown: \(word == "restart" ? "failover" : word)") }
        if let methods = policy.methods { parts.append("methods: [\(methods.joined(separator: ", "))]") }
        if let after = policy.after { parts.append("after: \(TimeText.length(after))") }
        return parts.isEmpty ? [] : ["policy: {\(parts.joined(separator: ", "))}"]
    }

    private static func hypervisors(_ now: Plan.Hypervisors) -> [String] {
        let usual = Plan.Hypervisors()
        var lines: [String] = []
        var proxmox: [String] = []
        if now.hasQDevice != usual.hasQDevice { proxmox.append("qdevice: \(now.hasQDevice)") }
        if now.corosync != usual.corosync { proxmox.append("corosync: \(TimeText.length(now.corosync))") }
        if now.start != usual.start { proxmox.append("start: \(Quantity.text(now.start))") }
        if now.stop != usual.stop { proxmox.append("stop: \(Quantity.text(now.stop))") }
        if now.migration != usual.migration { proxmox.append("migration: \(Quantity.text(now.migration))") }
        if now.look != usual.look { proxmox.append("look: \(TimeText.length(now.look))") }
        if !proxmox.isEmpty { lines.append("proxmox: {\(proxmox.joined(separator: ", "))}") }
        var ceph: [String] = []
        if !now.monitors.isEmpty { ceph.append("monitors: [\(now.monitors.joined(separator: ", "))]") }
        if now.election != usual.election { ceph.append("election: \(Quantity.text(now.election))") }
        if now.proposal != usual.proposal { ceph.append("proposal: \(Quantity.text(now.proposal))") }
        if !ceph.isEmpty { lines.append("ceph: {\(ceph.joined(separator: ", "))}") }
        if now.watchdog != usual.watchdog { lines.append("watchdog: \(TimeText.length(now.watchdog))") }
        return lines
    }

    static func finals(_ expect: Plan.Expectation) -> [String] {
        expect.workloads.pairs.map { name, final in
            var parts: [String] = []
            if let states = final.states { parts.append("state: [\(states.joined(separator: ", "))]") }
            if let hosts = final.hosts { parts.append("host: [\(hosts.joined(separator: ", "))]") }
            if let reason = final.reason { parts.append("reason: \(quoted(reason))") }
            if let starts = final.starts { parts.append("starts: \(starts)") }
            return "\(quoted(name)): {\(parts.joined(separator: ", "))}"
        }
    }

    static func ofWorkloads(_ expect: Plan.Expectation) -> [String] {
        var parts: [String] = []
        if !expect.recoveries.isEmpty {
            let bounds = expect.recoveries.pairs.map { "\(quoted($0)): \(TimeText.length($1))" }
            parts.append("recoveries: {\(bounds.joined(separator: ", "))}")
        }
        if let resets = expect.resets { parts.append("resets: [\(resets.joined(separator: ", "))]") }
        if let restarts = expect.restarts { parts.append("restarts: [\(restarts.joined(separator: ", "))]") }
        return parts
    }
}
