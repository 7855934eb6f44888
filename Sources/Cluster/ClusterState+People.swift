// The part of a snapshot's bytes that concerns people: operators, the audit log, revisions of declarations, a trial.
// Fields 12 to 17 of the state; StateCoding.swift has the form.

import Consensus

extension StateWriter {
    mutating func write(_ known: OperatorRecord) {
        field(1, known.name)
        field(2, known.role.rawValue)
        field(3, known.key)
        field(4, UInt64(bitPattern: known.certificateExpires))
        field(5, known.isRevoked ? 1 : 0)
        field(6, known.changed)
        field(7, UInt64(bitPattern: known.changedMilliseconds))
        if let authority = known.signedBy { present(38, authority) }
    }

    mutating func write(_ entry: AuditEntry) {
        field(1, entry.id)
        field(2, entry.revision)
        field(3, UInt64(bitPattern: entry.milliseconds))
        field(4, entry.who)
        field(5, entry.role.rawValue)
        field(6, entry.what)
        if let reason = entry.reason { present(7, reason) }
        field(8, entry.outcome.rawValue)
        field(9, entry.message)
    }

    mutating func write(_ change: DeclarationChange) {
        field(1, change.revision)
        field(2, UInt64(bitPattern: change.milliseconds))
        field(3, change.actor)
        field(4, change.what)
        for part in change.parts {
            record(5) {
                $0.field(1, part.key.kind)
                $0.field(2, part.key.name)
                $0.field(3, part.isDeclared ? 1 : 0)
                if let before = part.before { $0.record(4) { $0.write(before) } }
            }
        }
    }

    mutating func write(_ trial: Trial) {
        field(1, trial.revision)
        field(2, trial.actor)
        field(3, UInt64(bitPattern: trial.beganMilliseconds))
        field(4, UInt64(bitPattern: trial.lengthMilliseconds))
    }
}

extension ClusterState {
    /// Reads one of the fields 12 to 17.
    mutating func readPeople(_ field: UInt8, _ reader: inout StateReader) throws(StateDecodingError) {
        switch field {
        case 12:
            let known = try reader.record { (inner) throws(StateDecodingError) in try inner.operatorRecord() }
            try Self.add(known.name, known, to: &operators, most: Self.mostOperators, reader)
        case 13:
            auditLog.append(try reader.record { (inner) throws(StateDecodingError) in try inner.auditEntry() })
            guard auditLog.count <= Self.mostAuditEntries else {
                throw reader.fault("more entries of the audit log than a state keeps")
            }
        case 14: lastAuditID = try reader.count()
        case 15:
            declarationChanges.append(
                try reader.record { (inner) throws(StateDecodingError) in try inner.declarationChange() })
            guard declarationChanges.count <= Self.mostDeclarationChanges else {
                throw reader.fault("more revisions of declarations than a state keeps")
            }
        case 16: forgottenDeclarations = try reader.count()
        case 17:
            guard trial == nil else { throw reader.fault("more than one trial") }
            trial = try reader.record { (inner) throws(StateDecodingError) in try inner.trial() }
        default: throw reader.unknown(field, of: "the state")
        }
    }

    /// What the lists count on.
    func checkPeople(_ reader: StateReader) throws(StateDecodingError) {
        for (position, entry) in auditLog.enumerated()
        where entry.id &+ UInt64(auditLog.count - 1 - position) != lastAuditID || entry.id == 0 {
            throw reader.fault("entry \(entry.id) of the audit log is out of order")
        }
        for (earlier, later) in zip(declarationChanges, declarationChanges.dropFirst())
        where earlier.revision >= later.revision {
            throw reader.fault("revision \(later.revision) of the declarations is out of order")
        }
        if let trial,
            !Self.trialMilliseconds.contains(trial.lengthMilliseconds)
                || trial.beganMilliseconds.magnitude > StateReader.greatest
        {
            throw reader.fault("a trial of \(trial.lengthMilliseconds) ms")
        }
        let parts = declarationChanges.reduce(0) { $0 + $1.parts.count }
        guard declarationChanges.count <= 1 || parts <= Self.mostDeclarationParts else {
            throw reader.fault("\(parts) declarations of earlier revisions, more than a state keeps")
        }
    }
}

extension StateReader {
    private mutating func operatorRole() throws(StateDecodingError) -> OperatorRole {
        let name = try text()
        guard let role = OperatorRole(rawValue: name) else { throw .newer(what: "an operator's role \(name)") }
        return role
    }

    fileprivate mutating func operatorRecord() throws(StateDecodingError) -> OperatorRecord {
        var known = OperatorRecord(name: "", role: .viewer, key: "", certificateExpires: 0)
        while let field = try next() {
            switch field {
            case 1: known.name = try text()
            case 2: known.role = try operatorRole()
            case 3: known.key = try text()
            case 4: known.certificateExpires = Int64(bitPattern: try number())
            case 5: known.isRevoked = try number() == 1
            case 6: known.changed = try count()
            case 7: known.changedMilliseconds = Int64(bitPattern: try number())
            case 38: known.signedBy = try text()
            default: throw unknown(field, of: "an operator")
            }
        }
        return known
    }

    fileprivate mutating func auditEntry() throws(StateDecodingError) -> AuditEntry {
        var entry = AuditEntry(
            id: 0, revision: 0, milliseconds: 0, who: "", role: .viewer, what: "", reason: nil, outcome: .done,
            message: "")
        while let field = try next() {
            switch field {
            case 1: entry.id = try count()
            case 2: entry.revision = try count()
            case 3: entry.milliseconds = Int64(bitPattern: try number())
            case 4: entry.who = try text()
            case 5: entry.role = try operatorRole()
            case 6: entry.what = try text()
            case 7: entry.reason = try text()
            case 8: entry.outcome = try outcomeCode()
            case 9: entry.message = try text()
            default: throw unknown(field, of: "an entry of the audit log")
            }
        }
        return entry
    }

    fileprivate mutating func declarationChange() throws(StateDecodingError) -> DeclarationChange {
        var change = DeclarationChange(revision: 0, milliseconds: 0, actor: "", what: "", parts: [])
        while let field = try next() {
            switch field {
            case 1: change.revision = try count()
            case 2: change.milliseconds = Int64(bitPattern: try number())
            case 3: change.actor = try text()
            case 4: change.what = try text()
            case 5: change.parts.append(try record { (inner) throws(StateDecodingError) in try inner.changedPart() })
            default: throw unknown(field, of: "a revision of the declarations")
            }
        }
        return change
    }

    private mutating func changedPart() throws(StateDecodingError) -> DeclarationChange.Part {
        var (kind, name, isDeclared) = ("", "", false)
        var before: Declaration?
        while let field = try next() {
            switch field {
            case 1: kind = try text()
            case 2: name = try text()
            case 3: isDeclared = try number() == 1
            case 4: before = try record { (inner) throws(StateDecodingError) in try inner.declaration() }
            default: throw unknown(field, of: "a part of a revision")
            }
        }
        return DeclarationChange.Part(key: ResourceKey(kind: kind, name: name), before: before, isDeclared: isDeclared)
    }

    private mutating func declaration() throws(StateDecodingError) -> Declaration {
        var declaration = Declaration(kind: "", name: "", spec: .null)
        while let field = try next() { try read(field, of: &declaration) }
        return declaration
    }

    fileprivate mutating func trial() throws(StateDecodingError) -> Trial {
        var trial = Trial(revision: 0, actor: "", beganMilliseconds: 0, lengthMilliseconds: 0)
        while let field = try next() {
            switch field {
            case 1: trial.revision = try count()
            case 2: trial.actor = try text()
            case 3: trial.beganMilliseconds = Int64(bitPattern: try number())
            case 4: trial.lengthMilliseconds = Int64(bitPattern: try number())
            default: throw unknown(field, of: "a trial")
            }
        }
        return trial
    }
}
