// Moving roles. Every command names the epoch it was decided at; if the role has moved on, it does nothing.
//
//     vacant ──assign──▶ held(a) ──release──▶ releasing(a, to: b) ──released──▶ held(b)
//                          │                          │
//                          └── assign (a's lease is certainly over) ──▶ held(b)
//
// That nobody else can be acting is the proposer's to know (the leader's lease table); the state checks the epoch.

import Consensus

extension ClusterState {
    mutating func assign(
        _ role: ResourceKey, epoch: UInt64, to member: MemberID, reason: String, because: MemberID?,
        _ record: CommandRecord
    ) -> Outcome {
        guard let present = roles[role] else { return refused(.notFound, "no role \(role)") }
        guard present.epoch == epoch else { return stale(role, present, epoch) }
        guard members.contains(member) else { return refused(.notFound, "no member \(member)") }
        if let other = occupant(ofAddressOf: role) {
            return refused(.conflict, "\(other) is held with the address of \(role)")
        }
        hand(role, to: member, reason: reason, cause: cause(because, present), record)
        return done()
    }

    mutating func release(
        _ role: ResourceKey, epoch: UInt64, to successor: MemberID?, reason: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = roles[role] else { return refused(.notFound, "no role \(role)") }
        guard present.epoch == epoch else { return stale(role, present, epoch) }
        guard let holder = present.holder else { return refused(.conflict, "nobody holds \(role)") }
        if case .releasing(_, let to) = present.phase, to == successor { return unchanged() }
        if successor == holder { return unchanged("\(name(of: holder)) holds \(role) already") }
        let event = note(
            "RoleReleasing", role.description,
            "\(name(of: holder)) is asked to let go" + (successor.map { " in favour of \(name(of: $0))" } ?? "")
                + ": \(reason)",
            cause: max(present.lastEvent, members[holder]?.stopping == true ? members[holder]!.lastEvent : 0), record)
        _ = roles.update(role) {
            $0.phase = .releasing(by: holder, to: successor)
            $0.reason = reason
            $0.lastEvent = event
        }
        return done()
    }

    mutating func released(_ role: ResourceKey, epoch: UInt64, _ record: CommandRecord) -> Outcome {
        guard let present = roles[role] else { return refused(.notFound, "no role \(role)") }
        guard present.epoch == epoch else { return stale(role, present, epoch) }
        guard case .releasing(let holder, let successor) = present.phase else {
            return refused(.conflict, "\(role) is not being released")
        }
        let event = note(
            "RoleReleased", role.description, "\(name(of: holder)) has let go", cause: present.lastEvent, record)
        if let successor, members.contains(successor), resources[role] != nil, occupant(ofAddressOf: role) == nil {
            hand(role, to: successor, reason: present.reason, cause: event, record)
        } else {
            leaveVacant(role, reason: present.reason, event: event, record)
        }
        return done()
    }

    mutating func vacate(
        _ role: ResourceKey, epoch: UInt64, reason: String, because: MemberID?, _ record: CommandRecord
    ) -> Outcome {
        guard let present = roles[role] else { return refused(.notFound, "no role \(role)") }
        guard present.epoch == epoch else { return stale(role, present, epoch) }
        guard present.holder != nil else { return unchanged() }
        let event = note("RoleVacant", role.description, reason, cause: cause(because, present), record)
        leaveVacant(role, reason: reason, event: event, record)
        return done()
    }

    mutating func report(
        _ role: ResourceKey, of member: MemberID, unfit: String?, _ record: CommandRecord
    ) -> Outcome {
        guard let present = roles[role] else { return refused(.notFound, "no role \(role)") }
        guard members.contains(member) else { return refused(.notFound, "no member \(member)") }
        guard present.unfit[member.description] != unfit || !present.hasHeard(of: member) else { return unchanged() }
        let wasUnfit = present.isUnfit(member)
        _ = roles.update(role) {
            $0.unfit[member.description] = unfit
            if !$0.hasHeard(of: member) { $0.heard[member.description] = revision }
        }
        // A changed reason alone is no event: it would drown the others.
        if wasUnfit != (unfit != nil) {
            let event = note(
                unfit == nil ? "CandidateFit" : "CandidateUnfit", role.description,
                "\(name(of: member)) \(unfit.map { "cannot serve: \($0)" } ?? "can serve")", cause: present.lastEvent,
                record)
            _ = roles.update(role) { $0.lastEvent = event }
        }
        return done()
    }

    mutating func report(
        _ role: ResourceKey, epoch: UInt64, by member: MemberID, conflict: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = roles[role] else { return refused(.notFound, "no role \(role)") }
        guard present.epoch == epoch else { return stale(role, present, epoch) }
        guard present.holder == member else { return refused(.conflict, "\(member) does not hold \(role)") }
        guard present.conflict != conflict else { return unchanged() }
        let event = note(
            conflict.isEmpty ? "AddressConflictOver" : "AddressConflict", role.description,
            conflict.isEmpty
                ? "\(name(of: member)) sees no other machine with an address of it any more"
                : "\(name(of: member)) saw that \(conflict); it goes on holding it", cause: present.lastEvent, record)
        _ = roles.update(role) {
            $0.conflict = conflict
            $0.lastEvent = event
        }
        return done()
    }

    // MARK: Addresses

    /// The addresses a role is declared with now, as RoleAddresses writes them.
    func declaredAddress(of role: ResourceKey) -> String? {
        (resources[role]?.declaration.spec).flatMap(RoleAddresses.declared)
    }

    /// Another role whose holder may be answering for an address that this one is declared with: it was deleted or
    /// changed, and its holder has not let go yet.
    func occupant(ofAddressOf role: ResourceKey) -> ResourceKey? {
        guard let address = declaredAddress(of: role) else { return nil }
        return roles.pairs.first {
            $0.0 != role && $0.1.holder != nil && RoleAddresses.overlap($0.1.address, address)
        }?.0
    }

    // MARK: Parts

    private mutating func hand(
        _ role: ResourceKey, to member: MemberID, reason: String, cause: UInt64, _ record: CommandRecord
    ) {
        let event = note(
            "RoleAssigned", role.description, "\(name(of: member)) holds it now: \(reason)", cause: cause, record)
        let address = declaredAddress(of: role) ?? ""
        _ = roles.update(role) {
            $0.phase = .held(by: member)
            $0.epoch += 1
            $0.address = address
            $0.conflict = ""
            $0.reason = reason
            $0.since = revision
            $0.sinceMilliseconds = record.milliseconds
            $0.lastEvent = event
        }
    }

    private mutating func leaveVacant(
        _ role: ResourceKey, reason: String, event: UInt64, _ record: CommandRecord
    ) {
        if resources[role] == nil {
            retire(role)
            return
        }
        _ = roles.update(role) {
            $0.phase = .vacant
            $0.epoch += 1
            $0.conflict = ""
            $0.reason = reason
            $0.since = revision
            $0.sinceMilliseconds = record.milliseconds
            $0.lastEvent = event
        }
    }

    private func cause(_ because: MemberID?, _ role: RoleRecord) -> UInt64 {
        guard let because, let member = members[because] else { return role.lastEvent }
        return member.lastEvent
    }

    private func stale(_ role: ResourceKey, _ present: RoleRecord, _ epoch: UInt64) -> Outcome {
        refused(.conflict, "\(role) is at epoch \(present.epoch), not \(epoch)")
    }
}
