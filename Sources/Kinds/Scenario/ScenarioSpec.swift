// The Scenario kind: a loss that the cluster must survive, whatever else is declared. It runs nothing; plan and apply hold
// what they would declare against it.

import Cluster
import Consensus

/// The spec of a Scenario, checked and with its defaults filled in.
public struct ScenarioSpec: Hashable, Sendable {
    public enum Enforcement: String, Hashable, Sendable, CaseIterable {
        /// plan and apply say so.
        case warn
        /// apply refuses what breaks it.
        case refuse
    }

    /// What is lost at once.
    public let losses: [String]
    /// What is lost afterwards, one after the other.
    public let then: [String]
    /// What may stay down: `VirtualMachine/scratch`, `VirtualIP/dns`, or `cluster`.
    public let staysDown: [String]
    /// The longest time for which a workload or an address may be gone; nil: any.
    public let within: Interval?
    /// The same for addresses alone.
    public let mostGap: Interval?
    public let enforcement: Enforcement

    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try Self.schema.checkedSpec(of: declaration)
        losses = spec.texts("lost")
        then = spec.has("then") ? spec.texts("then") : []
        let expected = spec.map("expect")
        staysDown = expected.has("staysDown") ? expected.texts("staysDown") : []
        within = expected.has("within") ? expected.duration("within") : nil
        mostGap = expected.has("maxGap") ? expected.duration("maxGap") : nil
        enforcement = Enforcement(rawValue: spec.text("enforce")) ?? .warn
    }

    public static let schema = KindSchema(
        kind: "Scenario",
        documentation: """
            A loss that must be survived, whatever else is declared. plan and apply rehearse it on the cluster as it would be \
            after the change, with the decisions that the cluster itself would make; holdfast what-if does the same for any \
            loss.
            """,
        spec: ObjectType([
            Field(
                "lost", .list(of: .text(.line(mostCharacters: 130)), least: 1, most: 16), .required,
                """
                What is lost, all at once: host/NAME, member/NAME, vm/NAME, ct/NAME, link/A:B (two machines do not reach \
                each other), network/NAME (it reaches nobody).
                """),
            Field(
                "then", .list(of: .text(.line(mostCharacters: 130)), least: 0, most: 16), .byDefault(.array([])),
                "What is lost after that, each when everything has come to rest from the one before."),
            Field(
                "expect",
                .object(
                    ObjectType([
                        Field(
                            "staysDown", .list(of: .text(.line(mostCharacters: 130)), least: 0, most: 256),
                            .byDefault(.array([])),
                            "What may stay down: KIND/NAME of workloads and addresses. Nothing else may."),
                        Field(
                            "within", .duration(least: .milliseconds(1), most: .seconds(3_600)), .optional,
                            "How long anything that comes back may be gone."),
                        Field(
                            "maxGap", .duration(least: .milliseconds(1), most: .seconds(3_600)), .optional,
                            "How long an address may be gone."),
                    ])), .byDefault(.object([:])), "What must come of it."),
            Field(
                "enforce", .choice(Enforcement.allCases.map(\.rawValue)),
                .byDefault(.string(Enforcement.warn.rawValue)),
                "refuse: apply refuses a change after which it would not hold, unless it is told --force."),
        ]),
        example: """
            apiVersion: holdfast/v1
            kind: Scenario
            metadata: {name: pve1-dies}
            spec:
              lost: [host/pve1]
              expect: {staysDown: [VirtualMachine/scratch], within: 30s, maxGap: 2s}
              enforce: refuse
            """, check: check)

    @Sendable private static func check(_ resource: ResourceKey, _ spec: JSONValue) -> [Problem] {
        let checked = CheckedSpec(spec)
        var problems: [Problem] = []
        for (field, texts) in [("lost", checked.texts("lost")), ("then", checked.texts("then"))] {
            for (position, text) in texts.enumerated() where LossText(text) == nil {
                let word = LossText.parts(of: text)?.word ?? ""
                let guess = LossText.subject(called: word) == nil ? Nearest.match(word, among: LossText.subjects) : nil
                problems.append(
                    Problem(
                        resource, at: FieldPath.spec.field(field).index(position),
                        found: "the text \(Excerpt.quoted(text))", expected: LossText.expected,
                        suggestion: guess.map { $0 + text.dropFirst(word.count) }))
            }
        }
        let down = checked.map("expect").texts("staysDown")
        for (position, text) in down.enumerated() where text != "cluster" && TextForm.reference(text) == nil {
            problems.append(
                Problem(
                    resource, at: FieldPath.spec.field("expect").field("staysDown").index(position),
                    found: "the text \(Excerpt.quoted(text))",
                    expected: "KIND/NAME of a workload or an address, or cluster"))
        }
        return problems
    }
}
