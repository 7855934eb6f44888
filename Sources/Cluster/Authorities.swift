// The cluster's authority, and its replacement by another one while everything runs. What stands here is public:
// certificates and their names. Private keys are never in the state; see Runtime/Identity.
//
//     rotateAuthority        advanceRotation(.replace)             advanceRotation(.finish)
//     ────┬────────────────────────────┬──────────────────────────────────┬─────────
//         │ spreading                  │ replacing                        │ over
//         │ old and new are trusted    │ old and new are trusted          │ only the new one is trusted
//         │ the old one signs          │ the new one signs, everybody     │
//         │                            │ has a new certificate signed     │
//
// A step is taken when it can hurt nobody: `replace` when whoever counts has said that it trusts the new authority,
// `finish` when no member shows a certificate of the old one any more. So at no moment two members do not believe each other.
// One that was away through all of it believes the new authority by its link: the new authority's certificate signed with
// the old one's key ("new with old", RFC 4210 section 4.4). And `finish` waits for it until it is back or removed.
//
// Relies on: Decisions/RotationDecisions for when a step is due, and the API for looking into certificates: to the state
// they are text. Does not: keep more than the one authority and the one rotation.

import Consensus

/// An authority's public half.
public struct AuthorityRecord: Hashable, Sendable, Codable {
    /// Its name: the SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits.
    public var pin: String
    /// PEM.
    public var certificate: String

    public init(pin: String, certificate: String) {
        self.pin = pin
        self.certificate = certificate
    }

    /// As people read it.
    public var shortName: String { String(pin.prefix(16)) }
}

/// An authority on its way to take another one's place.
public struct AuthorityRotation: Hashable, Sendable, Codable {
    /// What somebody asked for.
    public struct Plan: Hashable, Sendable, Codable {
        public var old: AuthorityRecord
        public var new: AuthorityRecord
        /// The new authority's certificate signed with the old one's key, PEM.
        public var link: String
        /// How long after the new one began to sign operators have for renewing their certificates.
        public var graceMilliseconds: Int64

        public init(old: AuthorityRecord, new: AuthorityRecord, link: String, graceMilliseconds: Int64) {
            self.old = old
            self.new = new
            self.link = link
            self.graceMilliseconds = graceMilliseconds
        }
    }

    public enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
        case spreading
        case replacing
    }

    public enum Step: String, Hashable, Sendable, Codable {
        case replace
        case finish

        var words: String {
            switch self {
            case .replace: "sign with authority"
            case .finish: "trust only authority"
            }
        }
    }

    public var plan: Plan
    public var phase = Phase.spreading
    /// Wall clock of who proposed it, milliseconds since 1970; when the new one began to sign, zero before.
    public var beganMilliseconds: Int64
    public var replacingMilliseconds: Int64 = 0

    /// When operators that have not renewed are not waited for any more; nil while the old authority signs.
    public var operatorsUntilMilliseconds: Int64? {
        phase == .spreading ? nil : replacingMilliseconds + plan.graceMilliseconds
    }
}

/// What the members are to do about authorities now.
public struct AuthorityBook: Hashable, Sendable {
    /// All that are trusted; the first one signs.
    public var trusted: [AuthorityRecord]
    /// What is shown beside a certificate so that whoever knows only an earlier authority believes it too. PEM.
    public var links: [String]
    /// The newest authority, which hosts must be able to sign with.
    public var newest: String
}

extension ClusterState {
    public static let rotationGraceMilliseconds: ClosedRange<Int64> = 60_000...(90 * 86_400_000)
    static let mostCertificateCharacters = 4_096

    /// Nil in a cluster whose authority was never rotated: its members trust what they joined with.
    public var authorityBook: AuthorityBook? {
        guard let rotation else {
            return authority.map { AuthorityBook(trusted: [$0], links: [], newest: $0.pin) }
        }
        let (old, new) = (rotation.plan.old, rotation.plan.new)
        return AuthorityBook(
            trusted: rotation.phase == .spreading ? [old, new] : [new, old], links: [rotation.plan.link],
            newest: new.pin)
    }

    mutating func rotateAuthority(_ plan: AuthorityRotation.Plan, _ record: CommandRecord) -> Outcome {
        if let rotation {
            return refused(
                .conflict,
                "the authority is being rotated to \(rotation.plan.new.shortName) already; see: "
                    + "holdfast cluster rotate-authority --status")
        }
        if let authority, authority.pin != plan.old.pin {
            return refused(
                .conflict, "the authority is \(authority.shortName), not \(plan.old.shortName); ask again in a moment")
        }
        guard Self.isSound(plan) else { return refused(.invalid, "the new authority is not described as one") }
        authority = plan.old
        rotation = AuthorityRotation(plan: plan, beganMilliseconds: record.milliseconds)
        let words = "authority \(plan.new.shortName) is to take the place of \(plan.old.shortName)"
        _ = note("AuthorityRotationBegan", "cluster/\(clusterName)", words, record)
        return done(words)
    }

    private static func isSound(_ plan: AuthorityRotation.Plan) -> Bool {
        let isDigit: (UInt8) -> Bool = { (48...57).contains($0) || (97...102).contains($0) }
        let pins = [plan.old.pin, plan.new.pin]
        let texts = [plan.old.certificate, plan.new.certificate, plan.link]
        return pins[0] != pins[1] && pins.allSatisfy { $0.utf8.count == 64 && $0.utf8.allSatisfy(isDigit) }
            && texts.allSatisfy { (1...mostCertificateCharacters).contains($0.utf8.count) }
            && rotationGraceMilliseconds.contains(plan.graceMilliseconds)
    }

    mutating func advanceRotation(
        _ pin: String, to step: AuthorityRotation.Step, _ record: CommandRecord
    ) -> Outcome {
        guard let rotation, rotation.plan.new.pin == pin else {
            return unchanged("no rotation to authority \(pin.prefix(16)) is under way")
        }
        switch (rotation.phase, step) {
        case (.spreading, .replace):
            self.rotation?.phase = .replacing
            let bound = Int64(StateReader.greatest)
            self.rotation?.replacingMilliseconds = max(-bound, min(record.milliseconds, bound))
            let words =
                "authority \(rotation.plan.new.shortName) signs from now on; \(rotation.plan.old.shortName) stays "
                + "trusted until nobody needs it"
            _ = note("AuthorityReplaced", "cluster/\(clusterName)", words, record)
            return done(words)
        case (.replacing, .finish):
            // Whoever joined since the leader looked is still to show a certificate.
            let behind = members.values.filter { $0.signedBy != pin }.map(\.name)
            guard behind.isEmpty else {
                return refused(.unsafe, "\(behind.joined(separator: ", ")) still needs the old authority")
            }
            authority = rotation.plan.new
            self.rotation = nil
            let words = "authority \(rotation.plan.old.shortName) is not trusted any more"
            _ = note("AuthorityRotated", "cluster/\(clusterName)", words, record)
            return done(words)
        case (.spreading, .finish), (.replacing, .replace): return unchanged()
        }
    }

    mutating func cancelRotation(_ pin: String, _ record: CommandRecord) -> Outcome {
        guard let rotation, rotation.plan.new.pin == pin else {
            return refused(.notFound, "no rotation of the authority is under way")
        }
        guard rotation.phase == .spreading else {
            return refused(
                .unsafe,
                "authority \(rotation.plan.new.shortName) has begun to sign, and there is no way back but another rotation "
                    + "once this one is over; see what it waits for: holdfast cluster rotate-authority --status")
        }
        self.rotation = nil
        let words = "authority \(rotation.plan.old.shortName) stays; \(rotation.plan.new.shortName) is forgotten"
        _ = note("AuthorityRotationCancelled", "cluster/\(clusterName)", words, record)
        return done(words)
    }
}

// MARK: What members say

extension ClusterState {
    /// Versions of level 1 do not keep it, so nobody does before level 2.
    func takeAuthorities(of announced: MemberRecord, into member: inout MemberRecord) {
        guard level >= 2 else { return }
        member.signedBy = announced.signedBy ?? member.signedBy
        member.preparedFor = announced.preparedFor ?? member.preparedFor
    }

    /// The event for a member that announced nothing but its certificate.
    static func renewal(from before: MemberRecord, to after: MemberRecord) -> (type: String, words: String) {
        let isNewSigner = before.signedBy != nil && before.signedBy != after.signedBy
        if before.certificateExpires != after.certificateExpires || isNewSigner {
            let signer = after.signedBy.map { ", by authority \($0.prefix(16))" } ?? ""
            return ("CertificateRenewed", "by itself" + (isNewSigner ? signer : ""))
        }
        if before.preparedFor != after.preparedFor, let newest = after.preparedFor {
            return ("AuthorityTrusted", "trusts authority \(newest.prefix(16))")
        }
        return ("CertificateTold", "says who signed its certificate")
    }

    static func start(_ member: MemberRecord) -> (type: String, words: String) {
        ("MemberStarted", "version \(member.version) at \(member.peerEndpoint)")
    }
}

// MARK: As bytes

extension StateWriter {
    mutating func write(_ authority: AuthorityRecord) {
        field(1, authority.pin)
        field(2, authority.certificate)
    }

    mutating func write(_ rotation: AuthorityRotation) {
        record(1) { $0.write(rotation.plan.old) }
        record(2) { $0.write(rotation.plan.new) }
        field(3, rotation.plan.link)
        field(4, UInt64(bitPattern: rotation.plan.graceMilliseconds))
        field(5, rotation.phase.rawValue)
        field(6, UInt64(bitPattern: rotation.beganMilliseconds))
        field(7, UInt64(bitPattern: rotation.replacingMilliseconds))
    }
}

extension ClusterState {
    /// Reads field 41 or 42.
    mutating func readAuthorities(_ field: UInt8, _ reader: inout StateReader) throws(StateDecodingError) {
        switch field {
        case 41:
            guard authority == nil else { throw reader.fault("more than one authority") }
            authority = try reader.record { (inner) throws(StateDecodingError) in try inner.authority() }
        case 42:
            guard rotation == nil else { throw reader.fault("more than one rotation") }
            let read = try reader.record { (inner) throws(StateDecodingError) in try inner.rotation() }
            guard Self.isSound(read.plan), read.replacingMilliseconds.magnitude <= StateReader.greatest else {
                throw reader.fault("a rotation that nobody can have begun")
            }
            rotation = read
        default: throw reader.unknown(field, of: "the state")
        }
    }
}

extension StateReader {
    fileprivate mutating func authority() throws(StateDecodingError) -> AuthorityRecord {
        var authority = AuthorityRecord(pin: "", certificate: "")
        while let field = try next() {
            switch field {
            case 1: authority.pin = try text()
            case 2: authority.certificate = try text()
            default: throw unknown(field, of: "an authority")
            }
        }
        return authority
    }

    fileprivate mutating func rotation() throws(StateDecodingError) -> AuthorityRotation {
        let nobody = AuthorityRecord(pin: "", certificate: "")
        var rotation = AuthorityRotation(
            plan: .init(old: nobody, new: nobody, link: "", graceMilliseconds: 0), beganMilliseconds: 0)
        while let field = try next() {
            switch field {
            case 1: rotation.plan.old = try record { (inner) throws(StateDecodingError) in try inner.authority() }
            case 2: rotation.plan.new = try record { (inner) throws(StateDecodingError) in try inner.authority() }
            case 3: rotation.plan.link = try text()
            case 4: rotation.plan.graceMilliseconds = Int64(bitPattern: try number())
            case 5: rotation.phase = try phase()
            case 6: rotation.beganMilliseconds = Int64(bitPattern: try number())
            case 7: rotation.replacingMilliseconds = Int64(bitPattern: try number())
            default: throw unknown(field, of: "a rotation")
            }
        }
        return rotation
    }

    private mutating func phase() throws(StateDecodingError) -> AuthorityRotation.Phase {
        let name = try text()
        guard let phase = AuthorityRotation.Phase(rawValue: name) else {
            throw .newer(what: "a rotation in the phase \(name)")
        }
        return phase
    }
}
