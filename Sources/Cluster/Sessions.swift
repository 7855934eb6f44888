// Which requests were carried out already, so that a retry is answered and not repeated.
// Part of the replicated state, so every member forgets the same answers at the same revision.

import Consensus

/// One client's answered requests that it may still ask for again.
struct Session: Hashable, Sendable, Codable {
    /// Requests up to here are answered and forgotten.
    var forgotten: UInt64 = 0
    var outcomes: [Recorded] = []
    var lastRevision: UInt64 = 0

    struct Recorded: Hashable, Sendable, Codable {
        let request: UInt64
        let outcome: Outcome
    }
}

/// The sessions of all clients. Bounded: the one that was idle longest makes room, and its late retries are applied
/// anew, so a client must not retry for longer than it takes 4,096 others to come.
struct Sessions: Hashable, Sendable {
    static let mostSessions = 4_096
    /// Outcomes one session may have open; older ones are forgotten.
    static let mostOutcomes = 1_024

    private(set) var sessions: SortedMap<UInt64, Session> = [:]

    init(_ sessions: SortedMap<UInt64, Session> = [:]) { self.sessions = sessions }

    /// The earlier outcome of a request that was carried out before; nil when it is new.
    func answer(to stamp: RequestStamp, revision: UInt64) -> Outcome? {
        guard let session = sessions[stamp.session] else { return nil }
        if stamp.request <= session.forgotten {
            return Outcome(
                code: .expired, message: "request \(stamp.request) was carried out and answered before",
                revision: revision)
        }
        return session.outcomes.first { $0.request == stamp.request }?.outcome
    }

    /// The outcome of a request, if it is remembered.
    func outcome(ofSession session: UInt64, request: UInt64) -> Outcome? {
        sessions[session]?.outcomes.first { $0.request == request }?.outcome
    }

    mutating func record(_ outcome: Outcome, of stamp: RequestStamp) {
        if !sessions.contains(stamp.session) {
            if sessions.count >= Self.mostSessions { dropIdlest() }
            sessions[stamp.session] = Session()
        }
        _ = sessions.update(stamp.session) { session in
            session.forgotten = max(session.forgotten, stamp.settled)
            session.outcomes.removeAll { $0.request <= session.forgotten }
            session.outcomes.append(Session.Recorded(request: stamp.request, outcome: outcome))
            session.lastRevision = outcome.revision
            if session.outcomes.count > Self.mostOutcomes {
                session.forgotten = max(session.forgotten, session.outcomes.removeFirst().request)
            }
        }
    }

    private mutating func dropIdlest() {
        guard let idlest = sessions.pairs.min(by: { $0.1.lastRevision < $1.1.lastRevision }) else { return }
        sessions[idlest.0] = nil
    }
}
