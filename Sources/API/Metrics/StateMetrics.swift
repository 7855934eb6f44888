// The replicated state and this member's view of it as metrics. Names of members and roles stand in them, which every
// member of the network may know; nothing that anybody stored does, and no operator.

import Agent
import Cluster
import Consensus
import Runtime

enum StateMetrics {
    static func families(_ state: ClusterState, _ view: AgentView) -> [MetricFamily] {
        consensus(state, view) + members(state, view) + roles(state) + sizes(state, view)
    }

    private static func gauge(_ name: String, _ help: String, _ value: Double) -> MetricFamily {
        MetricFamily(.gauge, name, help, value: value)
    }

    private static func gauge(_ name: String, _ help: String, _ truth: Bool) -> MetricFamily {
        gauge(name, help, truth ? 1 : 0)
    }

    private static func consensus(_ state: ClusterState, _ view: AgentView) -> [MetricFamily] {
        var leader = MetricFamily(
            .gauge, "holdfast_raft_leader", "1 for the member that this one takes for the leader; absent when none is.")
        if let id = view.leader { leader.add(1, .init("member", state.name(of: id))) }
        return [
            gauge("holdfast_raft_term", "The term this member is in.", Double(view.term.rawValue)),
            leader,
            gauge("holdfast_raft_is_leader", "Whether this member leads.", view.role == .leader),
            gauge(
                "holdfast_raft_commit_index", "The last log entry known to be committed.",
                Double(view.commitIndex.rawValue)),
            gauge(
                "holdfast_raft_applied_index", "The last log entry applied to the state.",
                Double(view.appliedIndex.rawValue)),
            gauge(
                "holdfast_raft_quorum_lease_held", "Whether this member, as leader, holds its quorum lease.",
                view.hasQuorumLease),
            gauge("holdfast_raft_voters", "Members that vote.", Double(view.configuration.voters.count)),
            gauge(
                "holdfast_member_lease_held", "Whether this member may act on the roles it holds.", view.holdsLease),
            gauge(
                "holdfast_member_current",
                "Whether this member's state has been as new as the cluster's since it started.", view.isCurrent),
        ]
    }

    private static func members(_ state: ClusterState, _ view: AgentView) -> [MetricFamily] {
        var reachable = MetricFamily(
            .gauge, "holdfast_member_reachable", "Whether a member is heard of, as the answering member knows.")
        var lacking = MetricFamily(
            .gauge, "holdfast_member_lacking_entries", "Log entries a member lacks, as its leader knows.")
        var expiry = MetricFamily(
            .gauge, "holdfast_certificate_expiry_timestamp_seconds",
            "When a member's certificate ends, in seconds since the unix epoch.")
        for member in state.members.values {
            let label = MetricFamily.Label("member", member.name)
            reachable.add(member.reachable && !view.silent.contains(member.id) ? 1 : 0, label)
            if let entries = view.lacking[member.id] { lacking.add(Double(entries), label) }
            if let ends = member.certificateExpires { expiry.add(Double(ends) / 1000, label) }
        }
        return [reachable, lacking, expiry]
    }

    private static func roles(_ state: ClusterState) -> [MetricFamily] {
        var holders = MetricFamily(
            .gauge, "holdfast_role_holder", "1 for the member that a role is assigned to; 0 without a member: nobody.")
        var epochs = MetricFamily(
            .counter, "holdfast_role_epochs_total", "How often a role has got another holder or lost its holder.")
        var conflicts = MetricFamily(
            .gauge, "holdfast_role_address_conflict",
            "Whether the holder of a role sees another machine use one of its addresses.")
        for (key, role) in state.roles.pairs {
            let label = MetricFamily.Label("role", key.description)
            if let holder = role.holder {
                holders.add(1, label, .init("member", state.name(of: holder)))
            } else {
                holders.add(0, label, .init("member", ""))
            }
            epochs.add(Double(role.epoch), label)
            conflicts.add(role.conflict.isEmpty ? 0 : 1, label)
        }
        return [holders, epochs, conflicts]
    }

    private static func sizes(_ state: ClusterState, _ view: AgentView) -> [MetricFamily] {
        var resources = MetricFamily(.gauge, "holdfast_resources", "Declared resources, by kind.")
        var counts: SortedMap<String, Int> = [:]
        for resource in state.resources.values {
            counts[resource.declaration.kind] = (counts[resource.declaration.kind] ?? 0) + 1
        }
        for (kind, count) in counts.pairs { resources.add(Double(count), .init("kind", kind)) }
        return [
            gauge("holdfast_feature_level", "The feature level in force.", Double(state.level)),
            gauge("holdfast_state_revision", "Commands applied so far.", Double(state.revision)), resources,
            gauge("holdfast_values", "Values in the small store.", Double(state.values.count)),
            gauge("holdfast_values_bytes", "Bytes of their keys and values.", Double(state.valueBytes)),
            gauge(
                "holdfast_snapshot_failed", "Whether the last snapshot was not kept, so that the log grows.",
                view.snapshotProblem != nil),
            gauge(
                "holdfast_proposals_open", "Commands of this member that wait to be committed.",
                Double(view.openProposals)),
            gauge("holdfast_reads_open", "Reads of this member that wait for the leader.", Double(view.openReads)),
        ]
    }
}
