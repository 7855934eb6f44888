// How a member finds a leader it has never heard of. While it was away a host may have joined and come to lead: not in
// this member's list, it is turned away at the door, and so could never send the entry that says it belongs here.
//
// A member that knows no leader therefore asks those it does know, over connections they have proved themselves on, who the
// members are. It takes the answer for whom to listen to, and for nothing else: what is true is in the log. Whoever
// answers could have led it itself, so this gives nobody a power it did not have.

import Cluster
import Consensus

struct PeerSearch: Sendable {
    /// Without a leader for so long it asks, and again after as long.
    static let patience = Interval.seconds(1)

    var nextAsk: Instant = .distantPast
}

extension AgentCore {
    /// The leader, if one was heard of lately.
    func livingLeader(now: Instant) -> MemberID? {
        if raft.isLeader { return raft.holdsQuorumLease(now: now) ? id : nil }
        return now - leaderHeard < PeerSearch.patience ? raft.leader : nil
    }

    /// When it must be asked again; never, while this member leads.
    var nextPeerSearch: Instant {
        raft.isLeader ? .distantFuture : max(search.nextAsk, leaderHeard + PeerSearch.patience)
    }

    mutating func searchForPeers(now: Instant) {
        guard nextPeerSearch <= now else { return }
        search.nextAsk = now + PeerSearch.patience
        var known = SortedMap(state.members.keys.map { ($0, true) })
        for member in raft.configuration.members { known[member] = true }
        for member in known.keys where member != id { sendToPeer(.membersAsked, member) }
    }

    /// Answers from the applied state, while a leader keeps it new.
    mutating func tellMembers(to peer: MemberID, now: Instant) {
        guard livingLeader(now: now) != nil, let bytes = try? CanonicalJSON.encode(state.members.values) else { return }
        sendToPeer(.members(records: bytes), peer)
    }

    mutating func heardOfMembers(_ records: [UInt8], now: Instant) {
        guard livingLeader(now: now) == nil, let told = try? CanonicalJSON.decode([MemberRecord].self, from: records),
            told.count <= Configuration.mostVoters + Configuration.mostLearners
        else { return }
        var peers = SortedMap((state.leftBehind.values + state.members.values + told).map { ($0.id, $0) })
        peers[id] = nil
        guard peers.values != knownPeers else { return }
        knownPeers = peers.values
        effects.append(.peers(peers.values))
    }
}
