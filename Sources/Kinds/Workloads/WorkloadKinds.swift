// VirtualMachine and SystemContainer as people write them.
// Says nothing about where they run; that is decided in Decisions.

import Cluster
import Consensus

extension WorkloadSpec {
    public static let machineSchema = KindSchema(
        kind: machine, otherNames: ["vm", "virtualmachine"],
        documentation: """
            A virtual machine that exactly one host runs at a time. When its host is lost it is started on another one, as \
            soon as it is proven that the lost one can no longer write to its disks.
            """,
        spec: ObjectType(
            [
                Field(
                    "proxmox", .object(ObjectType(hypervisorFields + machineFields)), .required,
                    "What Proxmox makes of it.")
            ] + diskFields + placingFields
                + [
                    Field(
                        "live", .truth, .byDefault(.bool(true)),
                        "Whether it may be moved to another host while it runs.")
                ]),
        example: """
            apiVersion: holdfast/v1
            kind: VirtualMachine
            metadata: {name: gitlab, environment: production}
            spec:
              proxmox: {vmid: 120, cores: 4, memory: 12Gi}
              disks: [{name: scsi0, pool: rbd-vms, size: 80Gi, onDelete: retain}]
              desired: running
              placement: {prefer: [{host: pve1, weight: 50}], apartFrom: [vault], failback: never}
              recovery: {priority: 20, fence: [cephBlocklist, watchdog], budget: {restarts: 3, moves: 1, per: 30m}}
              onHostShutdown: migrate
              health: {https: "gitlab.lan:443/-/readiness", every: 10s, failures: 6}
              dependsOn: [VirtualIP/dns]
            """, check: check)

    public static let containerSchema = KindSchema(
        kind: container, otherNames: ["ct", "lxc"],
        documentation: """
            A system container (LXC) that exactly one host runs at a time. It is moved by stopping it on one host and \
            starting it on another.
            """,
        spec: ObjectType(
            [
                Field("proxmox", .object(ObjectType(hypervisorFields)), .required, "What Proxmox makes of it.")
            ] + diskFields + placingFields),
        example: """
            apiVersion: holdfast/v1
            kind: SystemContainer
            metadata: {name: dns1}
            spec:
              proxmox: {vmid: 201, cores: 1, memory: 512Mi, template: "local:vztmpl/debian-12.tar.zst"}
              disks: [{name: rootfs, pool: rbd-vms, size: 8Gi}]
            """, check: check)

    private static let hypervisorFields: [Field] = [
        Field("vmid", .integer(least: 100, most: 999_999_999), .required, "The number Proxmox knows it by."),
        Field("cores", .integer(least: 1, most: 512), .byDefault(1), "Virtual processors."),
        Field("memory", .text(.byteSize), .byDefault("512Mi"), "Memory. A host is never given more than it has."),
        Field(
            "template", .text(.line(mostCharacters: 200)), .optional,
            """
            What a new one is made from: the vmid of a template machine, or the volume of a container template. Without it, \
            only one that exists already is taken over.
            """),
        Field(
            "networks",
            .list(
                of: .object(
                    ObjectType([
                        Field("name", .text(.name), .required, "As Proxmox names it: net0."),
                        Field("bridge", .text(.networkInterface), .required, "The bridge of the host."),
                        Field("tag", .integer(least: 1, most: 4_094), .optional, "A VLAN."),
                    ])), least: 0, most: 32), .byDefault(.array([])),
            "Its network interfaces. Those that are not named are left as they are."),
    ]

    private static let machineFields: [Field] = [
        Field(
            "cloudInit",
            .object(
                ObjectType([
                    Field("user", .text(.name), .optional, "The user that is made at the first start."),
                    Field(
                        "sshKeys", .list(of: .text(.line(mostCharacters: 2_000)), least: 1, most: 64), .optional,
                        "Public keys that may log in."),
                    Field("address", .text(.ipInterface), .optional, "Its first address; without it, DHCP."),
                    Field("gateway", .text(.ipv4Address), .optional, "Its way out."),
                ])), .optional, "What a new machine is told at its first start.")
    ]

    private static let diskFields: [Field] = [
        Field(
            "disks",
            .list(
                of: .object(
                    ObjectType([
                        Field("name", .text(.name), .required, "As Proxmox names it: scsi0, rootfs."),
                        Field("pool", .text(.name), .required, "The name of a StoragePool."),
                        Field("size", .text(.byteSize), .optional, "It grows to that, and never shrinks."),
                        Field(
                            "onDelete", .choice(["retain", "delete"]), .byDefault("retain"),
                            "What becomes of it when the workload is deleted with the word that disks may be."),
                    ])), least: 0, most: 64), .byDefault(.array([])),
            """
            Its disks. Where they lie decides which host can run it, and what proves that a lost one cannot write to them; \
            without a disk it is taken to lie on its host.
            """)
    ]

    private static let placingFields: [Field] = [
        Field(
            "desired", .choice(Desired.allCases.map(\.rawValue)), .byDefault(.string(Desired.running.rawValue)),
            "running, stopped, or ignored: left alone, whatever it does."),
        Field(
            "placement",
            .object(
                ObjectType([
                    Field(
                        "prefer",
                        .list(
                            of: .object(
                                ObjectType([
                                    Field("host", .text(.name), .required, "The name of a host."),
                                    Field(
                                        "weight", .integer(least: 0, most: 1_000), .byDefault(1),
                                        "The greater, the better."),
                                ])), least: 0, most: 64), .byDefault(.array([])),
                        "Where it would best run. A PlacementRule can forbid all other hosts."),
                    Field(
                        "apartFrom", .list(of: .text(.line(mostCharacters: 130)), least: 0, most: 64),
                        .byDefault(.array([])), "Workloads that must not run on the same host."),
                    Field(
                        "failback", .choice(["never", "always"]), .byDefault("never"),
                        "always: it goes back to its best host when that is there again."),
                ])), .byDefault(.object([:])), "Where it may and should run."),
        Field(
            "recovery",
            .object(
                ObjectType([
                    Field(
                        "priority", .integer(least: 0, most: 100), .byDefault(50),
                        "The greater, the earlier it is recovered."),
                    Field(
                        "fence", .list(of: .choice(FenceMethod.allCases.map(\.rawValue)), least: 0, most: 4),
                        .byDefault(.array([])),
                        """
                        What may prove that a lost host cannot write to its disks, in the order in which it is tried. \
                        Without it, what the FencePolicy says.
                        """),
                    Field(
                        "budget",
                        .object(
                            ObjectType([
                                Field(
                                    "restarts", .integer(least: 0, most: 10), .byDefault(1),
                                    "Further starts on the same host after one that failed, and restarts because of its health."
                                ),
                                Field(
                                    "moves", .integer(least: 0, most: 10), .byDefault(1),
                                    "Further hosts that are tried after that."),
                                Field(
                                    "per", .duration(least: .seconds(10), most: .seconds(86_400)), .byDefault("30m"),
                                    "After so long of being well the count of what was done for its health begins anew."
                                ),
                            ])), .byDefault(.object([:])), "How often it is tried again."),
                ])), .byDefault(.object([:])), "What happens when it, or its host, fails."),
        Field(
            "onHostShutdown", .choice(HostShutdown.allCases.map(\.rawValue)),
            .byDefault(.string(HostShutdown.migrate.rawValue)),
            """
            migrate: it goes to another host first. restart: it is stopped and started on another host. freeze: it stays \
            with its host. conditional: freeze when the host restarts, restart when it is powered off.
            """),
        Field(
            "shutdownGrace", .duration(least: .seconds(1), most: .seconds(3_600)), .byDefault("60s"),
            "How long it gets to end by itself before it is ended."),
        Field(
            "health", .object(HealthCheck.fieldsOfGuests), .optional,
            """
            A check of it by its host. When it fails, the workload is restarted, then moved, within its budget, with a pause \
            that grows each time; after that it is left as it is, Degraded, until it is well or a person says so.
            """),
        Field(
            "dependsOn", .list(of: .text(.reference), least: 0, most: 64), .byDefault(.array([])),
            "Resources that must be there before it is started: workloads that run, addresses that are held."),
    ]

    @Sendable private static func check(_ resource: ResourceKey, _ spec: JSONValue) -> [Problem] {
        let checked = CheckedSpec(spec)
        var problems: [Problem] = []
        var seen: SortedMap<String, Bool> = [:]
        for (position, disk) in checked.maps("disks").enumerated() {
            let name = disk.text("name")
            if seen[name] != nil {
                problems.append(
                    Problem(
                        resource, at: FieldPath.spec.field("disks").index(position).field("name"),
                        found: "\(name) again", expected: "each disk once"))
            }
            seen[name] = true
        }
        if resource.kind == container, checked.has("health"), checked.map("health").has("agent") {
            problems.append(
                Problem(
                    resource, at: FieldPath.spec.field("health").field("agent"), found: "agent",
                    expected: "tcp, http, https or exec: a container has no guest agent"))
        }
        for (position, text) in checked.texts("dependsOn").enumerated()
        where ResourceKey(reference: text) == resource {
            problems.append(
                Problem(
                    resource, at: FieldPath.spec.field("dependsOn").index(position), found: "itself",
                    expected: "another resource"))
        }
        return problems
    }
}
