// The certificates that the agents of a lab show each other, and the connections that were made with them. Both sides look
// at the other's certificate when a connection is made, and never again: one that stands outlives both certificates.
//
// Lives and backdating are those of Sources/Runtime/Identity/ClusterAuthority.swift, which has them from the wall clock of
// whoever signs. When a certificate is replaced is decided by the product (Decisions/CertificateRenewal).
//
// Does not: know of operators, of clients of the API, or of a second authority; sign anything.

import Consensus
import Decisions

/// All times are wall clock, milliseconds since 1970, unless they say otherwise.
struct Certificates {
    struct Certificate: Hashable {
        var begins: Int64
        var ends: Int64

        func isValid(at wall: Int64) -> Bool { begins <= wall && wall <= ends }
    }

    /// What one member shows, and the care its agent takes of it.
    struct Held {
        var shown: Certificate
        /// Of an earlier one, when the one that is shown lasts no longer than that.
        var renewal: CertificateRenewal
        /// A stream of its own: what a member draws for this changes nothing that anything else draws.
        var draws: Draws
        /// What the boot clock shows when the agent looks next.
        var nextReading = Instant(nanoseconds: .min)
        /// True time of that; never, while nobody can look.
        var nextLook = Int64.max
    }

    static let day: Int64 = 86_400_000
    /// Of a member's certificate.
    static let usualLife = 90 * day
    static let backdating: Int64 = 300_000
    static let authorityLife = 3_653 * day
    /// The lab was founded a year before it is looked at. A clock that is set back by hours is not before its beginning.
    static let authorityAge = 365 * day

    let life: Int64
    let count: Int
    /// Made when the first member is.
    private(set) var authority: Certificate?
    var held: [Held?]
    /// True time of the next look of anybody, at a certificate or at how long all are valid.
    private(set) var nextLook = Int64.max
    /// Whether everybody would be believed by everybody. Then every connection that could stand does.
    private(set) var isCalm = true
    /// True time until which that is known.
    private var calmUntil = Int64.max
    /// Connections by who sends on them; looked at only while somebody would not be believed.
    private var standing: [Bool]
    /// Pairs of which it was told that they cannot connect.
    private var told: [Bool]

    /// - Parameter life: of a member's certificate.
    init(count: Int, life: Int64) {
        self.count = count
        self.life = life
        held = Array(repeating: nil, count: count)
        standing = Array(repeating: false, count: count * count)
        told = standing
    }

    // MARK: Signing

    /// What a host signs whose wall clock shows `wall`.
    func signed(at wall: Int64) -> Certificate {
        Certificate(
            begins: wall - Self.backdating, ends: min(wall + life, authority?.ends ?? .max))
    }

    /// The certificate a member begins with. The members of a lab at work have had theirs for a ninth of its life; whoever
    /// joins gets a new one.
    mutating func admit(_ machine: Int, signerWall wall: Int64, isNew: Bool, draws: Draws) {
        if authority == nil {
            let founded = wall - Self.authorityAge
            authority = Certificate(begins: founded - Self.backdating, ends: founded + Self.authorityLife)
        }
        let shown = signed(at: isNew ? wall : wall - life / 9)
        held[machine] = Held(
            shown: shown, renewal: CertificateRenewal(begins: shown.begins, ends: shown.ends, jitterPermille: 0),
            draws: draws)
    }

    /// Whether somebody whose wall clock shows `wall` believes what this machine shows.
    func isBelieved(_ machine: Int, at wall: Int64) -> Bool {
        guard let authority, let shown = held[machine]?.shown else { return false }
        return authority.isValid(at: wall) && shown.isValid(at: wall)
    }

    // MARK: Connections

    func stands(from: Int, to: Int) -> Bool { standing[from * count + to] }

    mutating func connect(from: Int, to: Int) {
        standing[from * count + to] = true
        told[from * count + to] = false
    }

    mutating func disconnect(from: Int, to: Int) { standing[from * count + to] = false }

    /// - Returns: whether it was not told before.
    mutating func tellOnce(from: Int, to: Int) -> Bool {
        defer { told[from * count + to] = true }
        return !told[from * count + to]
    }

    // MARK: Calm

    /// Takes in that a clock or a certificate is another one now, or that the time came to look again.
    /// - Parameters:
    ///   - now: true time.
    ///   - walls: what the wall clocks show, by machine.
    ///   - couldStand: whether nothing but certificates keeps a connection from being there.
    mutating func reconsider(now: Int64, walls: [Int64], couldStand: (_ from: Int, _ to: Int) -> Bool) {
        let wasCalm = isCalm
        let end = calmEnd(now: now, walls: walls)
        isCalm = end != nil
        calmUntil = end ?? .max
        if isCalm, !wasCalm {
            for place in told.indices { told[place] = false }
        } else if wasCalm, !isCalm {
            for from in 0..<count {
                for to in 0..<count { standing[from * count + to] = from != to && couldStand(from, to) }
            }
        }
        findNextLook()
    }

    /// True time until which everybody is believed by everybody; nil: not even now. Drifting clocks are left room, by
    /// looking again a little early.
    private func calmEnd(now: Int64, walls: [Int64]) -> Int64? {
        guard let authority else { return .max }
        var (begins, ends) = (authority.begins, authority.ends)
        var (earliest, latest) = (Int64.max, Int64.min)
        for (machine, held) in held.enumerated() {
            guard let held else { continue }
            begins = max(begins, held.shown.begins)
            ends = min(ends, held.shown.ends)
            earliest = min(earliest, walls[machine])
            latest = max(latest, walls[machine])
        }
        guard begins <= earliest, latest <= ends else { return nil }
        return now + max((ends - latest) / 500 * 499, 1) * 1_000_000
    }

    mutating func findNextLook() {
        nextLook = calmUntil
        for case let held? in held { nextLook = min(nextLook, held.nextLook) }
    }

    /// Whoever is to look now, or before.
    func lookers(at now: Int64) -> [Int] { held.indices.filter { held[$0].map { $0.nextLook <= now } ?? false } }
}
