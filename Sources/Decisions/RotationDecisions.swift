// When the rotation of the cluster's authority goes one step on, and in words what it waits for until then. Plain functions
// of the replicated state, of who is there, and of the wall clock. Cluster/Authorities.swift has the steps.

import Cluster
import Consensus

public enum RotationDecisions {
    /// The next step; nil when there is none, or something is waited for.
    /// - Parameter wallMilliseconds: since 1970. Only the time that operators have is told by it.
    public static func next(state: ClusterState, view: LeaderView, wallMilliseconds: Int64) -> Command? {
        guard let rotation = state.rotation else { return nil }
        let pin = rotation.plan.new.pin
        switch rotation.phase {
        case .spreading:
            // Without one that can sign, the next certificate could not be had.
            let counted = state.members.values.filter { !view.longGone.contains($0.id) }
            guard counted.allSatisfy({ $0.preparedFor == pin }), counted.contains(where: { $0.kind == .host }) else {
                return nil
            }
            return .advanceRotation(pin: pin, to: .replace)
        case .replacing:
            guard state.members.values.allSatisfy({ $0.signedBy == pin }) else { return nil }
            let isOver = rotation.operatorsUntilMilliseconds.map { wallMilliseconds >= $0 } ?? false
            guard isOver || lateOperators(state, pin, wallMilliseconds).isEmpty else { return nil }
            return .advanceRotation(pin: pin, to: .finish)
        }
    }

    /// Operators whose certificate is good for something and not signed by the new authority.
    private static func lateOperators(_ state: ClusterState, _ pin: String, _ wallMilliseconds: Int64) -> [String] {
        state.operators.values.filter { known in
            !known.isRevoked && known.signedBy != pin && known.certificateExpires > wallMilliseconds
        }.map(\.name)
    }

    /// What the rotation waits for, each in a sentence with the way out of it. Empty: for nothing, or there is none.
    /// - Parameter silent: members that are not heard of, beyond those the state says are unreachable.
    public static func waitsFor(
        _ state: ClusterState, silent: [MemberID] = [], wallMilliseconds: Int64
    ) -> [String] {
        guard let rotation = state.rotation else { return [] }
        let pin = rotation.plan.new.pin
        let isSpreading = rotation.phase == .spreading
        var sentences: [String] = []
        let members = state.members.values.sorted { $0.name < $1.name }
        for member in members where (isSpreading ? member.preparedFor : member.signedBy) != pin {
            let isAway = !member.reachable || silent.contains(member.id)
            let words = isSpreading ? "trusts the new authority" : "has a certificate of the new authority"
            let remedy =
                !isAway
                ? "it does so by itself; if it stays like this: journalctl -u holdfast on \(member.name)"
                : isSpreading
                    ? "it is away, and is waited for an hour at most"
                    : "it is away: bring it back, or holdfast cluster remove \(member.name)"
            sentences.append("not until \(member.name) \(words) (\(remedy))")
        }
        let late = lateOperators(state, pin, wallMilliseconds)
        if let until = rotation.operatorsUntilMilliseconds, !late.isEmpty, wallMilliseconds < until {
            let hours = (until - wallMilliseconds + 3_599_999) / 3_600_000
            sentences.append(
                "not until \(late.joined(separator: ", ")) used holdfast once, which renews the certificate, or "
                    + "\(hours) h are over")
        }
        return sentences
    }
}
