// Garbage on every port of real agents for some seconds. The long form is the same script by hand:
// Simulation/Bench/garbage.sh --seconds 600

import Foundation
import Subprocess
import Testing

@Suite(
    .enabled("network namespaces are needed: run as root") { await Shell.canMakeNamespaces() },
    .enabled(
        if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "python3 is needed: apt install python3"))
struct GarbageTests {
    private static var script: String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Simulation/Bench/garbage.sh").path
    }

    @Test func agentsThatAreSentGarbageStayUpAndSmallAndServe() async throws {
        let end = try await run(
            .path("/usr/bin/timeout"),
            arguments: ["-k", "5", "200", Self.script, "--seconds", "10", "--requests", "2000"],
            environment: .inherit.updating([
                "HOLDFAST": Shell.program.path, "HOLDFAST_BENCH_FOLDER": FileManager.default.temporaryDirectory.path,
            ]),
            output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
        let output = end.standardOutput + end.standardError
        #expect(end.terminationStatus == .exited(0), "\(output)")
        #expect(output.contains("written meanwhile"), "\(output)")
    }
}
