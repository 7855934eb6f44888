// What the writer writes reads back as the same declaration, for every declaration its schema allows.
// Declarations are drawn from the schemas themselves, so a new kind is tested without a new line here.

import Cluster
import Consensus
import Testing

@testable import Kinds
@testable import Manifests

@Suite struct RoundTripTests {
    @Test func declarationsSurviveWriterAndReader() throws {
        var draws = DeclarationDraws(random: Draws(seed: 2024))
        var sound = 0
        for _ in 0..<4_000 {
            let declaration = draws.declaration()
            guard KindRegistry.problems(in: declaration).isEmpty else { continue }
            sound += 1
            let text = ManifestWriter.yaml(declaration)
            let read = try ManifestReader.read(text: text).declarations
            #expect(read == [declaration], "\(text)")
        }
        // Timings seldom fit each other when they are drawn; the other kinds are nearly always sound.
        #expect(sound > 2_500)
    }

    @Test func severalDocumentsSurviveTogether() throws {
        var draws = DeclarationDraws(random: Draws(seed: 7))
        var declarations: [Declaration] = []
        while declarations.count < 200 {
            let declaration = draws.declaration()
            guard KindRegistry.problems(in: declaration).isEmpty,
                !declarations.contains(where: { $0.key == declaration.key })
            else { continue }
            declarations.append(declaration)
        }
        #expect(try ManifestReader.read(text: ManifestWriter.yaml(declarations)).declarations == declarations)
    }

    @Test func anyTextSurvives() throws {
        var draws = DeclarationDraws(random: Draws(seed: 99))
        for _ in 0..<5_000 {
            let text = draws.text(most: 40)
            let written =
                "apiVersion: holdfast/v1\nkind: Host\nmetadata: {name: a}\nspec:\n  address: 192.168.1.6\n  description: "
            let declaration = try ManifestReader.read(text: written + ManifestWriter.scalar(text)).declarations[0]
            #expect(declaration.spec["description"] == .string(text))
        }
    }

    @Test func fieldsComeInTheOrderOfTheSchema() {
        let spec: JSONValue = [
            "preempt": "never", "candidates": [["member": "pve1"], ["member": "pve2"]], "address": "192.168.1.2/24",
            "follow": ["every": "500ms", "tcp": "127.0.0.1:53", "failures": 3],
            "zone": ["a": [], "b": [:], "c": [[1, 2], "x"]],
        ]
        let declaration = Declaration(
            kind: "VirtualIP", name: "dns", labels: ["tier": "yes"], environment: "home", spec: spec)
        #expect(
            ManifestWriter.yaml(declaration) == """
                apiVersion: holdfast/v1
                kind: VirtualIP
                metadata:
                  name: dns
                  labels:
                    tier: "yes"
                  environment: home
                spec:
                  address: 192.168.1.2/24
                  candidates:
                    - member: pve1
                    - member: pve2
                  follow:
                    tcp: "127.0.0.1:53"
                    every: 500ms
                    failures: 3
                  preempt: never
                  zone:
                    a: []
                    b: {}
                    c:
                      - - 1
                        - 2
                      - x

                """)
    }

    @Test func whatIsNoManifestIsWrittenToo() {
        #expect(ManifestWriter.yaml(.object(["b": 1, "a": [true, .null]])) == "a:\n  - true\n  - null\nb: 1\n")
        #expect(ManifestWriter.yaml(JSONValue.array(["x", .double(1.5)])) == "- x\n- 1.5\n")
        #expect(ManifestWriter.yaml(JSONValue.object([:])) == "{}\n")
    }
}

/// The same draws in every run (SplitMix64).
struct Draws: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
    mutating func below(_ bound: Int) -> Int { Int(uniform(below: UInt64(bound))) }
    mutating func pick<Element>(_ values: [Element]) -> Element { values[below(values.count)] }
}

/// Declarations drawn from the schemas of their kinds.
struct DeclarationDraws {
    var random: Draws

    mutating func declaration() -> Declaration {
        let schema = random.pick(KindRegistry.all)
        var declaration = Declaration(kind: schema.kind, name: name(), spec: value(.object(schema.spec)))
        for _ in 0..<random.below(3) { declaration.labels[name()] = text(most: 20) }
        if random.below(2) == 0 { declaration.environment = name() }
        return declaration
    }

    private mutating func name() -> String {
        let awkward = ["no", "on", "true", "null", "1", "80", "012", "0x1f", "1e3", "0", "y", "2024-01-01", "a--b"]
        return random.below(2) == 0 ? random.pick(awkward) : "n\(random.below(1_000))"
    }

    /// Any characters a text may have, awkward ones often.
    mutating func text(most: Int) -> String {
        let awkward = Array(
            " \n\t\r:#-?,[]{}&*!|>'\"%@`\\=<~0.ynab\u{85}\u{A0}\u{2028}\u{FEFF}\u{7F}é🏠\u{1}\u{1B}".unicodeScalars)
        var text = String.UnicodeScalarView()
        for _ in 0..<random.below(most + 1) { text.append(random.pick(awkward)) }
        return String(text)
    }

    private mutating func line() -> String {
        let letters = Array("abc XYZ019-_./:@#'\"&*!%é🏠".unicodeScalars)
        var text = String.UnicodeScalarView()
        for _ in 0...random.below(30) { text.append(random.pick(letters)) }
        return String(text)
    }

    private mutating func value(_ type: FieldType) -> JSONValue {
        switch type {
        case .text(let form): return .string(text(form))
        case .duration(let least, let most):
            let length = least.milliseconds + Int64(random.below(Int((most - least).milliseconds) + 1))
            return .string(DurationText.text(.milliseconds(length)))
        case .integer(let least, let most): return .int(least + Int64(random.below(Int(most - least) + 1)))
        case .truth: return .bool(random.below(2) == 0)
        case .choice(let words): return .string(random.pick(words))
        case .object(let object): return self.object(object)
        case .map(let names, let values, _): return .object([text(names): .string(text(values))])
        case .list(let element, let least, let most):
            return .array((0..<(least + random.below(min(most - least, 4)))).map { _ in value(element) })
        }
    }

    private mutating func object(_ object: ObjectType) -> JSONValue {
        var fields = SortedMap<String, JSONValue>()
        let chosen = object.exactlyOneOf.map { random.pick($0) }
        for field in object.fields {
            let grouped = object.exactlyOneOf.contains { $0.contains(field.name) }
            let wanted = grouped ? chosen.contains(field.name) : field.presence == .required || random.below(2) == 0
            if wanted { fields[field.name] = value(field.type) }
        }
        // A VLAN needs the interface that carries it, and one that is to be made needs its number.
        if fields["interface"] == nil { fields["vlan"] = nil }
        if fields["vlan"] == nil { fields["createVLAN"] = nil }
        // The program of a check needs its path.
        if let arguments = fields["exec"]?.array { fields["exec"] = .array(["/usr/bin/true"] + arguments) }
        // Each disk once.
        if let disks = fields["disks"]?.array {
            fields["disks"] = .array(
                disks.enumerated().map { position, disk in
                    var named = disk.object ?? [:]
                    named["name"] = .string("scsi\(position)")
                    return .object(named)
                })
        }
        // Power is never the only way, and needs its command.
        if let methods = fields["methods"]?.array {
            fields["methods"] = .array(methods + ["watchdog"])
            fields["powerCommand"] = ["/usr/bin/true"]
        }
        return .object(fields)
    }

    private mutating func text(_ form: TextForm) -> String {
        switch form {
        case .line: line()
        case .prose(let most): text(most: min(most, 60)).replacing("\u{0}", with: "")
        case .name, .labelName: name()
        case .ipv4Address: "10.\(random.below(256)).\(random.below(256)).\(random.below(256))"
        case .ipInterface where random.below(2) == 0:
            "\(IPv6Address(high: 0xfd00 << 48, low: UInt64(random.below(1 << 40) + 1)))/64"
        case .ipInterface: "10.\(random.below(256)).\(random.below(256)).\(random.below(254) + 1)/24"
        case .networkInterface: random.pick(["vmbr0", "eno1", "bond0.100", "1", "~", "#x"])
        case .endpoint: "\(random.pick(["127.0.0.1", "db.lan", "1a"])):\(random.below(65_535) + 1)"
        case .byteSize: "\(random.below(900) + 1)\(random.pick(["Mi", "Gi", "Ti"]))"
        case .reference: "VirtualIP/r\(random.below(100))"
        case .webAddress: "\(random.pick(["127.0.0.1:80", "a"]))/\(random.pick(["", "x?y=z&w", "*", "'"]))"
        }
    }
}
