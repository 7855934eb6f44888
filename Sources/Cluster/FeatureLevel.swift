// What the members of a cluster may count on in each other while their versions differ.
//
// Every member says with its version which feature level it understands. The cluster has one level in force, part of the
// replicated state; the leader raises it when everybody understands the next one, and nobody lowers it. A command that an
// older version would not understand, or would apply differently, says the level it needs: until that level is in force it
// is refused, and a member that meets it all the same (it was away, or put back to an older version) stops with words
// before its state parts from the others'.
//
//     level   came with
//     1       the first version
//     2       workloads and hosts that are fenced; the rotation of the authority; who was left behind is removed like a
//             member; the first word of a member is no renewal; workloads that are not well are restarted and moved;
//             hosts that are restarted by order; whether a host runs guests; what a host has said of its guests counts
//             for the boot in which it was said; a witness does not stand on a host of the cluster
//
// A change of the state or of a command that two versions would apply differently takes a new level: count `newest` up, add
// a row here, and say in `Command.neededLevel` what needs it. No release has level 2 yet, so what is new is added to it; from
// the first one that has it on it stays as it is. What every version keeps of a member or a command at lower levels stays the
// same all the while.

import Consensus

public enum FeatureLevel {
    /// What this version understands.
    public static let newest: UInt64 = 2
}

extension Command {
    /// The lowest level at which every member applies this command the same way; nil: every version does.
    public var neededLevel: UInt64? {
        switch self {
        case .reportConflict: 1
        case .workload: 2
        case .apply(let declarations, _, _) where declarations.contains { ClusterState.isWorkload($0.key) }: 2
        // Earlier versions look at a single address when they ask who else holds it.
        case .apply(let declarations, _, _) where declarations.contains { $0.spec["addresses"] != nil }: 1
        case .rotateAuthority, .advanceRotation, .cancelRotation, .renameMember: 2
        // `recover` needs none, although older versions do not know it: whoever begins an epoch has asked everybody who
        // belongs to it first, in words that those do not know either, and without a majority no level can be raised.
        default: nil
        }
    }
}

extension CommandRecord {
    /// The level that the bytes of an entry say they need, whatever else is in them; nil for level 1, and for bytes that are
    /// no command of any version.
    public static func neededLevel(of bytes: [UInt8]) -> UInt64? {
        struct Leveled: Decodable { let level: UInt64? }
        // Nearly every command says none, and reading one takes longer than looking for the word.
        guard contains(Array("\"level\":".utf8), in: bytes) else { return nil }
        return (try? CanonicalJSON.decode(Leveled.self, from: bytes))?.level
    }
}

extension CommandRecord {
    private static func contains(_ word: [UInt8], in bytes: [UInt8]) -> Bool {
        guard bytes.count >= word.count else { return false }
        return (0...bytes.count - word.count).contains { start in
            bytes[start] == word[0] && bytes[start..<start + word.count].elementsEqual(word)
        }
    }
}

extension MemberRecord {
    /// Whether this member, as it announced itself last, can follow a cluster at `level`. A version from before the levels
    /// said nothing.
    public func understands(_ level: UInt64) -> Bool { (self.level ?? 0) >= level }
}

extension ClusterState {
    /// Why a command that needs `needed` is not carried out yet; nil: it may be.
    public func objection(toLevel needed: UInt64?) -> String? {
        guard let needed, needed > level else { return nil }
        let behind = members.values.filter { !$0.understands(needed) }.map { "\($0.name) (version \($0.version))" }
        return "this needs feature level \(needed), and level \(level) is in force"
            + (behind.isEmpty ? "" : " because of \(behind.joined(separator: ", "))")
            + "; bring every member to the newest version: holdfast cluster upgrade"
    }

    /// - Parameter without: members that are left behind. They stop at this entry, and go on when they are upgraded.
    mutating func raiseLevel(to wanted: UInt64, without: [MemberID], _ record: CommandRecord) -> Outcome {
        guard wanted > level else { return unchanged("feature level \(level) is in force already") }
        let behind = members.values.filter { !$0.understands(wanted) }
        let unasked = behind.filter { !without.contains($0.id) }
        guard unasked.isEmpty else {
            let names = unasked.map { "\($0.name) (version \($0.version))" }.joined(separator: ", ")
            return refused(.unsafe, "feature level \(wanted) is not understood by \(names)")
        }
        level = wanted
        let left = behind.isEmpty ? "" : "; left behind until upgraded: \(behind.map(\.name).joined(separator: ", "))"
        _ = note("LevelRaised", "cluster/\(clusterName)", "feature level \(wanted) is in force\(left)", record)
        return done("feature level \(wanted) is in force\(left)")
    }
}
