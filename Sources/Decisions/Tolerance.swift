// What the cluster can lose right now. Asked for every failure domain: if everything in it vanished this moment, would
// the rest still decide, and would every address still be held? It judges what is known now; it predicts nothing.

import Cluster
import Consensus

/// Whether one failure domain can be lost now.
public struct Tolerance: Hashable, Sendable {
    /// The name of the host or witness that the domain is.
    public let domain: String
    /// The members in it, by name, sorted.
    public let members: [String]
    /// Why it cannot be lost, each in a sentence. Empty: it can.
    public let obstacles: [String]

    public var canBeLost: Bool { obstacles.isEmpty }

    public init(domain: String, members: [String], obstacles: [String]) {
        self.domain = domain
        self.members = members
        self.obstacles = obstacles
    }
}

extension Tolerance {
    /// The answer for every failure domain, in the order of their names.
    /// - Parameter silent: members the leader has not heard of lately, beyond those the state says are unreachable.
    public static func all(state: ClusterState, configuration: Configuration, silent: [MemberID] = []) -> [Tolerance] {
        let members = state.members.values
        let domains = SortedMap(members.map { ($0.failureDomain, true) }).keys
        let survey = Survey(state: state, configuration: configuration, silent: silent)
        return domains.map { domain in
            Tolerance(
                domain: domain, members: members.filter { $0.failureDomain == domain }.map(\.name).sorted(),
                obstacles: survey.votingObstacles(to: domain) + survey.addressObstacles(to: domain)
                    + survey.workloadObstacles(to: domain))
        }
    }
}

extension Tolerance {
    /// Why the members and addresses of a domain cannot be missed for a while, when it goes by plan: its guests have left or
    /// ended before, so they do not count.
    public static func obstacles(
        toMissing domain: String, state: ClusterState, configuration: Configuration, silent: [MemberID] = []
    ) -> [String] {
        let survey = Survey(state: state, configuration: configuration, silent: silent)
        return survey.votingObstacles(to: domain) + survey.addressObstacles(to: domain)
    }

    /// The failure domains that can be lost now, but not any more without `member`, with what would stand in the way.
    /// Only votes count. A learner that will be promoted in its place counts as a voter already.
    public static func spent(
        byRemoving member: MemberID, state: ClusterState, configuration: Configuration, silent: [MemberID] = []
    ) -> [Tolerance] {
        guard configuration.isVoter(member) else { return [] }
        let before = Survey(state: state, configuration: configuration, silent: silent)
        let substitute = configuration.learners.first { learner in
            state.members[learner].map { $0.kind != .guest && before.answers($0) } ?? false
        }
        let voters = configuration.voters.filter { $0 != member } + (substitute.map { [$0] } ?? [])
        let after = Survey(state: state, configuration: Configuration(voters: voters), silent: silent)
        return all(state: state, configuration: configuration, silent: silent).compactMap { domain in
            guard before.votingObstacles(to: domain.domain).isEmpty else { return nil }
            let obstacles = after.votingObstacles(to: domain.domain)
            guard !obstacles.isEmpty else { return nil }
            return Tolerance(domain: domain.domain, members: domain.members, obstacles: obstacles)
        }
    }
}

/// The questions asked of one state.
private struct Survey {
    let state: ClusterState
    let configuration: Configuration
    let silent: [MemberID]

    func answers(_ member: MemberRecord) -> Bool { member.reachable && !silent.contains(member.id) }

    /// More than half of the voters must live outside the domain and answer; while several are being exchanged, of those
    /// before as well.
    func votingObstacles(to domain: String) -> [String] {
        configuration.sides.enumerated().compactMap { side, voters in
            let needed = Configuration.majority(of: voters)
            let outside = voters.filter { state.members[$0]?.failureDomain != domain }
            let answering = outside.filter { voter in state.members[voter].map(answers) ?? false }
            guard answering.count < needed else { return nil }
            let dead = outside.filter { !answering.contains($0) }.map { state.name(of: $0) }
            let left = answering.isEmpty ? "none" : "\(answering.count)"
            let whose = side == 0 ? "voters" : "voters on their way out"
            return "\(left) of \(voters.count) \(whose) would be left, \(needed) are needed"
                + (dead.isEmpty ? "" : " (unreachable: \(dead.joined(separator: ", ")))")
        }
    }

    /// Every address must have a candidate outside the domain that could hold it.
    func addressObstacles(to domain: String) -> [String] {
        state.resources(ofKind: "VirtualIP").compactMap { resource in
            let candidates = Self.candidates(of: resource.declaration)
            let outside = candidates.filter { name in
                guard let member = state.member(named: name) else { return false }
                return member.failureDomain != domain && obstacle(member, role: resource.declaration.key) == nil
            }
            guard outside.isEmpty else { return nil }
            let reasons = candidates.map { name -> String in
                guard let member = state.member(named: name) else { return "\(name) is no member" }
                if member.failureDomain == domain { return "\(name) would be lost" }
                return "\(name) \(obstacle(member, role: resource.declaration.key) ?? "")"
            }
            return "nobody would be left to hold \(resource.declaration.name)"
                + (reasons.isEmpty ? " (it has no candidates)" : " (\(reasons.joined(separator: ", ")))")
        }
    }

    func workloadObstacles(to domain: String) -> [String] {
        guard !state.placements.isEmpty else { return [] }
        return WorkloadTolerance.obstacles(toLosing: domain, state: state, specs: WorkloadSpecs(state)) { answers($0) }
    }

    /// Why a member could not hold a role now; nil when it could.
    func obstacle(_ member: MemberRecord, role: ResourceKey) -> String? {
        if !answers(member) { return "is unreachable" }
        if member.stopping { return "is stopping" }
        if let unfit = state.roles[role]?.unfit[member.id.description] { return "is unfit: \(unfit)" }
        return nil
    }

    static func candidates(of declaration: Declaration) -> [String] {
        (declaration.spec["candidates"]?.array ?? []).compactMap { $0["member"]?.string }
    }
}
