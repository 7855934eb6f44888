// The rules of the house, held against every file of this package. A failure names the file, the line, and the fix.
// RuleTests shows that each rule is able to fail.

import Foundation
import Testing

@Suite struct TreeTests {
    private func expectNone(_ findings: [Finding]) {
        for finding in findings { Issue.record(Comment(rawValue: finding.description)) }
    }

    private var pureFiles: [SourceFile] { Tree.swiftFiles.filter { Layout.module(of: $0)?.isPure == true } }

    @Test func thereIsSomethingToCheck() {
        #expect(pureFiles.count >= 30)
        #expect(Tree.swiftFiles.contains { $0.path == "Package.swift" })
        #expect(Tree.swiftFiles.contains { $0.path == "Tests/LintTests/TreeTests.swift" })
    }

    @Test func everyFolderStandsInTheLayout() {
        let known = Layout.modules.map(\.folder) + Layout.withoutSwift.map { "Simulation/\($0)" } + ["Sources/CKernel"]
        for file in Tree.swiftFiles where file.isInside("Sources") || file.isInside("Simulation") {
            guard !known.contains(where: { file.isInside($0) }) else { continue }
            Issue.record(
                "\(file.path):1: its folder is not in Tests/LintTests/Layout.swift; say there whether it is pure")
        }
    }

    @Test func thePureHalfCallsNothingImpure() { expectNone(pureFiles.flatMap(PureRules.calls)) }
    @Test func thePureHalfKeepsEverythingInOrder() { expectNone(pureFiles.flatMap(UnorderedRules.check)) }
    @Test func importsPointOnlyUpward() { expectNone(Tree.swiftFiles.flatMap(ImportRules.check)) }
    @Test func everyFileOpensWithAHeader() { expectNone(Tree.swiftFiles.flatMap(FormRules.header)) }
    @Test func filesAndFunctionsStaySmall() { expectNone(Tree.swiftFiles.flatMap(FormRules.size)) }
    @Test func nothingCrashesWithoutWords() { expectNone(Tree.swiftFiles.flatMap(FormRules.crashes)) }

    @Test func placeholdersGoWhenRealFilesCome() {
        expectNone(Tree.swiftFiles.flatMap { FormRules.placeholder($0, among: Tree.swiftFiles) })
    }

    @Test func testsDoNotSleep() {
        expectNone(Tree.swiftFiles.filter { $0.isInside("Tests") }.flatMap(FormRules.sleeping))
    }

    @Test func nothingIsLeftForLater() {
        expectNone(Tree.files.filter { !$0.isInside("Tests/LintTests") }.flatMap(FormRules.looseEnds))
    }

    @Test func nothingKnowsTheMachineItWasWrittenOn() {
        expectNone(Tree.files.filter { !$0.isInside("Tests") }.flatMap(FormRules.machinePaths))
    }
}
