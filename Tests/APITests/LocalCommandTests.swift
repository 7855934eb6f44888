// What the program does without a cluster: its files, its help, its exit codes.

@testable import API
import Foundation
import Testing

@testable import holdfast

extension Terminal {
    fileprivate func with(environment: [String: String]) -> Terminal {
        var other = self
        other.environment = { environment[$0] }
        return other
    }
}

@Suite struct LocalCommandTests {
    private func context(_ name: String) -> ClusterContext {
        ClusterContext(
            name: name, endpoints: ["127.0.0.1:7001", "127.0.0.2:7001"],
            authority: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", certificate: "c\nd\n",
            key: "k: #x\n")
    }

    @Test func theContextFileReadsBackAsItWasWritten() async throws {
        let file = ContextFile(current: "home", contexts: [context("home"), context("lab")])
        let person = try Person.make(file)
        defer { person.forget() }
        #expect(try ContextFile.load(path: person.configuration, note: { _ in }) == file)
        let text = try String(contentsOfFile: person.configuration, encoding: .utf8)
        #expect(text.contains("authority: |"))
        let attributes = try FileManager.default.attributesOfItem(atPath: person.configuration)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    }

    @Test func aContextIsChosenAndListed() async throws {
        let person = try Person.make(ContextFile(current: "home", contexts: [context("home"), context("lab")]))
        defer { person.forget() }
        #expect(
            await person.run("context").output == """
                    NAME   ENDPOINTS
                *   home   127.0.0.1:7001,127.0.0.2:7001
                    lab    127.0.0.1:7001,127.0.0.2:7001

                """)
        #expect(await person.run("context", "use", "lab").status == 0)
        #expect(await person.run("context", "list", "-o", "json").output.contains("\"current\" : true"))
        #expect(await person.run("context", "use", "work").status == 3)
        #expect(await person.run("context", "list", "-o", "json").output.contains("BEGIN") == false)
    }

    @Test func withoutAContextTheWayToOneIsNamed() async throws {
        let person = try Person.make(nil)
        defer { person.forget() }
        let result = await person.run("status")
        #expect(result.status == 2)
        #expect(result.notes.contains("has no context"))
        #expect(result.notes.contains("try: holdfast cluster init"))
    }

    @Test func aFileOthersMayReadIsWarnedAbout() async throws {
        let person = try Person.make(ContextFile(current: "home", contexts: [context("home")]))
        defer { person.forget() }
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: person.configuration)
        #expect(await person.run("context").notes.contains("chmod 600"))
    }

    @Test func aFileThatIsNoContextFileIsRefusedInWords() async throws {
        let person = try Person.make(nil)
        defer { person.forget() }
        _ = try person.write("contexts: [{name: home}]\n", to: "config.yaml")
        let result = await person.run("context")
        #expect(result.status == 2)
        #expect(result.notes.contains("endpoints is missing"))
    }

    @Test func certificatesThatCannotBeUsedAreNamedByTheirContext() async throws {
        let person = try Person.make(ContextFile(current: "home", contexts: [context("home")]))
        defer { person.forget() }
        let result = await person.run("status")
        #expect(result.status == 2)
        #expect(result.notes.contains("the certificates of context home cannot be used"))
    }

    @Test func aCommandLineThatMakesNoSenseIsAnError() async throws {
        let person = try Person.make(nil)
        defer { person.forget() }
        #expect(await person.run("stauts").status == 2)
        #expect(await person.run("status", "--timeout", "soon").status == 2)
        #expect(await person.run("apply").status == 2)
        #expect(await person.run("delete").status == 2)
        let help = await person.run("--help")
        #expect(help.status == 0)
        #expect(help.output.contains("Exit codes"))
        #expect(help.notes == "")
    }

    @Test func theEnvironmentLengthensTheUsualTime() throws {
        func limit(_ environment: [String: String], usually: Duration) throws -> Duration {
            try Terminal.$current.withValue(Terminal.current.with(environment: environment)) {
                try ConnectionOptions.limit(usually: usually)
            }
        }
        #expect(try limit([:], usually: .seconds(2)) == .seconds(2))
        #expect(try limit(["HOLDFAST_TIMEOUT": "5s"], usually: .seconds(2)) == .seconds(5))
        #expect(try limit(["HOLDFAST_TIMEOUT": "5s"], usually: .seconds(60)) == .seconds(60))
        #expect(throws: CommandFailure.self) { try limit(["HOLDFAST_TIMEOUT": "soon"], usually: .seconds(2)) }
    }

    @Test func versionCompletionAndExplanationsNeedNoCluster() async throws {
        let person = try Person.make(nil)
        defer { person.forget() }
        #expect(await person.run("version").output == "holdfast \(Version.current)\n")
        #expect(await person.run("--version").output == "\(Version.current)\n")
        for shell in ["bash", "zsh", "fish"] {
            #expect(await person.run("completion", shell).output.contains("transfer-leader"), "\(shell)")
        }
        #expect(await person.run("completion", "tcsh").status == 2)
        #expect(await person.run("explain", "vip").output.contains("spec.candidates"))
        let one = await person.run("explain", "vip.spec.candidates").output
        #expect(one.contains("spec.candidates[].member") && !one.contains("spec.address "))
        #expect(await person.run("explain", "vip.address").output.contains("spec.address"))
        let none = await person.run("explain", "vip.adress")
        #expect(none.status == 3 && none.notes.contains("spec.address"))
        #expect(await person.run("explain").output.contains("VirtualIP"))
        #expect(await person.run("explain", "VirtualIPP").notes.contains("try: holdfast explain VirtualIP"))
    }

    @Test(arguments: [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("168h", 604_800_000)])
    func timeLimitsAreReadWithTheirUnit(_ text: String, _ milliseconds: Int64) {
        #expect(TimeLimit(argument: text)?.duration == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "5", "s", "-1s", "0s", "1.5s", "169h", "9999999999999999999s", "5 s"])
    func whatIsNoTimeLimitIsRefused(_ text: String) { #expect(TimeLimit(argument: text) == nil) }

    @Test(arguments: ["", "plain", "a/b c", "ü%", "100%"]) func percentEncodingComesBack(_ text: String) {
        #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text)
    }

    @Test func brokenPercentEncodingIsNoText() {
        for text in ["%", "%4", "%zz", "%FF"] { #expect(PercentEncoding.decode(text) == nil) }
    }
}
