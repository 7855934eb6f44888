// Handing leadership over: by the operator's word, or because the own disk hangs.
// Does not choose when: an operator, a stopping agent or Leadership does.

/// A hand-over under way.
public struct Transfer: Hashable, Sendable {
    public let to: MemberID
    var deadline: Instant
    var orderSent = false
}

extension Raft {
    /// Starts handing leadership to a voter. False when that cannot be (not leader, not a voter, itself, under way).
    public mutating func startTransfer(to member: MemberID, now: Instant) -> Bool {
        guard isLeader, member != id, configuration.isVoter(member), !hasLostMemory(member),
            leadership!.transfer == nil
        else { return false }
        leadership!.transfer = Transfer(to: member, deadline: now + timing.electionTimeoutMost)
        continueTransfer(now: now)
        return true
    }

    /// Sends "campaign now" once the successor has everything. From then on this leader grants nothing in this term.
    mutating func continueTransfer(now: Instant) {
        guard let transfer = leadership!.transfer, !transfer.orderSent,
            leadership!.progress[transfer.to]?.match == log.lastIndex
        else { return }
        // What this leader's own predecessor left out counts as its own: otherwise two transfers in quick succession
        // would forget the first leader's grants.
        let own = leadership!.leases.longestOutstanding(now: now) ?? .distantPast
        let end = max(own, leadership!.reassignNotBefore)
        let longest = end > now ? end - now : .zero
        leadership!.transfer!.orderSent = true
        // A few round trips and two writes are enough for a successor that is there. Not to wait for one that is not
        // shortens the time in which nobody grants anything; it takes nothing from a slow one, which goes on
        // campaigning against a follower.
        leadership!.transfer!.deadline = min(transfer.deadline, now + timing.heartbeat * 2)
        leadership!.grants = false
        refuseReads()
        sendNow(.campaignNow(CampaignNow(longestGrant: longest)), to: transfer.to)
    }

    /// The voter that would lack least as leader, one that should lead before one of last resort; nil when none was
    /// heard of lately. One that is on its way out would have to hand over again.
    func bestSuccessor(now: Instant) -> MemberID? {
        var best: MemberID?
        for voter in configuration.voters where voter != id {
            guard let progress = leadership!.progress[voter], let heard = progress.lastHeard,
                now - heard < timing.electionTimeoutLeast, progress.loss == nil
            else { continue }
            guard let known = best else {
                best = voter
                continue
            }
            let (should, shouldKnown) = (shouldSucceed(voter, now: now), shouldSucceed(known, now: now))
            if should != shouldKnown ? should : progress.match > leadership!.progress[known]!.match { best = voter }
        }
        return best
    }

    /// Near enough to be fed before it is ordered to campaign, and not one of last resort.
    private func shouldSucceed(_ voter: MemberID, now: Instant) -> Bool {
        !membersOfLastResort.contains(voter) && isCaughtUp(voter, within: 64, now: now)
    }
}
