// The Cluster kind: what holds for the cluster as a whole, today its timings.
// The inequalities between them are those of `Timing`, so that there is one truth about them.

import Cluster
import Consensus

/// The spec of a Cluster, checked and with its defaults filled in.
public struct ClusterSpec: Hashable, Sendable {
    /// Sound: `timing.fault` is nil.
    public let timing: Timing
    /// What becomes of a change after which something could not be recovered that could before.
    public let admission: Admission

    public enum Admission: String, Hashable, Sendable, CaseIterable {
        /// plan says so.
        case warn
        /// apply and delete refuse it, unless they are told otherwise.
        case refuse
    }

    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try Self.schema.checkedSpec(of: declaration)
        timing = Self.timing(spec)
        admission = Admission(rawValue: spec.text("admission")) ?? .warn
    }

    private static func timing(_ spec: CheckedSpec) -> Timing {
        var timing = Timing()
        timing.heartbeat = spec.duration("heartbeat")
        timing.quorumLease = spec.duration("quorumLease")
        timing.promise = spec.duration("promise")
        timing.memberLease = spec.duration("memberLease")
        timing.electionTimeoutLeast = spec.map("electionTimeout").duration("least")
        timing.electionTimeoutMost = spec.map("electionTimeout").duration("most")
        timing.driftPartsPerMillion = spec.integer("driftPpm")
        return timing
    }

    /// The inequalities between the timings that the protocol's safety needs.
    @Sendable private static func check(_ resource: ResourceKey, _ spec: JSONValue) -> [Problem] {
        guard let fault = timing(CheckedSpec(spec)).fault else { return [] }
        // A fault opens with the name of the field it is about.
        let subject = fault.prefix { $0 != " " }
        let names = subject == "drift" ? ["driftPpm"] : subject.split(separator: ".").map(String.init)
        var path = FieldPath.spec
        var value = spec
        for name in names {
            guard let inner = value[name] else { break }
            path = path.field(name)
            value = inner
        }
        return [Problem(resource, at: path, found: Excerpt.phrase(value), expected: "timings that fit: \(fault)")]
    }
}

extension ClusterSpec {
    private static let defaults = Timing()

    private static func duration(_ name: String, _ standard: Interval, most: Interval, _ documentation: String) -> Field
    {
        Field(
            name, .duration(least: .milliseconds(1), most: most),
            .byDefault(.string(DurationText.text(standard))), documentation)
    }

    public static let schema = KindSchema(
        kind: "Cluster",
        documentation: """
            What holds for the cluster as a whole; there is at most one. The defaults suit a LAN. The timings are \
            checked against each other, and may be changed while the cluster runs.
            """,
        spec: ObjectType([
            duration(
                "heartbeat", defaults.heartbeat, most: .seconds(10), "The time between two heartbeats of the leader."),
            duration(
                "quorumLease", defaults.quorumLease, most: .seconds(60),
                """
                How long a heartbeat that a majority has answered lets the leader act. At least three heartbeats.
                """),
            duration(
                "promise", defaults.promise, most: .seconds(60),
                """
                How long a voter that has answered a heartbeat votes for nobody else. Longer than quorumLease, at least by \
                what two clocks may drift apart in that time.
                """),
            duration(
                "memberLease", defaults.memberLease, most: .seconds(60),
                """
                How long a member may hold its addresses after the last request that the leader granted. At most \
                quorumLease, at least two heartbeats.
                """),
            Field(
                "electionTimeout",
                .object(
                    ObjectType([
                        duration(
                            "least", defaults.electionTimeoutLeast, most: .seconds(120), "Not shorter than promise."),
                        duration(
                            "most", defaults.electionTimeoutMost, most: .seconds(120),
                            "At least one heartbeat longer than least."),
                    ])),
                .byDefault(.object([:])),
                "How long a member hears nothing from a leader before it campaigns, drawn at random between the two."),
            Field(
                "driftPpm", .integer(least: 0, most: 100_000), .byDefault(.int(defaults.driftPartsPerMillion)),
                "How far apart two members' clocks may run at most, in parts per million."),
            Field(
                "admission", .choice(Admission.allCases.map(\.rawValue)),
                .byDefault(.string(Admission.warn.rawValue)),
                """
                What becomes of a change after which something could not be recovered from the loss of a machine that could \
                before: plan warns of it, or apply and delete refuse it unless they are told --force.
                """),
        ]),
        example: """
            apiVersion: holdfast/v1
            kind: Cluster
            metadata: {name: home}
            spec:
              heartbeat: 50ms
              electionTimeout: {least: 350ms, most: 600ms}
            """,
        check: check)
}
