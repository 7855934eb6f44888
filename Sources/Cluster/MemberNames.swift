// A member's name may change: its key is what it is. The name it had goes on meaning it, so that nothing that is declared with
// the old name moves or stops: candidates of an address, the host a guest says it runs on, what a person types. It ends when
// another member takes that name, which is refused as long as a resource says it and would mean somebody else from then on.
//
// Does not: write to manifests. Whoever renames is told which resources still have the old name.

import Consensus

/// Whom a name meant that is nobody's any more.
struct FormerName: Hashable, Sendable {
    var member: MemberID
    /// When it stopped being that member's name.
    var until: UInt64
}

extension ClusterState {
    /// More are not remembered: the ones given up first are forgotten.
    static let mostFormerNames = 256

    /// Names of members and operators: 1 to 63 of a–z, 0–9 and the hyphen, so that every name is also a DNS label.
    public static func isName(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "-")
            }
    }

    /// The member that has this name, or had it last.
    public func member(named name: String) -> MemberRecord? {
        let records = members.values
        // Looked at in place: a record is a handful of strings, and a copy of each would be made and thrown away.
        if let place = records.indices.first(where: { records[$0].name == name }) { return records[place] }
        guard !formerNames.isEmpty, let former = formerNames[name] else { return nil }
        return members[former.member]
    }

    /// Whether a name means this member.
    public func isName(_ name: String, of id: MemberID) -> Bool {
        if members.look(id, { $0.name == name }) == true { return true }
        return !formerNames.isEmpty && member(named: name)?.id == id
    }

    /// A name as it is now: a former one is replaced by that member's present one.
    public func presentName(_ name: String) -> String {
        guard !formerNames.isEmpty else { return name }
        return member(named: name)?.name ?? name
    }

    /// Resources that say a member's name: those of members by their own name, all others in a field called `member` or
    /// `host`, however deep.
    public func resources(naming name: String) -> [ResourceKey] {
        resources.pairs.filter { key, resource in
            (["Host", "Witness"].contains(key.kind) && key.name == name)
                || Self.says(name, resource.declaration.spec)
        }.map { $0.0 }
    }

    private static func says(_ name: String, _ value: JSONValue) -> Bool {
        switch value {
        case .array(let values): values.contains { says(name, $0) }
        case .object(let fields):
            fields.pairs.contains { field, value in
                (["member", "host"].contains(field) && value == .string(name)) || says(name, value)
            }
        case .null, .bool, .int, .double, .string: false
        }
    }

    /// Why a member may not get this name; nil: it may.
    func objection(toName name: String) -> Outcome? {
        if members.values.contains(where: { $0.name == name }) {
            return refused(.conflict, "a member named \(name) exists; remove it first or choose another name")
        }
        guard let former = formerNames[name], let member = members[former.member] else { return nil }
        let saying = resources(naming: name)
        guard !saying.isEmpty else { return nil }
        return refused(
            .unsafe,
            "\(saying.prefix(5).map(\.description).joined(separator: ", ")) still says \(name) and means \(member.name), "
                + "which was called so; apply it with the name \(member.name) first")
    }

    mutating func renameMember(_ id: MemberID, to name: String, _ record: CommandRecord) -> Outcome {
        guard let member = members[id] else { return refused(.notFound, "no member \(id)") }
        guard member.name != name else { return unchanged("it is called \(name) already") }
        guard Self.isName(name) else {
            return refused(.invalid, "a member's name is 1 to 63 of a-z, 0-9 and hyphen")
        }
        guard !hosts.contains(member.name) else {
            return refused(
                .unsafe,
                "\(member.name) runs guests, and its name is the one that Proxmox knows it by; it cannot have another")
        }
        // It may have the name back that it had.
        if formerNames[name]?.member != id, let objection = objection(toName: name) { return objection }
        let event = note("MemberRenamed", "member/\(name)", "was \(member.name)", cause: member.lastEvent, record)
        for (other, guest) in members.pairs where guest.host == member.name {
            _ = members.update(other) { $0.host = name }
        }
        _ = members.update(id) {
            $0.name = name
            $0.lastEvent = event
        }
        formerNames[name] = nil
        formerNames[member.name] = FormerName(member: id, until: revision)
        while formerNames.count > Self.mostFormerNames {
            let oldest = formerNames.pairs.min { ($0.1.until, $0.0) < ($1.1.until, $1.0) }
            if let oldest { formerNames[oldest.0] = nil }
        }
        let saying = resources(naming: member.name)
        let still =
            saying.isEmpty
            ? ""
            : "; it goes on meaning it in \(saying.prefix(5).map(\.description).joined(separator: ", ")): write \(name) there "
                + "and apply"
        return done("\(member.name) is called \(name)\(still)")
    }

    /// Nobody is meant by the former names of a member that is gone, nor by one that another member has now.
    mutating func forgetFormerNames(of id: MemberID) {
        for (name, former) in formerNames.pairs where former.member == id { formerNames[name] = nil }
    }
}

// MARK: As bytes

extension StateWriter {
    mutating func write(_ former: FormerName, name: String) {
        field(1, name)
        field(2, former.member.rawValue)
        field(3, former.until)
    }
}

extension StateReader {
    mutating func formerName() throws(StateDecodingError) -> (String, FormerName) {
        var name = ""
        var former = FormerName(member: MemberID(rawValue: 0), until: 0)
        while let field = try next() {
            switch field {
            case 1: name = try text()
            case 2: former.member = MemberID(rawValue: try number())
            case 3: former.until = try count()
            default: throw unknown(field, of: "a former name")
            }
        }
        return (name, former)
    }
}
