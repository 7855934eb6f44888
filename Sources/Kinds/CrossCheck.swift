// What must hold between resources: no address twice, one Cluster, no role for a witness.
// Relies on each resource having been checked by itself; does not know which members have really joined.

import Cluster
import Consensus

extension KindRegistry {
    /// What is wrong with these declarations together, and together with what is there already. A problem is reported
    /// for a declaration of `declarations` only, never for what was accepted before. Declarations that are not sound by
    /// themselves are passed over; `problems(in:)` tells about them.
    /// - Parameter existing: the resources that stay, without those that the same change deletes.
    public static func crossCheck(_ declarations: [Declaration], against existing: [Declaration]) -> [Problem] {
        var check = CrossCheck(declared: declarations, existing: existing)
        check.run()
        return check.problems
    }
}

private struct CrossCheck {

    let declared: [Declaration]
    /// What is there already and is not being replaced, by key.
    let kept: [Declaration]
    private(set) var problems: [Problem] = []

    init(declared: [Declaration], existing: [Declaration]) {
        self.declared = declared
        var replaced = SortedMap<ResourceKey, Bool>()
        for declaration in declared { replaced[declaration.key] = true }
        kept = existing.filter { replaced[$0.key] == nil }
    }

    mutating func run() {
        checkKeys()
        checkClusters()
        checkMemberNames()
        checkAddresses()
        checkCandidates()
        checkNewWitnesses()
    }

    private mutating func checkKeys() {
        var seen = SortedMap<ResourceKey, Bool>()
        for declaration in declared {
            if seen[declaration.key] != nil {
                report(
                    declaration, FieldPath.root.field("metadata").field("name"),
                    found: "\(declaration.key) a second time", expected: "each resource once")
            }
            seen[declaration.key] = true
        }
    }

    private mutating func checkClusters() {
        var first = kept.first { $0.kind == "Cluster" }
        for declaration in declared where declaration.kind == "Cluster" {
            if let first, first.key != declaration.key {
                report(
                    declaration, FieldPath.root.field("metadata").field("name"),
                    found: "a second Cluster", expected: "only one, and \(first.key) is there already",
                    suggestion: first.name)
            }
            first = first ?? declaration
        }
    }

    /// A host and a witness are members, and a member's name is given once.
    private mutating func checkMemberNames() {
        var seen = SortedMap<String, ResourceKey>()
        for declaration in kept where Self.isMember(declaration) { seen[declaration.name] = declaration.key }
        for declaration in declared where Self.isMember(declaration) {
            if let other = seen[declaration.name], other != declaration.key {
                report(
                    declaration, FieldPath.root.field("metadata").field("name"),
                    found: "the name \(declaration.name)", expected: "a name of its own: \(other) has this one")
            }
            seen[declaration.name] = declaration.key
        }
    }

    private mutating func checkAddresses() {
        var seen = SortedMap<String, ResourceKey>()
        for declaration in kept {
            for address in Self.addresses(of: declaration) { seen[address] = declaration.key }
        }
        for declaration in declared {
            for address in Self.addresses(of: declaration) {
                if let other = seen[address], other != declaration.key {
                    report(
                        declaration, Self.path(of: address, in: declaration), found: "the address \(address)",
                        expected: "an address of its own: \(other) has this one")
                }
                seen[address] = declaration.key
            }
        }
    }

    private mutating func checkCandidates() {
        var witnesses = SortedMap<String, Bool>()
        for declaration in kept + declared where declaration.kind == "Witness" { witnesses[declaration.name] = true }
        for declaration in declared {
            guard let spec = try? VirtualIPSpec(declaration) else { continue }
            for (position, candidate) in spec.candidates.enumerated() where witnesses[candidate.member] != nil {
                report(
                    declaration, FieldPath.spec.field("candidates").index(position).field("member"),
                    found: "the witness \(candidate.member)",
                    expected: "a host or a guest: a witness holds no address")
            }
        }
    }

    /// A witness under a name that an address counts on already.
    private mutating func checkNewWitnesses() {
        var users = SortedMap<String, ResourceKey>()
        for declaration in kept {
            for candidate in (try? VirtualIPSpec(declaration))?.candidates ?? [] {
                users[candidate.member] = declaration.key
            }
        }
        for declaration in declared where declaration.kind == "Witness" {
            guard let user = users[declaration.name] else { continue }
            report(
                declaration, FieldPath.root.field("metadata").field("name"), found: "the name \(declaration.name)",
                expected: "a name that is no candidate: \(user) names it, and a witness holds no address")
        }
    }

    private static func isMember(_ declaration: Declaration) -> Bool {
        declaration.kind == "Host" || declaration.kind == "Witness"
    }

    private static func addresses(of declaration: Declaration) -> [String] {
        switch declaration.kind {
        case "VirtualIP": (try? VirtualIPSpec(declaration))?.addresses.map(\.address) ?? []
        case "Host": (try? HostSpec(declaration)).map { [$0.address] } ?? []
        case "Witness": ((try? WitnessSpec(declaration))?.address).map { [$0] } ?? []
        default: []
        }
    }

    private static func path(of address: String, in declaration: Declaration) -> FieldPath {
        let position = declaration.spec["addresses"]?.array?
            .firstIndex { $0["address"]?.string?.hasPrefix(address + "/") ?? false }
        guard let position else { return FieldPath.spec.field("address") }
        return FieldPath.spec.field("addresses").index(position).field("address")
    }

    private mutating func report(
        _ declaration: Declaration, _ path: FieldPath, found: String, expected: String, suggestion: String? = nil
    ) {
        problems.append(Problem(declaration.key, at: path, found: found, expected: expected, suggestion: suggestion))
    }
}
