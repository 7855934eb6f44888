// Forced recoveries, as the state remembers them: which epoch it is, and who was left behind. Those are told that their
// epoch is over when they are heard of again; under their old identity they never belong to the cluster again.

import Consensus

extension ClusterState {
    /// Members left behind that are remembered; further ones are strangers, whom nobody tells anything.
    static let mostLeftBehind = 64

    mutating func recover(_ newEpoch: UInt64, dead: [MemberID], _ record: CommandRecord) -> Outcome {
        guard newEpoch > epoch else { return refused(.conflict, "the cluster is in epoch \(epoch) already") }
        epoch = newEpoch
        let names = dead.map { name(of: $0) }.joined(separator: ", ")
        let number = Epoch(rawValue: newEpoch).number
        let event = note(
            "ClusterRecovered", "cluster/\(clusterName)",
            "epoch \(number) begins without \(names.isEmpty ? "anybody lost" : names), on the word of \(record.actor); "
                + "what only they had is lost", record)
        for id in dead {
            guard let member = members[id] else { continue }
            dropMember(id)
            // Whoever declared it dead has verified that the machine is off.
            if level >= 2, hosts.contains(member.name) { fenceTheDead(member.name, record) }
            if leftBehind.count < Self.mostLeftBehind { leftBehind[id] = member }
            _ = note(
                "MemberLeftBehind", "member/\(member.name)", "declared dead; it never comes back as it was",
                cause: event, record)
        }
        return done("epoch \(number) has begun without \(names)")
    }
}
