// Who belongs to the cluster, as people see it. The consensus configuration follows this list; see Decisions.
// Does not move voters and learners itself, and opens or closes no connection.

import Consensus

extension ClusterState {
    mutating func bootstrap(
        _ name: String, _ member: MemberRecord, _ founder: OperatorRecord?, _ record: CommandRecord
    ) -> Outcome {
        guard clusterName.isEmpty else { return refused(.conflict, "this cluster is named \(clusterName) already") }
        clusterName = name
        level = member.level ?? 0
        let event = note("Bootstrapped", "cluster/\(name)", "founded by \(member.name)", record)
        if let founder {
            rules = 1
            _ = admit(founder, record)
            operatorsAreListed = true
        }
        // The founder is there: it has just proposed this.
        admit(member, reachable: true, cause: event, record)
        return done()
    }

    private mutating func admit(
        _ member: MemberRecord, reachable: Bool, cause: UInt64, _ record: CommandRecord
    ) {
        var admitted = member
        admitted.joined = revision
        admitted.host = presentName(member.host)
        if !guardsAreInForce { admitted.key = nil }
        // It says so itself, when it has a certificate.
        (admitted.signedBy, admitted.preparedFor) = (nil, nil)
        if level < 2 { (admitted.runsGuests, admitted.machine) = (nil, nil) }
        admitted.reachable = reachable
        admitted.stopping = false
        admitted.lastEvent = note(
            "MemberJoined", "member/\(member.name)", "\(member.kind.rawValue) \(member.name) joined", cause: cause,
            record)
        members[member.id] = admitted
    }

    mutating func create(_ token: JoinToken, _ record: CommandRecord) -> Outcome {
        for (id, old) in tokens.pairs where old.expiresMilliseconds < record.milliseconds { tokens[id] = nil }
        guard tokens.count < Self.mostTokens else {
            return refused(.invalid, "at most \(Self.mostTokens) join tokens may be open; wait for some to expire")
        }
        guard tokens[token.id] == nil else { return refused(.conflict, "a token with this id exists") }
        tokens[token.id] = token
        _ = note("TokenCreated", "token/\(token.id)", "a \(token.kind.rawValue) may join", record)
        return done()
    }

    mutating func join(
        tokenID: String, secretHash: String, _ member: MemberRecord, _ record: CommandRecord
    ) -> Outcome {
        // The same joiner asking again with the same key is answered as before: its first answer may have been lost.
        if hasAdmitted(member) { return unchanged("a member already") }
        guard let token = tokens[tokenID], token.secretHash == secretHash else {
            return refused(
                .forbidden, "the join token is unknown or used; create one with: holdfast cluster token create")
        }
        guard token.expiresMilliseconds >= record.milliseconds else {
            tokens[tokenID] = nil
            return refused(.forbidden, "the join token has expired; create one with: holdfast cluster token create")
        }
        guard token.kind == member.kind else {
            return refused(
                .forbidden, "the join token is for a \(token.kind.rawValue), not for a \(member.kind.rawValue)")
        }
        guard member.understands(level) else {
            return refused(
                .unsafe,
                "\(member.name) has version \(member.version), which does not understand feature level \(level) of this "
                    + "cluster; install the version of the other members there first")
        }
        // A lost host would take two votes with it, and of three that leaves no majority.
        guard level < 2 || member.kind != .witness || member.host.isEmpty else {
            return refused(
                .unsafe,
                "\(member.name) runs on \(member.host), and both would be lost together; a witness needs a machine of its own, "
                    + "and what runs on a host joins as a guest: holdfast cluster token create --kind guest")
        }
        // An id is 64 bits of its key, which may be met by trying; the key is the member.
        guard members[member.id].map({ $0.isOf(member.key) }) ?? true else {
            return refused(.forbidden, "member \(member.id) has another key; make a new one for \(member.name)")
        }
        if let objection = objection(toName: member.name) { return objection }
        formerNames[member.name] = nil
        tokens[tokenID] = nil
        // It counts as there once the leader has heard of it.
        admit(member, reachable: false, cause: 0, record)
        // A machine that was left behind is back under a new identity: nobody waits for the old one any more.
        for (id, old) in leftBehind.pairs where old.name == member.name { leftBehind[id] = nil }
        return done()
    }

    /// Whether this machine was admitted before: asking again, as one does whose first answer was lost, needs no command.
    public func hasAdmitted(_ newcomer: MemberRecord) -> Bool {
        guard let present = members[newcomer.id] else { return false }
        return present.name == newcomer.name && present.isOf(newcomer.key)
    }

    /// Whether such a token is open. The log decides about it; this tells who may write to the log.
    public func hasOpenToken(_ id: String, secretHash: String) -> Bool { tokens[id]?.secretHash == secretHash }

    mutating func announce(_ member: MemberRecord, _ record: CommandRecord) -> Outcome {
        guard var present = members[member.id] else {
            return refused(.notFound, "member \(member.id) was removed from the cluster")
        }
        var changed = present
        changed.host = presentName(member.host)
        changed.peerEndpoint = member.peerEndpoint
        changed.apiEndpoint = member.apiEndpoint
        changed.version = member.version
        changed.level = member.level
        if guardsAreInForce, present.key == nil { changed.key = member.key }
        changed.stopping = false
        // A version that takes part and does not know it would keep nothing.
        if level >= 2 {
            changed.runsGuests = member.runsGuests ?? present.runsGuests
            changed.machine = member.machine ?? present.machine
        }
        let isWhereItWas = changed == present
        changed.certificateExpires = member.certificateExpires ?? present.certificateExpires
        takeAuthorities(of: member, into: &changed)
        guard changed != present else { return unchanged() }
        // What nobody knew before was not renewed: it is the first word of a member that has just joined.
        let isFirstWord = level >= 2 && present.certificateExpires == nil && changed.certificateExpires != nil
        let (type, words) =
            isWhereItWas && !isFirstWord ? Self.renewal(from: present, to: changed) : Self.start(changed)
        present = changed
        present.lastEvent = note(type, "member/\(present.name)", words, cause: present.lastEvent, record)
        members[member.id] = present
        return done()
    }

    mutating func remove(member id: MemberID, _ record: CommandRecord) -> Outcome {
        guard let member = members[id] else { return forget(id, record) ?? refused(.notFound, "no member \(id)") }
        guard members.count > 1 else { return refused(.unsafe, "\(member.name) is the only member") }
        if level >= 2, let guest = placements.pairs.first(where: { $0.1.hosts.contains(member.name) }) {
            return refused(
                .unsafe, "\(guest.0) belongs on \(member.name); drain it first (holdfast host drain \(member.name))")
        }
        let bars = hosts.look(member.name) { $0.barred.count } ?? 0
        guard bars == 0 || leftFences.count + bars <= Self.mostLeftBeforeRemoval else {
            return refused(
                .unsafe,
                "the storage bars \(leftFences.count) addresses of hosts that went; let a machine with one of them join"
            )
        }
        dropMember(id)
        let barred = level >= 2 ? forgetHost(member.name) : ""
        _ = note(
            "MemberRemoved", "member/\(member.name)", "removed by \(record.actor)", cause: member.lastEvent, record)
        guard !barred.isEmpty else { return done() }
        return done("the storage bars \(barred) until a host joins that has this address; then it is let in again")
    }

    /// Ends that a member is waited for which a recovery went on without: from then on it is a stranger, whom nobody lets in
    /// to be told. Nil when it is not that, or a version that takes part would not do so.
    private mutating func forget(_ id: MemberID, _ record: CommandRecord) -> Outcome? {
        guard level >= 2, let member = leftBehind[id] else { return nil }
        leftBehind[id] = nil
        forgetTheDead(member.name)
        _ = note(
            "MemberRemoved", "member/\(member.name)", "left behind before; removed by \(record.actor)", record)
        return done("\(member.name), which was left behind, is not waited for any more")
    }

    /// Takes a member out, and what candidates' reports say of it.
    mutating func dropMember(_ id: MemberID) {
        members[id] = nil
        forgetFormerNames(of: id)
        for key in roles.keys {
            _ = roles.update(key) {
                $0.unfit[id.description] = nil
                $0.heard[id.description] = nil
            }
        }
    }

    mutating func observe(
        _ id: MemberID, reachable: Bool, reason: String, _ record: CommandRecord
    ) -> Outcome {
        guard let member = members[id] else { return refused(.notFound, "no member \(id)") }
        guard member.reachable != reachable else { return unchanged() }
        let event = note(
            reachable ? "MemberReachable" : "MemberLost", "member/\(member.name)", reason, cause: member.lastEvent,
            record)
        _ = members.update(id) {
            $0.reachable = reachable
            $0.lastEvent = event
        }
        return done()
    }

    mutating func stopping(_ id: MemberID, _ record: CommandRecord) -> Outcome {
        guard let member = members[id] else { return refused(.notFound, "no member \(id)") }
        guard !member.stopping else { return unchanged() }
        let event = note(
            "MemberStopping", "member/\(member.name)", "stops and gives its roles away", cause: member.lastEvent, record
        )
        _ = members.update(id) {
            $0.stopping = true
            $0.lastEvent = event
        }
        return done()
    }
}
