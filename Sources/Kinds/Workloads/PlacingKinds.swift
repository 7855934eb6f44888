// The kinds around workloads: where disks lie, who may run where, and how lost hosts are fenced.

import Cluster
import Consensus

/// A place for disks.
public struct StoragePoolSpec: Hashable, Sendable {
    public let name: String
    public let storage: WorkloadSpec.Storage

    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try Self.schema.checkedSpec(of: declaration)
        name = declaration.name
        storage = WorkloadSpec.Storage(rawValue: spec.text("type")) ?? .local
    }

    public static let schema = KindSchema(
        kind: "StoragePool", otherNames: ["pool"],
        documentation: """
            A place for disks, under the name that Proxmox gives its storage. Its type decides which hosts can run what lies \
            there, and what proves that a lost host cannot write to it.
            """,
        spec: ObjectType([
            Field(
                "type", .choice(WorkloadSpec.Storage.allCases.map(\.rawValue)), .required,
                """
                cephRbd: images in a Ceph pool, which a lost host can be kept from. shared: another storage that all hosts \
                reach (NFS, iSCSI). local: the disks of one host, which nobody else reaches.
                """)
        ]),
        example: """
            apiVersion: holdfast/v1
            kind: StoragePool
            metadata: {name: rbd-vms}
            spec: {type: cephRbd}
            """)
}

/// A rule about where workloads may run.
public struct PlacementRuleSpec: Hashable, Sendable {
    public enum Rule: Hashable, Sendable {
        /// The hosts for these workloads, with priorities: the greater, the better. Strict: no others.
        case hosts([WorkloadSpec.Preference], strict: Bool)
        /// All on one host.
        case together
        /// No two on one host.
        case apart
    }
    public let workloads: [ResourceKey]
    public let rule: Rule
    public let isEnabled: Bool

    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try Self.schema.checkedSpec(of: declaration)
        workloads = spec.texts("workloads").map { ResourceKey(workload: $0, besides: WorkloadSpec.machine) }
        isEnabled = spec.optionalTruth("enabled") ?? true
        if spec.has("hosts") {
            rule = .hosts(
                spec.maps("hosts").map {
                    WorkloadSpec.Preference(host: $0.text("host"), weight: $0.integer("priority"))
                }, strict: spec.optionalTruth("strict") ?? false)
        } else {
            rule = spec.text("affinity") == "apart" ? .apart : .together
        }
    }

    public static let schema = KindSchema(
        kind: "PlacementRule", otherNames: ["rule"],
        documentation: """
            Where workloads may run: on which hosts, or together, or apart. A rule that cannot be kept leaves a workload down \
            and says so; only a host rule that is not strict is given up first.
            """,
        spec: ObjectType(
            [
                Field(
                    "workloads", .list(of: .text(.line(mostCharacters: 130)), least: 1, most: 256), .required,
                    "Names of virtual machines, or SystemContainer/NAME."),
                Field(
                    "hosts",
                    .list(
                        of: .object(
                            ObjectType([
                                Field("host", .text(.name), .required, "The name of a host."),
                                Field(
                                    "priority", .integer(least: 0, most: 1_000), .byDefault(0),
                                    "The greater, the better."),
                            ])), least: 1, most: 64), .optional, "The hosts for them."),
                Field(
                    "affinity", .choice(["together", "apart"]), .optional,
                    "together: all on one host. apart: no two on one host."),
                Field(
                    "strict", .truth, .byDefault(.bool(false)),
                    "For hosts: true leaves a workload down rather than run it on another host."),
                Field("enabled", .truth, .byDefault(.bool(true)), "false: as if it were not there."),
            ], exactlyOneOf: [["hosts", "affinity"]]),
        example: """
            apiVersion: holdfast/v1
            kind: PlacementRule
            metadata: {name: databases-apart}
            spec:
              workloads: [postgres1, postgres2]
              affinity: apart
            """)
}

/// How lost hosts are fenced.
public struct FencePolicySpec: Hashable, Sendable {
    /// In the order in which they are tried.
    public var methods: [FenceMethod] = [.cephBlocklist, .watchdog]
    /// A host that is away for so long is lost to its guests.
    public var after: Interval = .seconds(2)
    /// Waited on top of the watchdog's own time.
    public var watchdogMargin: Interval = .seconds(5)
    /// The program, with its arguments, that cuts a host's power and ends with 0 when it is off; `{host}` is its name.
    public var powerCommand: [String] = []
    /// Whether guests may be given more memory together than a host has.
    public var overcommitsMemory = false

    /// What holds where nothing is declared.
    public init() {}

    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try Self.schema.checkedSpec(of: declaration)
        methods = spec.texts("methods").compactMap(FenceMethod.init)
        after = spec.duration("after")
        watchdogMargin = spec.duration("watchdogMargin")
        powerCommand = spec.has("powerCommand") ? spec.texts("powerCommand") : []
        overcommitsMemory = spec.optionalTruth("overcommitMemory") ?? false
    }

    public static let schema = KindSchema(
        kind: "FencePolicy",
        documentation: """
            How a lost host is kept from the disks of its guests before they are started elsewhere; there is at most one. \
            Without proof nothing is started.
            """,
        spec: ObjectType([
            Field(
                "methods", .list(of: .choice(FenceMethod.allCases.map(\.rawValue)), least: 1, most: 4),
                .byDefault(["cephBlocklist", "watchdog"]),
                "Tried in this order. A person's word (holdfast fence) counts without being named."),
            Field(
                "after", .duration(least: .milliseconds(200), most: .seconds(3_600)), .byDefault("2s"),
                """
                A host that is away for so long is lost to its guests. An agent that has ended unplanned is there again \
                within this; one that keeps ending is lost all the same, after half a minute.
                """),
            Field(
                "watchdogMargin", .duration(least: .seconds(1), most: .seconds(600)), .byDefault("5s"),
                "Waited after the time in which its watchdog has reset a host."),
            Field(
                "powerCommand", .list(of: .text(.line(mostCharacters: 1_000)), least: 1, most: 64), .optional,
                """
                For the method power: the program with its whole path that cuts a host's power and ends with status 0 once \
                the host is off. {host} in an argument stands for the host's name.
                """),
            Field(
                "overcommitMemory", .truth, .byDefault(.bool(false)),
                "Whether guests may be given more memory together than a host has."),
        ]),
        example: """
            apiVersion: holdfast/v1
            kind: FencePolicy
            metadata: {name: default}
            spec: {methods: [cephBlocklist, watchdog], after: 2s}
            """, check: check)

    @Sendable private static func check(_ resource: ResourceKey, _ spec: JSONValue) -> [Problem] {
        let checked = CheckedSpec(spec)
        let methods = checked.texts("methods")
        var problems: [Problem] = []
        if methods.contains("power"), !checked.has("powerCommand") {
            problems.append(
                Problem(
                    resource, at: FieldPath.spec.field("powerCommand"), found: "nothing",
                    expected: "the command that cuts a host's power, because methods names power"))
        }
        // A board that switches a machine off dies with the machine's power.
        if methods.allSatisfy({ $0 == "power" }) {
            problems.append(
                Problem(
                    resource, at: FieldPath.spec.field("methods"), found: "power alone",
                    expected: "another method beside it: what switches a host off dies with its power"))
        }
        return problems
    }
}
