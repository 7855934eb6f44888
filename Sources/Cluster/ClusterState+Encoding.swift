// The whole replicated state as bytes: the content of a snapshot. Equal states give equal bytes on every member.
// The fields of each record are numbered here; a number is never used for something else. StateCoding.swift has the form.

import Consensus

extension ClusterState {
    /// What the bytes begin with, and the version of the form behind it.
    static let encodingMagic: [UInt8] = Array("HFSTATE".utf8)
    static let encodingVersion: UInt8 = 1

    /// The state as bytes.
    public var encoded: [UInt8] {
        var writer = StateWriter()
        writer.raw(Self.encodingMagic + [Self.encodingVersion])
        writer.field(1, revision)
        writer.field(2, declarationsRevision)
        writer.field(3, clusterName)
        for resource in resources.values { writer.record(4) { $0.write(resource) } }
        for member in members.values { writer.record(5) { $0.write(member) } }
        for (key, role) in roles.pairs {
            writer.record(6) {
                $0.field(1, key.kind)
                $0.field(2, key.name)
                $0.write(role)
            }
        }
        for (key, token) in tokens.pairs { writer.record(7) { $0.write(token, key: key) } }
        for (key, value) in values.pairs {
            writer.record(8) {
                $0.field(1, key)
                $0.field(2, value.value)
                $0.field(3, value.modified)
            }
        }
        for event in events { writer.record(9) { $0.write(event) } }
        writer.field(10, lastEventID)
        for (id, session) in sessions.sessions.pairs { writer.record(11) { $0.write(session, id: id) } }
        for known in operators.values { writer.record(12) { $0.write(known) } }
        for entry in auditLog { writer.record(13) { $0.write(entry) } }
        writer.field(14, lastAuditID)
        for change in declarationChanges { writer.record(15) { $0.write(change) } }
        writer.field(16, forgottenDeclarations)
        if let trial { writer.record(17) { $0.write(trial) } }
        writer.field(18, retiredEpoch)
        writer.field(23, epoch)
        for member in leftBehind.values { writer.record(24) { $0.write(member) } }
        writer.field(29, level)
        writer.field(37, rules)
        writer.field(38, operatorsAreListed ? 1 : 0)
        if let authority { writer.record(41) { $0.write(authority) } }
        if let rotation { writer.record(42) { $0.write(rotation) } }
        for (name, former) in formerNames.pairs { writer.record(43) { $0.write(former, name: name) } }
        writer.write(self)
        return writer.bytes
    }
}

extension StateWriter {
    fileprivate mutating func write(_ resource: Resource) {
        write(resource.declaration)
        field(6, resource.created)
        field(7, resource.modified)
        field(8, resource.generation)
    }

    /// Fields 1 to 5 of a record.
    mutating func write(_ declaration: Declaration) {
        field(1, declaration.kind)
        field(2, declaration.name)
        for (key, value) in declaration.labels.pairs { pair(3, key, value) }
        if let environment = declaration.environment { present(4, environment) }
        record(5) { $0.json(declaration.spec) }
    }

    private mutating func pair(_ number: UInt8, _ key: String, _ value: String) {
        record(number) {
            $0.field(1, key)
            $0.field(2, value)
        }
    }

    fileprivate mutating func write(_ member: MemberRecord) {
        field(1, member.id.rawValue)
        field(2, member.name)
        field(3, member.kind.rawValue)
        field(4, member.host)
        field(5, member.peerEndpoint)
        field(6, member.apiEndpoint)
        field(7, member.version)
        field(8, member.joined)
        field(9, member.reachable ? 1 : 0)
        field(10, member.stopping ? 1 : 0)
        field(11, member.lastEvent)
        if let expires = member.certificateExpires { present(12, UInt64(bitPattern: expires)) }
        if let level = member.level { present(13, level) }
        if let key = member.key { present(37, key) }
        if let authority = member.signedBy { present(38, authority) }
        if let authority = member.preparedFor { present(39, authority) }
        if let runsGuests = member.runsGuests { present(40, runsGuests ? 1 : 0) }
        if let machine = member.machine { present(42, machine) }
    }

    fileprivate mutating func write(_ role: RoleRecord) {
        switch role.phase {
        case .vacant: break
        case .held(let holder): present(3, holder.rawValue)
        case .releasing(let holder, let successor):
            present(3, holder.rawValue)
            field(4, 1)
            if let successor { present(5, successor.rawValue) }
        }
        field(6, role.epoch)
        field(7, role.address)
        field(8, role.since)
        field(9, UInt64(bitPattern: role.sinceMilliseconds))
        field(10, role.reason)
        field(11, role.lastEvent)
        for (member, reason) in role.unfit.pairs { pair(12, member, reason) }
        for (member, revision) in role.heard.pairs {
            record(13) {
                $0.field(1, member)
                $0.field(2, revision)
            }
        }
        field(14, role.conflict)
    }

    fileprivate mutating func write(_ token: JoinToken, key: String) {
        field(1, key)
        field(2, token.id)
        field(3, token.secretHash)
        field(4, token.kind.rawValue)
        field(5, UInt64(bitPattern: token.expiresMilliseconds))
    }

    fileprivate mutating func write(_ event: ClusterEvent) {
        field(1, event.id)
        field(2, event.revision)
        field(3, UInt64(bitPattern: event.milliseconds))
        field(4, event.type)
        field(5, event.subject)
        field(6, event.message)
        field(7, event.cause)
        field(8, event.actor)
    }

    fileprivate mutating func write(_ session: Session, id: UInt64) {
        field(1, id)
        field(2, session.forgotten)
        field(3, session.lastRevision)
        for recorded in session.outcomes {
            record(4) {
                $0.field(1, recorded.request)
                $0.field(2, recorded.outcome.code.rawValue)
                $0.field(3, recorded.outcome.message)
                $0.field(4, recorded.outcome.revision)
            }
        }
    }
}
