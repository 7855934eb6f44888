// What a rehearsal came to: what stays down and why, and how long the rest was gone. Ground truth says what is down; why is
// said in the cluster's own words where it has some.

import Cluster
import Consensus
import Decisions
import Kinds
import SimulationWorld

struct Judge {
    let cluster: PresentCluster
    let losses: [Loss]
    let rehearsal: Rehearsal

    func fill(_ forecast: inout Forecast) {
        let result = rehearsal.result
        forecast.leaderBefore = rehearsal.leaderBefore
        forecast.leaderAfter = rehearsal.leader
        forecast.restedAt = rehearsal.restedAt.map { $0 / 1_000_000 }
        forecast.resets = result.resets.map { "\($0.host), after \(Forecast.length($0.at / 1_000_000)): \($0.why)" }
        forecast.violations = result.violations.map { "\($0.invariant): \($0.words)" }
        if rehearsal.leader == nil {
            let down = Forecast.Down(subject: "cluster", why: withoutLeader)
            if rehearsal.leaderBefore == nil { forecast.alreadyDown.append(down) } else { forecast.down.append(down) }
        }
        fillAddresses(&forecast)
        fillWorkloads(&forecast)
    }

    // MARK: Addresses

    private func fillAddresses(_ forecast: inout Forecast) {
        for (name, address) in rehearsal.result.addresses.pairs {
            let before = rehearsal.holders[name]
            let key = ResourceKey(kind: "VirtualIP", name: name)
            var gaps = address.gaps
            if address.holder == nil {
                // The last gap goes on.
                if !gaps.isEmpty { gaps.removeLast() }
                let down = Forecast.Down(subject: key.description, why: why(address: key))
                if before == nil { forecast.alreadyDown.append(down) } else { forecast.down.append(down) }
            }
            forecast.addresses.append(
                Forecast.Address(
                    name: name, before: before, after: address.holder, gaps: gaps.map { $0.length / 1_000_000 }))
        }
    }

    private func why(address key: ResourceKey) -> String {
        guard rehearsal.leader != nil, let state = rehearsal.state else { return "nobody may decide who holds it" }
        guard let spec = state.resources[key].flatMap({ try? VirtualIPSpec($0.declaration) }) else {
            return "its declaration is not understood"
        }
        if let holder = state.roles[key]?.holder, state.members[holder]?.reachable == true {
            return "\(state.name(of: holder)) holds it and does not answer for it"
        }
        guard !spec.candidates.isEmpty else { return "it has no candidates" }
        let reasons = spec.candidates.map { candidate -> String in
            guard let member = state.member(named: candidate.member) else { return "\(candidate.member) is no member" }
            if !member.reachable { return "\(candidate.member) is away" }
            if let unfit = state.roles[key]?.unfit[member.id.description] {
                return "\(candidate.member) is unfit: \(unfit)"
            }
            return "\(candidate.member) does not hold it"
        }
        return "nobody is left to hold it: \(reasons.joined(separator: ", "))"
    }

    // MARK: The cluster

    private var withoutLeader: String {
        let configuration = cluster.configuration
        let needed = Configuration.majority(of: configuration.voters)
        return
            "no \(needed) of its \(configuration.voters.count) voters reach each other, and without a majority nobody decides"
    }

    // MARK: Workloads

    private func fillWorkloads(_ forecast: inout Forecast) {
        let specs = WorkloadSpecs(cluster.state)
        for (key, spec) in specs.workloads.pairs {
            let name = key.description
            guard let after = rehearsal.result.workloads[name], let before = rehearsal.before[name] else { continue }
            let wasUp = before.state == "running"
            // What runs where nobody reaches it is gone for everybody else.
            let isCutOff = after.host.map { losses.contains(.network($0)) } ?? false
            let isUp = after.state == "running" && !isCutOff
            let recovery = rehearsal.result.recoveries.last { $0.workload == name }
            if !isUp, let placement = rehearsal.state?.placements[key] ?? cluster.state.placements[key],
                specs.shallRun(key, placement) == true
            {
                let cutOff = isCutOff && after.state == "running" ? after.host : nil
                let down = Forecast.Down(
                    subject: name,
                    why: cutOff.map { "it runs on \($0), which reaches nobody" } ?? why(key, spec, placement, specs))
                if wasUp { forecast.down.append(down) } else { forecast.alreadyDown.append(down) }
            }
            forecast.workloads.append(
                Forecast.Workload(
                    name: name, before: wasUp ? before.host : nil, after: isUp ? after.host : nil,
                    gap: isUp ? recovery.map { ($0.startedAt - $0.lostAt) / 1_000_000 } : nil,
                    fence: recovery?.fence))
        }
    }

    private func why(
        _ key: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, _ specs: WorkloadSpecs
    ) -> String {
        guard rehearsal.leader != nil, let state = rehearsal.state else {
            return "without a majority nothing is started"
        }
        if !placement.obstacle.isEmpty { return placement.obstacle }
        guard let host = placement.host else { return placement.reason.isEmpty ? "no host has it" : placement.reason }
        if state.disarmed != nil { return "the cluster is disarmed" }
        if case .wanted(let method, _) = state.hosts[host]?.fence {
            return state.hosts[host]?.attempts.last ?? "\(host) is still being fenced by \(method.rawValue)"
        }
        if state.member(named: host)?.reachable != true { return "\(host) is away and not fenced" }
        let unmet = spec.dependsOn.first { !isThere($0, state) }
        if let unmet { return "\(unmet), on which it depends, is not there" }
        return "\(host), where it belongs, has not started it"
    }

    private func isThere(_ key: ResourceKey, _ state: ClusterState) -> Bool {
        if let placement = state.placements[key] {
            return placement.host.flatMap { placement.sighting(on: $0) } == .running
        }
        if let role = state.roles[key] { return role.holder != nil }
        return true
    }
}
