// The answer to `GET /v1/status`: everything one needs to know at a glance.

import Agent
import Cluster
import Consensus
import Decisions

public struct StatusDocument: Hashable, Sendable, Codable {
    public var cluster: String
    public var clusterID: String
    /// The leader's name; nil when the answering member knows none.
    public var leader: String?
    public var revision: UInt64
    /// The feature level in force; nil from a member of a version that does not say.
    public var level: UInt64?
    /// Whether a majority of the voters follows the leader, as far as the answering member can tell.
    public var quorum: Bool
    public var members: [MemberDocument]
    public var addresses: [AddressDocument]
    /// Nil from a member of a version that has none.
    public var workloads: [WorkloadDocument]?
    public var hosts: [HostDocument]?
    public var tolerance: [ToleranceDocument]
    /// The declarations that are in force on trial, if some are.
    public var trial: Trial?
    /// The rotation of the authority that is under way, if one is.
    public var rotation: RotationDocument?
    /// What is not as it should be, each in a sentence.
    public var degraded: [String]
    public var read: ReadAge
}

public struct MemberDocument: Hashable, Sendable, Codable {
    public var name: String
    public var id: String
    public var kind: String
    /// The host a guest runs on; for hosts and witnesses their own name.
    public var host: String
    public var domain: String
    public var reachable: Bool
    /// It stops by its own word.
    public var stopping: Bool
    public var voter: Bool
    public var leader: Bool
    public var version: String
    /// Where the API answers: `address:port`.
    public var endpoint: String
    public var peerEndpoint: String
    /// Log entries it lacks, where the answering member knows (it is the leader).
    public var lacking: UInt64?
    /// When its certificate ends, milliseconds since 1970, as far as it has said so.
    public var certificateExpires: Int64?
    /// The newest feature level its version understands; nil when it has not said.
    public var level: UInt64?
}

public struct AddressDocument: Hashable, Sendable, Codable {
    /// The name of the VirtualIP, and its address with the prefix length as declared; several with commas between them.
    public var name: String
    public var address: String
    public var phase: RolePhase
    public var holder: String?
    /// While it is being released: who gets it.
    public var successor: String?
    public var epoch: UInt64
    /// When it got there, in text and in milliseconds since 1970.
    public var since: String
    public var sinceMilliseconds: Int64
    public var reason: String
    /// Candidates that cannot serve now, and why, by name.
    public var unfit: [UnfitDocument]
    /// Which other machine uses an address of it, as its holder saw; absent when none does.
    public var conflict: String?
}

public enum RolePhase: String, Sendable, Codable, CaseIterable {
    case vacant
    case held
    case releasing
}

public struct UnfitDocument: Hashable, Sendable, Codable {
    public var member: String
    public var why: String
}

public struct ToleranceDocument: Hashable, Sendable, Codable {
    public var domain: String
    public var members: [String]
    public var canBeLost: Bool
    /// Why not; empty when it can.
    public var why: [String]

    init(_ tolerance: Tolerance) {
        domain = tolerance.domain
        members = tolerance.members
        canBeLost = tolerance.canBeLost
        why = tolerance.obstacles
    }
}

/// The answer to `GET /v1/tolerance`.
public struct ToleranceReport: Hashable, Sendable, Codable {
    public var tolerance: [ToleranceDocument]
    /// Ids of members that were removed and still count for decisions, for a moment; nil when there are none.
    public var departing: [String]?
    public var read: ReadAge
}

/// The answer to `GET /v1/members`.
public struct MembersDocument: Hashable, Sendable, Codable {
    public var members: [MemberDocument]
    public var read: ReadAge
}

// MARK: From the state

extension StatusDocument {
    /// - Parameter now: wall clock, milliseconds since 1970; certificates are judged by it.
    init(cluster: ClusterID, state: ClusterState, view: AgentView, consistency: ReadConsistency, now: Int64) {
        let members = MemberDocument.all(state, view)
        let addresses = AddressDocument.all(state)
        let workloads = state.placements.isEmpty ? [] : WorkloadDocument.all(state, WorkloadSpecs(state))
        let hosts = HostDocument.all(state, workloads, silent: view.silent)
        self.init(
            cluster: state.clusterName, clusterID: cluster.description,
            leader: view.leader.map { state.name(of: $0) }, revision: state.revision, level: state.level,
            quorum: consistency == .linearizable || Self.seesQuorum(view), members: members, addresses: addresses,
            workloads: workloads, hosts: hosts, tolerance: ToleranceDocument.all(state, view), trial: state.trial,
            rotation: RotationDocument(state, silent: view.silent, now: now),
            degraded: Self.degraded(members, addresses, level: state.level, now: now)
                + Self.degradedWorkloads(workloads, hosts, state)
                + (state.trial.map { [Self.sentence($0)] } ?? []),
            read: ReadAge(consistency, state, view))
    }

    /// A linearizable answer proves a quorum; a local one only tells what this member believes.
    fileprivate static func seesQuorum(_ view: AgentView) -> Bool {
        view.role == .leader ? view.hasQuorumLease : view.leader != nil
    }

    private static func sentence(_ trial: Trial) -> String {
        "revision \(trial.revision) is on trial by \(trial.actor) and undone at "
            + "\(timestamp(milliseconds: trial.endsMilliseconds)): holdfast apply --confirm --revision \(trial.revision) keeps it"
    }

    private static func degraded(
        _ members: [MemberDocument], _ addresses: [AddressDocument], level: UInt64, now: Int64
    ) -> [String] {
        var sentences: [String] = []
        for member in members {
            if !member.reachable { sentences.append("\(member.kind) \(member.name) is unreachable") }
            if member.stopping { sentences.append("\(member.kind) \(member.name) is stopping") }
            if let sentence = member.certificateWarning(now: now) { sentences.append(sentence) }
            if member.level ?? 0 < level {
                sentences.append(
                    "\(member.kind) \(member.name) has version \(member.version), which does not understand feature level "
                        + "\(level) of this cluster: install the version of the others there, or remove it")
            }
        }
        for address in addresses {
            switch address.phase {
            case .vacant: sentences.append("nobody holds \(address.name) (\(address.address)): \(address.reason)")
            case .releasing: sentences.append("\(address.name) is on its way: \(address.reason)")
            case .held: break
            }
            if let conflict = address.conflict {
                sentences.append("\(address.name): \(conflict); find that machine and take the address off it")
            }
            for unfit in address.unfit {
                sentences.append("\(unfit.member) cannot hold \(address.name): \(unfit.why)")
            }
        }
        return sentences
    }
}

extension MemberDocument {
    /// What is wrong with the age of its certificate, and what to do; nil when nothing is.
    public func certificateWarning(now: Int64) -> String? {
        guard let ends = certificateExpires else { return nil }
        let remedy =
            "it is renewed by itself and was not: run journalctl -u holdfast on \(name) for the reason, "
            + "then systemctl restart holdfast there"
        switch CertificateStanding(ends: ends, now: now) {
        case .good: return nil
        case .endsSoon:
            return "the certificate of \(name) ends in \((ends - now) / 86_400_000) days; \(remedy)"
        case .ended: return "the certificate of \(name) ended at \(timestamp(milliseconds: ends)); \(remedy)"
        }
    }

    /// All members, by name.
    static func all(_ state: ClusterState, _ view: AgentView) -> [MemberDocument] {
        state.members.values.sorted { $0.name < $1.name }.map { member in
            MemberDocument(
                name: member.name, id: member.id.description, kind: member.kind.rawValue,
                host: member.host.isEmpty ? member.name : member.host, domain: member.failureDomain,
                reachable: member.reachable && !view.silent.contains(member.id), stopping: member.stopping,
                voter: view.configuration.isVoter(member.id), leader: view.leader == member.id,
                version: member.version, endpoint: member.apiEndpoint, peerEndpoint: member.peerEndpoint,
                lacking: view.lacking[member.id], certificateExpires: member.certificateExpires, level: member.level)
        }
    }
}

extension AddressDocument {
    /// The addresses of all VirtualIPs, by name; also one that was deleted and is not let go of yet.
    static func all(_ state: ClusterState) -> [AddressDocument] {
        state.roles.pairs.filter { $0.0.kind == "VirtualIP" }.map { key, role in
            AddressDocument(key: key, role: role, state: state)
        }
    }

    /// The declared addresses in one text: `192.168.1.99/24, fd00::99/64`.
    private static func text(of spec: JSONValue) -> String? {
        if let one = spec["address"]?.string { return one }
        return spec["addresses"]?.array?.compactMap { $0["address"]?.string }.joined(separator: ", ")
    }

    init(key: ResourceKey, role: RoleRecord, state: ClusterState) {
        let successor: MemberID?
        let phase: RolePhase
        switch role.phase {
        case .vacant: (phase, successor) = (.vacant, nil)
        case .held: (phase, successor) = (.held, nil)
        case .releasing(_, let to): (phase, successor) = (.releasing, to)
        }
        self.init(
            name: key.name,
            address: state.resources[key].flatMap { Self.text(of: $0.declaration.spec) } ?? "deleted",
            phase: phase, holder: role.holder.map { state.name(of: $0) },
            successor: successor.map { state.name(of: $0) }, epoch: role.epoch,
            since: timestamp(milliseconds: role.sinceMilliseconds), sinceMilliseconds: role.sinceMilliseconds,
            reason: role.reason,
            unfit: role.unfit.pairs.map { id, why in
                UnfitDocument(member: MemberID(id).map { state.name(of: $0) } ?? id, why: why)
            }, conflict: role.conflict.isEmpty ? nil : role.conflict)
    }
}

extension ToleranceDocument {
    static func all(_ state: ClusterState, _ view: AgentView) -> [ToleranceDocument] {
        let tolerance = Tolerance.all(state: state, configuration: view.configuration, silent: view.silent)
            .map(ToleranceDocument.init)
        guard !StatusDocument.seesQuorum(view) else { return tolerance }
        // What was true when there last was a quorum says nothing about now.
        return tolerance.map { domain in
            var domain = domain
            domain.canBeLost = false
            domain.why = ["\(state.name(of: view.member)) sees no quorum now"]
            return domain
        }
    }
}
