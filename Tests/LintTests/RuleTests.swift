// Each rule against small samples: that it fails where it should, at the right line, and keeps quiet where it should.
// The samples are strings, which the rules do not look into when they check this file.

import Testing

@Suite struct RuleTests {
    private func pure(_ text: String) -> SourceFile { SourceFile(path: "Sources/Consensus/Sample.swift", text: text) }
    private func test(_ text: String) -> SourceFile { SourceFile(path: "Tests/SampleTests/Sample.swift", text: text) }

    // MARK: Calls

    @Test(arguments: [
        "let t = Date()", "let t = Date ( )", "Task { }", "Task.detached { }", "DispatchQueue.main.async { }",
        "var g = SystemRandomNumberGenerator()", "Int.random(in: 0..<4)", "list.shuffled()", "UUID()",
        "let c = ContinuousClock()", "let s = \"at \\(Date())\"", "Task\n{ }", "await answer()", "x.hashValue",
    ])
    func anImpureCallIsFound(_ sample: String) {
        #expect(!PureRules.calls(pure(sample)).isEmpty)
    }

    @Test(arguments: [
        "// Date() is banned", "/* a /* nested */ Task { } */", "let s = \"Date()\"", "let s = #\"say \"Task {\" \"#",
        "let s = \"\"\"\n    UUID() \"quoted\"\n    \"\"\"", "random.uniform(below: 4)", "struct Task { }",
        "let t = Proxmox.Task.running", "birthDate()", "f(random: &random)",
    ])
    func anInnocentLineIsNot(_ sample: String) {
        #expect(PureRules.calls(pure(sample)).isEmpty)
    }

    @Test func aFindingNamesFileLineAndFix() {
        let findings = PureRules.calls(pure("// one\n// two\n\nlet t = UUID()\n"))
        #expect(
            findings.map(\.description) == [
                "Sources/Consensus/Sample.swift:4: `UUID()` draws randomness; take an identifier that the caller drew"
            ])
    }

    // MARK: Unordered collections

    @Test(arguments: [
        "struct S { var seen: Set<Int> }", "struct S { let names: [String: Int] = [:] }",
        "enum E { case a([Int: Int]) }",
        "struct S { var grants: [Cluster.Key: [Grant]] = [:] }", "final class C { let x = Set<Int>() }",
        "extension S { static let all: Dictionary<Int, Int> = [:] }", "let global: [Pair<Int, Int>: Bool] = [:]",
        "struct S {\n    var seen:\n        Set<Int>\n}",
        "struct S { func f() { var a: [Int: Int] = [:]\n for x in a { g(x) } } }",
        "struct S { func f(a: Set<Int>) { a.map { $0 } } }", "struct S { func f() { for x in Set(list) { g(x) } } }",
        "struct S { func f() { let a = Set(list)\n return a.first } }",
        "struct S { func f(a: [Int: Int]) { for x in a.keys { g(x) } } }",
    ])
    func anUnorderedCollectionIsFound(_ sample: String) {
        #expect(!UnorderedRules.check(pure(sample)).isEmpty)
    }

    @Test(arguments: [
        "struct S { var x: SortedMap<Int, Int> = [:] }", "struct S { func f() { let seen = Set(list).count } }",
        "struct S { func f() { var seen: Set<Int> = []\n if seen.insert(1).inserted { } } }",
        "struct S { func f(a: Set<Int>) { for x in a.sorted() { g(x) } } }",
        "struct S { func f(a: [Int: Int]) { for x in a.keys.sorted() { g(x) } } }",
        "struct S { let value: JSONValue = [\"a\": 1] }", "struct S { let x = list[Int(a) ...] }",
        "struct S { var kind: Placement.Set }",
    ])
    func anOrderedOneIsNot(_ sample: String) {
        #expect(UnorderedRules.check(pure(sample)) == [])
    }

    // MARK: Imports

    @Test(arguments: [
        ("Sources/Consensus/A.swift", "Cluster"), ("Sources/Cluster/A.swift", "Kinds"),
        ("Sources/Kinds/A.swift", "Agent"),
        ("Sources/Decisions/A.swift", "Agent"), ("Sources/Agent/A.swift", "Runtime"),
        ("Sources/Manifests/A.swift", "Agent"), ("Sources/Drivers/A.swift", "Decisions"),
        ("Sources/Runtime/A.swift", "API"), ("Sources/API/A.swift", "holdfast"), ("Sources/Agent/A.swift", "CKernel"),
        ("Sources/Consensus/A.swift", "Foundation"), ("Sources/Cluster/Other.swift", "FoundationEssentials"),
        ("Sources/Kinds/A.swift", "Glibc"), ("Sources/Runtime/A.swift", "FoundationNetworking"),
        ("Sources/Agent/A.swift", "SimulationWorld"), ("Simulation/Checks/A.swift", "Foundation"),
        ("Simulation/holdfast-lab/A.swift", "Agent"),
    ])
    func aDownwardOrForeignImportIsFound(path: String, module: String) {
        let sample = SourceFile(path: path, text: "// A.\n// B.\n\nimport \(module)\n")
        #expect(ImportRules.check(sample).map(\.line) == [4])
    }

    @Test(arguments: [
        ("Sources/Cluster/A.swift", "Consensus"), ("Sources/Cluster/JSONValue.swift", "FoundationEssentials"),
        ("Sources/Manifests/A.swift", "Kinds"), ("Sources/Runtime/A.swift", "Agent"),
        ("Sources/API/A.swift", "Runtime"),
        ("Sources/Drivers/A.swift", "NIOCore"), ("Simulation/Checks/A.swift", "Cluster"),
        ("Sources/holdfast/A.swift", "SimulationWorld"), ("Tests/AgentTests/A.swift", "Foundation"),
    ])
    func anUpwardImportIsNot(path: String, module: String) {
        #expect(ImportRules.check(SourceFile(path: path, text: "import \(module)\n")) == [])
    }

    @Test func everyFormOfImportIsRead() {
        let sample = pure("@testable import A\npublic import B\nimport struct C.D\nimport func E.f\nlet x = y.import\n")
        #expect(ImportRules.imports(sample).map(\.name) == ["A", "B", "C", "E"])
    }

    // MARK: Form

    @Test(arguments: ["import A\n", "\n// Late.\n// Header.\nlet a = 1\n"])
    func aMissingHeaderIsFound(_ sample: String) {
        #expect(FormRules.header(pure(sample)).count == 1)
    }

    @Test func thePackageFileNeedsAHeaderBelowItsVersion() {
        let bad = SourceFile(path: "Package.swift", text: "// swift-tools-version: 6.2\nimport P\n")
        let good = SourceFile(path: "Package.swift", text: "// swift-tools-version: 6.2\n// One.\n// Two.\nimport P\n")
        #expect(FormRules.header(bad).count == 1)
        #expect(FormRules.header(good) == [])
    }

    @Test func generatedCodeNeedsNoHeader() {
        #expect(FormRules.header(SourceFile(path: "Sources/Runtime/Wire/peer.pb.swift", text: "import A\n")) == [])
    }

    @Test func aPlaceholderBesideCodeIsFound() {
        let placeholder = SourceFile(path: "Sources/Kinds/x.swift", text: "// x\n")
        let code = SourceFile(path: "Sources/Kinds/Addresses/A.swift", text: "let a = 1\n")
        #expect(FormRules.placeholder(placeholder, among: [placeholder, code]).count == 1)
        #expect(FormRules.placeholder(placeholder, among: [placeholder]) == [])
    }

    @Test func aLongFileIsFound() {
        let line = "// a line\n"
        #expect(FormRules.size(pure(String(repeating: line, count: 499))) == [])
        #expect(FormRules.size(pure(String(repeating: line, count: 501))).count == 1)
    }

    @Test func aLongFunctionIsFound() {
        func sample(_ lines: Int) -> SourceFile {
            pure(
                "struct S {\n    func f(a: () -> Int = { 1 }) {\n" + String(repeating: "g()\n", count: lines - 2)
                    + "    }\n}\n")
        }
        #expect(FormRules.size(sample(80)) == [])
        let findings = FormRules.size(sample(81))
        #expect(findings.map(\.line) == [2])
        #expect(findings.first?.message.contains("`f` has 81 lines") == true)
    }

    @Test func functionsAreMeasuredEachOnItsOwn() {
        let text = """
            protocol P {
                func a() -> Int
                init(b: Int)
            }
            struct S {
                init(b: Int) {
                    self.init()
                }
                func c() where Self: P {}
                subscript(d: Int) -> Int { d }
            }
            """
        #expect(FormRules.functions(SwiftTokens.read(text)).map(\.name) == ["init", "c", "subscript"])
        #expect(FormRules.functions(SwiftTokens.read(text)).map(\.lines) == [3, 1, 1])
    }

    @Test(arguments: ["let a = try! f()", "let a = b as! C", "fatalError(\"no\")", "try ! f()"])
    func aCrashWithoutWordsIsFound(_ sample: String) {
        #expect(FormRules.crashes(pure(sample)).count == 1)
    }

    @Test(arguments: [
        "let a = try? f()", "let a = b as? C", "precondition(a != b)", "// try! is banned", "a as Any != b",
    ])
    func ordinaryErrorsAreNot(_ sample: String) {
        #expect(FormRules.crashes(pure(sample)) == [])
    }

    @Test(arguments: [
        "sleep(1)", "usleep(10)", "try await Task.sleep(for: .seconds(1))", "Thread.sleep(forTimeInterval: 1)",
        "try await clock.sleep(for: .seconds(1))",
    ])
    func aSleepingTestIsFound(_ sample: String) {
        #expect(!FormRules.sleeping(test(sample)).isEmpty)
    }

    @Test func aTestThatMentionsSleepIsNot() {
        #expect(FormRules.sleeping(test("run(\"sleep 5\") // sleep(1)\nlet sleeper = a.sleeping\n")) == [])
    }

    @Test(arguments: ["// TODO: later", "let s = \"FIXME\"", "/* XXX */", "// TODO(me) now"])
    func aLooseEndIsFound(_ sample: String) {
        #expect(FormRules.looseEnds(pure(sample)).map(\.line) == [1])
    }

    @Test(arguments: ["let t = \"holdfast-XXXXXX\"", "let aTODOList = 1", "// to do"])
    func aWordThatContainsOneIsNot(_ sample: String) {
        #expect(FormRules.looseEnds(pure(sample)) == [])
    }

    @Test(arguments: ["let p = \"/root/key\"", "// see ../shared/design", "PATH=/opt/swift/usr/bin", "cd /work/main"])
    func aMachinePathIsFound(_ sample: String) {
        #expect(FormRules.machinePaths(pure(sample)).count == 1)
    }

    @Test(arguments: ["let p = \"/var/lib/holdfast\"", "a home/work/balance", "cgroup/root/x"])
    func anotherPathIsNot(_ sample: String) {
        #expect(FormRules.machinePaths(pure(sample)) == [])
    }
}
