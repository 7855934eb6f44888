// Checks, defaults, typed specs and `explain` of every kind.
// The errors are compared word for word, because people act on their words.

import Cluster
import Consensus
import Testing

@testable import Kinds

/// A declaration of a kind with this spec.
func declaration(_ kind: String, _ name: String = "a", _ spec: JSONValue) -> Declaration {
    Declaration(kind: kind, name: name, spec: spec)
}

let soundVirtualIP: JSONValue = ["address": "192.168.1.99/24", "candidates": [["member": "pve1"]]]

/// A sound VirtualIP with one field replaced.
func virtualIP(_ field: String, _ value: JSONValue?) -> Declaration {
    guard var fields = soundVirtualIP.object else { return declaration("VirtualIP", "a", .null) }
    fields[field] = value
    return declaration("VirtualIP", "a", .object(fields))
}

@Suite struct KindSchemaTests {
    static let wrong: [(Declaration, [String])] = [
        (
            declaration("VirtualIp", soundVirtualIP),
            [
                #"kind: found the text "VirtualIp", expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario; did you mean VirtualIP?"#
            ]
        ),
        (
            declaration("Pod", ["x": 1]),
            [
                #"kind: found the text "Pod", expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario"#
            ]
        ),
        (
            declaration("Host", "PVE1", ["address": "192.168.1.106"]),
            [
                #"metadata.name: found the text "PVE1", expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit; did you mean pve1?"#
            ]
        ),
        (
            declaration("Host", [:]),
            ["spec.address: found nothing, expected an IPv4 address, such as 192.168.1.106"]
        ),
        (
            declaration("Host", ["adress": "192.168.1.106"]),
            ["spec.adress: found an unknown field, expected address or description; did you mean address?"]
        ),
        (
            declaration("Witness", ["address": "127.0.0.1"]),
            ["spec.address: found a loopback address, 127.0.0.1, expected an IPv4 address, such as 192.168.1.106"]
        ),
        (
            virtualIP("address", "192.168.1.255/24"),
            [
                "spec.address: found a broadcast address, 192.168.1.255/24, expected an IP address with its prefix length, such as 192.168.1.99/24 or fd00::99/64"
            ]
        ),
        (
            virtualIP("preempt", "allways"),
            [#"spec.preempt: found the text "allways", expected never or always; did you mean always?"#]
        ),
        (
            virtualIP("candidates", []),
            [
                "spec.candidates: found an empty list, expected a list of 1 to 64 entries, each a map with the field member"
            ]
        ),
        (
            virtualIP("candidates", ["pve1"]),
            [
                #"spec.candidates[0]: found the text "pve1", expected a map with the field member; did you mean {member: pve1}?"#
            ]
        ),
        (
            virtualIP("candidates", [["member": "a"], ["member": "b"], ["member": "a"]]),
            ["spec.candidates[2].member: found a again, expected each member once; candidates[0] names it already"]
        ),
        (
            virtualIP("follow", [:]),
            ["spec.follow: found none of them, expected one of tcp, http, https, exec"]
        ),
        (
            virtualIP("follow", ["tcp": "a:1", "exec": ["/bin/true"]]),
            ["spec.follow: found tcp and exec, expected only one of tcp, http, https, exec"]
        ),
        (
            virtualIP("follow", ["exec": ["true"]]),
            [
                #"spec.follow.exec[0]: found the text "true", expected the program with its whole path, such as /usr/bin/true; no shell looks it up"#
            ]
        ),
        (
            virtualIP("follow", ["tcp": "a:1", "every": 500]),
            [
                "spec.follow.every: found the number 500, expected a duration from 100ms to 1h, such as 250ms or 1m30s; did you mean 500ms?"
            ]
        ),
        (
            virtualIP("follow", ["tcp": "a:1", "failures": 0]),
            ["spec.follow.failures: found the number 0, expected a whole number from 1 to 100"]
        ),
        (
            declaration("Cluster", ["electionTimeout": ["least": "100ms"]]),
            [
                #"spec.electionTimeout.least: found the text "100ms", expected timings that fit: electionTimeout.least must not be shorter than promise"#
            ]
        ),
        (
            declaration("Cluster", ["heartbeat": "1ms"]),
            [#"spec.heartbeat: found the text "1ms", expected timings that fit: heartbeat must be at least 5 ms"#]
        ),
        (
            declaration("Cluster", .array([])),
            [
                "spec: found an empty list, expected a map with the fields heartbeat, quorumLease, promise, memberLease, electionTimeout, driftPpm, admission"
            ]
        ),
    ]

    @Test(arguments: wrong)
    func whatIsWrongIsSaidPrecisely(declaration: Declaration, said: [String]) {
        #expect(KindRegistry.problems(in: declaration).map(\.text) == said)
        #expect(throws: InvalidDeclaration.self) { try KindRegistry.filled(declaration) }
    }

    @Test func metadataIsCheckedToo() {
        var host = declaration("Host", ["address": "192.168.1.106"])
        host.environment = "Home"
        host.labels = ["-": "a", "ok": .init(repeating: "x", count: 201)]
        #expect(
            KindRegistry.problems(in: host).map(\.path.description)
                == [#"metadata.labels.-"#, "metadata.labels.ok", "metadata.environment"])
        host.labels = SortedMap((0..<65).map { ("l\($0)", "") })
        host.environment = nil
        #expect(
            KindRegistry.problems(in: host).map(\.text) == ["metadata.labels: found 65 entries, expected at most 64"])
    }

    @Test func problemsAreBounded() {
        let many = SortedMap((0..<500).map { ("x\($0)", JSONValue.null) })
        #expect(KindRegistry.problems(in: declaration("Host", .object(many))).count == FieldCheck.mostProblems)
    }

    @Test func defaultsAreFilledIn() throws {
        let filled = try KindRegistry.filled(virtualIP("follow", ["tcp": "db:5432"]))
        #expect(filled.spec["preempt"] == "never")
        #expect(
            filled.spec["follow"]
                == ["tcp": "db:5432", "every": "1s", "timeout": "1s", "failures": 3, "successes": 2])
        #expect(filled.spec["interface"] == nil)
        #expect(try KindRegistry.filled(filled) == filled)
    }

    @Test func anEmptyClusterHasTheDefaultTimings() throws {
        #expect(try ClusterSpec(declaration("Cluster", [:])).timing == Timing())
    }

    @Test func aClusterCarriesItsTimings() throws {
        let spec: JSONValue = [
            "heartbeat": "100ms", "quorumLease": "1s", "promise": "1100ms", "memberLease": "900ms",
            "electionTimeout": ["least": "1200ms", "most": "2s"], "driftPpm": 200,
        ]
        let timing = try ClusterSpec(declaration("Cluster", spec)).timing
        #expect(timing.heartbeat == .milliseconds(100))
        #expect(timing.quorumLease == .seconds(1))
        #expect(timing.promise == .milliseconds(1_100))
        #expect(timing.memberLease == .milliseconds(900))
        #expect(timing.electionTimeoutLeast == .milliseconds(1_200))
        #expect(timing.electionTimeoutMost == .seconds(2))
        #expect(timing.driftPartsPerMillion == 200)
    }

    @Test func anInequalityThatDoesNotHoldIsReportedInItsOwnWords() throws {
        var timing = Timing()
        timing.promise = .milliseconds(200)
        let fault = try #require(timing.fault)
        #expect(
            KindRegistry.problems(in: declaration("Cluster", ["promise": "200ms"])).map(\.text)
                == [#"spec.promise: found the text "200ms", expected timings that fit: \#(fault)"#])
    }

    @Test func noClusterIsAcceptedWhoseTimingsDoNotFit() {
        var random = Draws(seed: 5)
        for _ in 0..<3_000 {
            func draw() -> JSONValue { .string("\(random.uniform(below: 900) + 1)ms") }
            let spec: JSONValue = [
                "heartbeat": draw(), "quorumLease": draw(), "promise": draw(), "memberLease": draw(),
                "electionTimeout": ["least": draw(), "most": draw()],
            ]
            guard let accepted = try? ClusterSpec(declaration("Cluster", spec)) else { continue }
            #expect(accepted.timing.fault == nil)
        }
    }

    @Test func aVirtualIPIsRead() throws {
        let spec = try VirtualIPSpec(
            declaration(
                "VirtualIP",
                [
                    "address": "192.168.1.99/24", "interface": "vmbr0", "preempt": "always",
                    "candidates": [["member": "k8s-cp1"], ["member": "k8s-cp2"]],
                    "follow": ["https": "127.0.0.1:6443/readyz", "every": "500ms", "failures": 4],
                ]))
        #expect(spec.addresses == [VirtualAddress(address: "192.168.1.99", prefixLength: 24, interface: "vmbr0")])
        #expect(spec.candidates.map(\.member) == ["k8s-cp1", "k8s-cp2"])
        #expect(spec.preempt == .always)
        #expect(
            spec.follow
                == HealthCheck(
                    probe: .http(url: "https://127.0.0.1:6443/readyz"), every: .milliseconds(500), timeout: .seconds(1),
                    failures: 4, successes: 2))
    }

    static let probes: [(JSONValue, HealthCheck.Probe)] = [
        (["tcp": "db:5432"], HealthCheck.Probe.tcp(host: "db", port: 5432)),
        (["http": "localhost/healthz"], .http(url: "http://localhost/healthz")),
        (["exec": ["/usr/bin/test", "-e", "/run/ok"]], .exec(command: ["/usr/bin/test", "-e", "/run/ok"])),
    ]

    @Test(arguments: probes)
    func probesAreRead(follow: JSONValue, probe: HealthCheck.Probe) throws {
        #expect(try VirtualIPSpec(virtualIP("follow", follow)).follow?.probe == probe)
    }

    @Test func theHealthCheckOfAWorkloadSaysWhatFollows() throws {
        func spec(_ kind: String, _ health: JSONValue) throws -> WorkloadSpec {
            try WorkloadSpec(Declaration(kind: kind, name: "web", spec: ["proxmox": ["vmid": 120], "health": health]))
        }
        let usual = try spec("VirtualMachine", ["agent": "ping"])
        #expect(usual.health?.probe == .agent)
        #expect(usual.tending == WorkloadSpec.Tending(acts: true, grace: .seconds(120)))
        let told = try spec("SystemContainer", ["tcp": "web:80", "action": "report", "grace": "5s"])
        #expect(told.tending == WorkloadSpec.Tending(acts: false, grace: .seconds(5)))
        #expect(throws: InvalidDeclaration.self) { try spec("SystemContainer", ["agent": "ping"]) }
        #expect(throws: InvalidDeclaration.self) { try spec("VirtualMachine", ["agent": "ping", "tcp": "web:80"]) }
        #expect(throws: InvalidDeclaration.self) { try VirtualIPSpec(virtualIP("follow", ["agent": "ping"])) }
    }

    @Test func hostsAndWitnessesAreRead() throws {
        let host = try HostSpec(declaration("Host", ["address": "192.168.1.106", "description": "left"]))
        #expect(host.address == "192.168.1.106")
        #expect(host.description == "left")
        #expect(try WitnessSpec(declaration("Witness", ["address": "192.168.1.108"])).description == nil)
    }

    @Test func aSpecOfAnotherKindIsRefused() {
        #expect(throws: InvalidDeclaration.self) { try VirtualIPSpec(declaration("Host", soundVirtualIP)) }
        #expect(throws: InvalidDeclaration.self) { try ClusterSpec(declaration("VirtualIP", [:])) }
    }

    @Test func aFieldThatANewerVersionHasStoredDoesNotHinderReading() throws {
        let newer = virtualIP("bgp", ["asn": 64512])
        #expect(!KindRegistry.problems(in: newer).isEmpty)
        #expect(try VirtualIPSpec(newer).addressText == "192.168.1.99")
    }

    @Test func everyDefaultIsSoundByItself() throws {
        for schema in KindRegistry.all {
            let filled = schema.spec.filled(.object([:]))
            var check = FieldCheck(ResourceKey(kind: schema.kind, name: "a"), unknownFields: .refused)
            check.check(filled, as: .object(schema.spec), at: .spec)
            #expect(check.problems.allSatisfy { $0.subject == .absence || $0.found == "none of them" })
        }
    }

    @Test func aDocumentAndADeclarationSayTheSame() throws {
        var virtualIP = virtualIP("interface", "vmbr0")
        virtualIP.labels = ["tier": "edge"]
        virtualIP.environment = "production"
        #expect(try Declaration(document: virtualIP.document) == virtualIP)
    }

    @Test(
        arguments: [
            ("virtualip", "VirtualIP"), ("vip", "VirtualIP"), ("VIPs", "VirtualIP"), ("hosts", "Host"),
            ("Witnesses", "Witness"),
            ("cluster", "Cluster"), ("pod", nil), ("", nil),
        ] as [(String, String?)])
    func kindsAreFoundByWhatPeopleType(typed: String, kind: String?) {
        #expect(KindRegistry.schema(called: typed)?.kind == kind)
    }

    @Test func explainNamesEveryField() throws {
        for schema in KindRegistry.all {
            let text = try #require(KindRegistry.explain(schema.kind))
            for field in schema.spec.fields {
                #expect(text.contains("spec.\(field.name)    "))
                #expect(!field.documentation.isEmpty)
            }
            #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 })
        }
        #expect(KindRegistry.explain("Pod") == nil)
        let text = try #require(KindRegistry.explain("vip"))
        #expect(text.contains("    spec.candidates[].member    name, required\n"))
        #expect(text.contains("    spec.follow.every    duration, 100ms to 1h, default 1s\n"))
    }
}

func declaration(_ kind: String, _ spec: JSONValue) -> Declaration { declaration(kind, "a", spec) }
