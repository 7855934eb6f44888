// Bytes of a snapshot as the replicated state. What comes out keeps everything the state counts on, whatever the bytes: they
// come from a disk or from another member.

import Consensus

extension ClusterState {
    /// Members a state may have; the consensus knows far fewer.
    private static let mostMembers = 10_000

    /// Reads what `encoded` wrote, in this version or an earlier one.
    public init(encoded bytes: [UInt8]) throws(StateDecodingError) {
        self.init()
        let start = Self.encodingMagic.count + 1
        guard bytes.count >= start, bytes.starts(with: Self.encodingMagic) else {
            throw .malformed(offset: 0, reason: "it does not begin as a state does")
        }
        guard bytes[start - 1] <= Self.encodingVersion else { throw .newer(what: "the form \(bytes[start - 1])") }
        var reader = StateReader(bytes, from: start)
        var openSessions: SortedMap<UInt64, Session> = [:]
        while let field = try reader.next() {
            switch field {
            case 1: revision = try reader.count()
            case 2: declarationsRevision = try reader.count()
            case 3: clusterName = try reader.text()
            case 4: try add(reader.record { (inner) throws(StateDecodingError) in try inner.resource() }, reader)
            case 5: try add(reader.record { (inner) throws(StateDecodingError) in try inner.member() }, reader)
            case 6:
                let (key, role) = try reader.record { (inner) throws(StateDecodingError) in try inner.role() }
                try Self.add(key, role, to: &roles, most: Self.mostResources * 2, reader)
            case 7:
                let (key, token) = try reader.record { (inner) throws(StateDecodingError) in try inner.token() }
                try Self.add(key, token, to: &tokens, most: Self.mostTokens, reader)
            case 8:
                let (key, value) = try reader.record { (inner) throws(StateDecodingError) in try inner.value() }
                try Self.add(key, value, to: &values, most: Self.mostValues, reader)
            case 9:
                events.append(try reader.record { (inner) throws(StateDecodingError) in try inner.event() })
                guard events.count <= Self.mostEvents else { throw reader.fault("more events than a state keeps") }
            case 10: lastEventID = try reader.count()
            case 11:
                let (id, session) = try reader.record { (inner) throws(StateDecodingError) in try inner.session() }
                try Self.add(id, session, to: &openSessions, most: Sessions.mostSessions, reader)
            case 12...17: try readPeople(field, &reader)
            case 18: retiredEpoch = try reader.count()
            case 23: epoch = try reader.count()
            case 24:
                let member = try reader.record { (inner) throws(StateDecodingError) in try inner.member() }
                try Self.add(member.id, member, to: &leftBehind, most: Self.mostLeftBehind, reader)
            case 29: level = try reader.count()
            case 37: rules = try reader.rules()
            case 38: operatorsAreListed = try reader.number() == 1
            case 41, 42: try readAuthorities(field, &reader)
            case 43:
                let (name, former) = try reader.record { (inner) throws(StateDecodingError) in try inner.formerName() }
                try Self.add(name, former, to: &formerNames, most: Self.mostFormerNames, reader)
            case 44...46, 51, 52: try readWorkloads(field, &reader)
            default: throw reader.unknown(field, of: "the state")
            }
        }
        sessions = Sessions(openSessions)
        for (key, value) in values.pairs { valueBytes += Self.bytes(key, value.value) }
        // Events are looked up by their distance from the first.
        for (position, event) in events.enumerated()
        where event.id &+ UInt64(events.count - 1 - position) != lastEventID || event.id == 0 {
            throw reader.fault("event \(event.id) is out of order")
        }
        try checkPeople(reader)
    }

    private mutating func add(_ resource: Resource, _ reader: StateReader) throws(StateDecodingError) {
        try Self.add(resource.declaration.key, resource, to: &resources, most: Self.mostResources, reader)
    }

    private mutating func add(_ member: MemberRecord, _ reader: StateReader) throws(StateDecodingError) {
        try Self.add(member.id, member, to: &members, most: Self.mostMembers, reader)
    }

    static func add<Key: Comparable & Sendable, Value: Sendable>(
        _ key: Key, _ value: Value, to map: inout SortedMap<Key, Value>, most: Int, _ reader: StateReader
    ) throws(StateDecodingError) {
        try reader.ascend(key, after: map.keys.last)
        guard map.count < most else { throw reader.fault("more than \(most) of a kind") }
        map[key] = value
    }
}

extension StateReader {
    fileprivate mutating func rules() throws(StateDecodingError) -> UInt64 {
        let rules = try number()
        guard rules <= 1 else { throw .newer(what: "the rules \(rules)") }
        return rules
    }

    fileprivate mutating func resource() throws(StateDecodingError) -> Resource {
        var declaration = Declaration(kind: "", name: "", spec: .null)
        var resource = Resource(declaration: declaration, created: 0, modified: 0, generation: 0)
        while let field = try next() {
            switch field {
            case 1...5: try read(field, of: &declaration)
            case 6: resource.created = try count()
            case 7: resource.modified = try count()
            case 8: resource.generation = try count()
            default: throw unknown(field, of: "a resource")
            }
        }
        resource.declaration = declaration
        return resource
    }

    /// One of the fields 1 to 5 that `StateWriter.write(_: Declaration)` writes.
    mutating func read(_ field: UInt8, of declaration: inout Declaration) throws(StateDecodingError) {
        switch field {
        case 1: declaration.kind = try text()
        case 2: declaration.name = try text()
        case 3:
            let (key, value) = try record { (inner) throws(StateDecodingError) in try inner.pair() }
            try ascend(key, after: declaration.labels.keys.last)
            declaration.labels[key] = value
        case 4: declaration.environment = try text()
        case 5: declaration.spec = try record { (inner) throws(StateDecodingError) in try inner.json() }
        default: throw unknown(field, of: "a declaration")
        }
    }

    private mutating func pair() throws(StateDecodingError) -> (String, String) {
        var pair = ("", "")
        while let field = try next() {
            switch field {
            case 1: pair.0 = try text()
            case 2: pair.1 = try text()
            default: throw unknown(field, of: "a pair")
            }
        }
        return pair
    }

    private mutating func counted() throws(StateDecodingError) -> (String, UInt64) {
        var pair = ("", UInt64(0))
        while let field = try next() {
            switch field {
            case 1: pair.0 = try text()
            case 2: pair.1 = try count()
            default: throw unknown(field, of: "a pair")
            }
        }
        return pair
    }

    private mutating func kindOfMember() throws(StateDecodingError) -> MemberKind {
        let name = try text()
        guard let kind = MemberKind(rawValue: name) else { throw .newer(what: "a member of the kind \(name)") }
        return kind
    }

    fileprivate mutating func member() throws(StateDecodingError) -> MemberRecord {
        var member = MemberRecord(
            id: MemberID(rawValue: 0), name: "", kind: .guest, peerEndpoint: "", apiEndpoint: "", version: "",
            level: nil)
        member.reachable = false
        while let field = try next() {
            switch field {
            case 1: member.id = MemberID(rawValue: try number())
            case 2: member.name = try text()
            case 3: member.kind = try kindOfMember()
            case 4: member.host = try text()
            case 5: member.peerEndpoint = try text()
            case 6: member.apiEndpoint = try text()
            case 7: member.version = try text()
            case 8: member.joined = try count()
            case 9: member.reachable = try number() == 1
            case 10: member.stopping = try number() == 1
            case 11: member.lastEvent = try count()
            case 12: member.certificateExpires = Int64(bitPattern: try number())
            case 13: member.level = try count()
            case 37: member.key = try text()
            case 38: member.signedBy = try text()
            case 39: member.preparedFor = try text()
            case 40: member.runsGuests = try number() == 1
            case 42: member.machine = try text()
            default: throw unknown(field, of: "a member")
            }
        }
        return member
    }

    fileprivate mutating func role() throws(StateDecodingError) -> (ResourceKey, RoleRecord) {
        var (kind, name) = ("", "")
        var role = RoleRecord()
        var holder: MemberID?
        var successor: MemberID?
        var isReleasing = false
        while let field = try next() {
            switch field {
            case 1: kind = try text()
            case 2: name = try text()
            case 3: holder = MemberID(rawValue: try number())
            case 4: isReleasing = try number() == 1
            case 5: successor = MemberID(rawValue: try number())
            case 6: role.epoch = try count()
            case 7: role.address = try text()
            case 8: role.since = try count()
            case 9: role.sinceMilliseconds = Int64(bitPattern: try number())
            case 10: role.reason = try text()
            case 11: role.lastEvent = try count()
            case 12:
                let (member, reason) = try record { (inner) throws(StateDecodingError) in try inner.pair() }
                try ascend(member, after: role.unfit.keys.last)
                role.unfit[member] = reason
            case 13:
                let (member, revision) = try record { (inner) throws(StateDecodingError) in try inner.counted() }
                try ascend(member, after: role.heard.keys.last)
                role.heard[member] = revision
            case 14: role.conflict = try text()
            default: throw unknown(field, of: "a role")
            }
        }
        if let holder { role.phase = isReleasing ? .releasing(by: holder, to: successor) : .held(by: holder) }
        return (ResourceKey(kind: kind, name: name), role)
    }

    fileprivate mutating func token() throws(StateDecodingError) -> (String, JoinToken) {
        var key = ""
        var token = JoinToken(id: "", secretHash: "", kind: .guest, expiresMilliseconds: 0)
        while let field = try next() {
            switch field {
            case 1: key = try text()
            case 2: token.id = try text()
            case 3: token.secretHash = try text()
            case 4: token.kind = try kindOfMember()
            case 5: token.expiresMilliseconds = Int64(bitPattern: try number())
            default: throw unknown(field, of: "a token")
            }
        }
        return (key, token)
    }

    fileprivate mutating func value() throws(StateDecodingError) -> (String, StoredValue) {
        var key = ""
        var value = StoredValue(value: "", modified: 0)
        while let field = try next() {
            switch field {
            case 1: key = try text()
            case 2: value.value = try text()
            case 3: value.modified = try count()
            default: throw unknown(field, of: "a value")
            }
        }
        return (key, value)
    }

    fileprivate mutating func event() throws(StateDecodingError) -> ClusterEvent {
        var event = ClusterEvent(
            id: 0, revision: 0, milliseconds: 0, type: "", subject: "", message: "", cause: 0, actor: "")
        while let field = try next() {
            switch field {
            case 1: event.id = try count()
            case 2: event.revision = try count()
            case 3: event.milliseconds = Int64(bitPattern: try number())
            case 4: event.type = try text()
            case 5: event.subject = try text()
            case 6: event.message = try text()
            case 7: event.cause = try count()
            case 8: event.actor = try text()
            default: throw unknown(field, of: "an event")
            }
        }
        return event
    }

    fileprivate mutating func session() throws(StateDecodingError) -> (UInt64, Session) {
        var id: UInt64 = 0
        var session = Session()
        while let field = try next() {
            switch field {
            case 1: id = try number()
            case 2: session.forgotten = try number()
            case 3: session.lastRevision = try count()
            case 4:
                session.outcomes.append(try record { (inner) throws(StateDecodingError) in try inner.recorded() })
                guard session.outcomes.count <= Sessions.mostOutcomes else {
                    throw fault("more outcomes than a session keeps")
                }
            default: throw unknown(field, of: "a session")
            }
        }
        return (id, session)
    }

    mutating func outcomeCode() throws(StateDecodingError) -> Outcome.Code {
        let name = try text()
        guard let code = Outcome.Code(rawValue: name) else { throw .newer(what: "an outcome \(name)") }
        return code
    }

    private mutating func recorded() throws(StateDecodingError) -> Session.Recorded {
        var request: UInt64 = 0
        var outcome = Outcome(code: .done, message: "", revision: 0)
        while let field = try next() {
            switch field {
            case 1: request = try number()
            case 2: outcome.code = try outcomeCode()
            case 3: outcome.message = try text()
            case 4: outcome.revision = try count()
            default: throw unknown(field, of: "an outcome")
            }
        }
        return Session.Recorded(request: request, outcome: outcome)
    }
}
