// The VirtualIP kind as people write it: its fields, what must hold between them, and how a declaration becomes a spec.
// Says nothing about who holds the address; that is decided in Decisions.

import Cluster
import Consensus

extension VirtualIPSpec {
    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try Self.schema.checkedSpec(of: declaration)
        self.init(
            addresses: Self.addresses(of: spec),
            candidates: spec.maps("candidates").map { Candidate(member: $0.text("member")) },
            follow: spec.has("follow") ? HealthCheck(spec.map("follow")) : nil,
            preempt: spec.text("preempt") == Preempt.always.rawValue ? .always : .never)
    }

    public static let schema = KindSchema(
        kind: "VirtualIP", otherNames: ["vip"],
        documentation: """
            An IPv4 or IPv6 address, or several that belong together, that exactly one member answers for at a time. \
            When its holder is lost, another candidate takes it over; while there is no majority, nobody holds it.
            """,
        spec: ObjectType(addressFields + roleFields, exactlyOneOf: [["address", "addresses"]]),
        example: """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: kube-api}
            spec:
              address: 192.168.1.99/24
              candidates: [{member: k8s-cp1}, {member: k8s-cp2}, {member: k8s-cp3}]
              follow: {https: "127.0.0.1:6443/readyz", every: 500ms, failures: 3}
              preempt: never
            """,
        check: check)

    /// Who may hold it, and when.
    private static let roleFields: [Field] =
        [
            Field(
                "candidates",
                .list(
                    of: .object(
                        ObjectType([Field("member", .text(.name), .required, "The name of a member; not a witness.")])),
                    least: 1, most: 64),
                .required, "The members that may hold it, in order of preference, each once."),
            Field(
                "follow", .object(HealthCheck.fields), .optional,
                """
                A check each candidate makes of itself; only one that passes may hold the address. Without it, every \
                candidate that runs may.
                """),
            Field(
                "preempt", .choice(Preempt.allCases.map(\.rawValue)), .byDefault(.string(Preempt.never.rawValue)),
                """
                never: the address stays where it is while its holder is well. always: it goes back to an earlier \
                candidate once that one has been well for a while.
                """),
        ]

    @Sendable private static func check(_ resource: ResourceKey, _ spec: JSONValue) -> [Problem] {
        let checked = CheckedSpec(spec)
        var problems = addressProblems(resource, checked)
        var seen: SortedMap<String, Int> = [:]
        for (position, candidate) in checked.maps("candidates").enumerated() {
            let member = candidate.text("member")
            if let earlier = seen[member] {
                problems.append(
                    Problem(
                        resource, at: FieldPath.spec.field("candidates").index(position).field("member"),
                        found: "\(member) again", expected: "each member once; candidates[\(earlier)] names it already")
                )
            } else {
                seen[member] = position
            }
        }
        if checked.has("follow"), checked.map("follow").has("exec") {
            let program = checked.map("follow").texts("exec")[0]
            if !program.hasPrefix("/") {
                problems.append(
                    Problem(
                        resource, at: FieldPath.spec.field("follow").field("exec").index(0),
                        found: Excerpt.phrase(.string(program)),
                        expected: "the program with its whole path, such as /usr/bin/true; no shell looks it up"))
            }
        }
        return problems
    }
}

extension HealthCheck {
    static let fields = ObjectType(
        [
            Field("tcp", .text(.endpoint), .optional, "A connection to this host and port opens."),
            Field("http", .text(.webAddress), .optional, "GET http://… answers 200 to 399."),
            Field(
                "https", .text(.webAddress), .optional,
                "GET https://… answers 200 to 399. The certificate is not verified: a candidate asks itself."),
            Field(
                "exec", .list(of: .text(.line(mostCharacters: 1_000)), least: 1, most: 64), .optional,
                "This program, with these arguments, ends with status 0. No shell is involved."),
            Field(
                "every", .duration(least: .milliseconds(100), most: .seconds(3_600)), .byDefault("1s"),
                "The time from the start of a check to the start of the next. Two checks never run at once."),
            Field(
                "timeout", .duration(least: .milliseconds(10), most: .seconds(60)), .byDefault("1s"),
                "A check that takes longer has failed."),
            Field(
                "failures", .integer(least: 1, most: 100), .byDefault(3),
                "So many failures in a row, and the candidate may not hold the address."),
            Field(
                "successes", .integer(least: 1, most: 100), .byDefault(2),
                "So many successes in a row, and it may again."),
        ], exactlyOneOf: [["tcp", "http", "https", "exec"]])

    /// Of guests: their host makes the check, and something is done about it.
    static let fieldsOfGuests = ObjectType(
        [
            Field(
                "agent", .choice(["ping"]), .optional,
                "ping: the QEMU guest agent inside the machine answers; Proxmox gives it 3 s. Virtual machines only.")
        ] + fields.fields + [
            Field(
                "action", .choice(["restart", "report"]), .byDefault("restart"),
                "restart: it is restarted when the check fails, then moved. report: that is told, and nothing is done."),
            Field(
                "grace", .duration(least: .seconds(1), most: .seconds(3_600)), .byDefault("2m"),
                """
                How long it gets after a start before a failing check counts. After each step that did not help it gets \
                twice as long as before, at most the budget's per.
                """),
        ], exactlyOneOf: [["agent", "tcp", "http", "https", "exec"]])

    init(_ spec: CheckedSpec) {
        self.init(
            probe: Self.probe(spec), every: spec.duration("every"), timeout: spec.duration("timeout"),
            failures: Int(spec.integer("failures")), successes: Int(spec.integer("successes")))
    }

    private static func probe(_ spec: CheckedSpec) -> Probe {
        if spec.has("agent") { return .agent }
        if let address = spec.optionalText("http") { return .http(url: "http://\(address)") }
        if let address = spec.optionalText("https") { return .http(url: "https://\(address)") }
        guard let endpoint = spec.optionalText("tcp").flatMap(Endpoint.init) else {
            return .exec(command: spec.texts("exec"))
        }
        return .tcp(host: endpoint.host, port: endpoint.port)
    }
}
