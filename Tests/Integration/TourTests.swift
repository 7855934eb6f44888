// The whole product on real input: `holdfast-lab tour` builds the lab in namespaces, pulls the plug of the host that
// holds an address, and checks its own promises. Skipped in words where namespaces cannot be had.
// How long the client saw nothing is measured by `holdfast-lab bench`, not here: this machine may be busy.

import Foundation
import Subprocess
import Testing

private var productsFolder: URL {
    // The test bundle lies beside the programs that were built with it.
    URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
}

var packageRoot: URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
}

private func canMakeNamespaces() async -> Bool {
    let probe = try? await run(
        .path("/usr/bin/unshare"), arguments: ["--net", "--mount", "/usr/sbin/nft", "list", "tables"],
        output: .discarded, error: .discarded)
    return probe?.terminationStatus.isSuccess ?? false
}

@Test(.enabled("namespaces and nftables are needed: run as root with nftables installed") { await canMakeNamespaces() })
func theLabSurvivesTheLossOfTheHostThatHoldsAnAddress() async throws {
    let lab = productsFolder.appending(path: "holdfast-lab").path
    try #require(FileManager.default.isExecutableFile(atPath: lab), "build the products first: swift build")
    let folder = FileManager.default.temporaryDirectory.appending(path: "hf-\(getpid())").path
    let tour = try await run(
        .path("/usr/bin/timeout"),
        arguments: [
            "300", lab, "tour", "--json", "--dir", folder, "--manifests",
            packageRoot.appending(path: "deploy/lab").path,
        ],
        output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
    let lines = tour.standardOutput.split(separator: "\n")
    let words = "\(lines.suffix(3).joined(separator: "\n"))\n\(tour.standardError)"
    let last = try #require(lines.last, "the tour prints its result: \(words)")
    let result = try #require(
        try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any], "the last line is JSON: \(words)")
    #expect(result["ownersAtOnce"] as? Int == 1, "\(words)")
    #expect(result["lostWrites"] as? Int == 0, "\(words)")
    #expect(result["gapMilliseconds"] is NSNumber, "\(words)")
    let guests = try #require(result["guests"] as? [[String: Any]], "\(words)")
    #expect(!guests.isEmpty, "the second host that lost power had virtual machines: \(words)")
    #expect(result["disksWithTwoWriters"] as? [String] == [], "\(words)")
}

@Test(.enabled("namespaces and nftables are needed: run as root with nftables installed") { await canMakeNamespaces() })
func aLabGoesOnFromTheDataThatWasKept() async throws {
    let lab = productsFolder.appending(path: "holdfast-lab").path
    let folder = FileManager.default.temporaryDirectory.appending(path: "hf-kept-\(getpid())").path
    func run(_ arguments: [String]) async throws -> (status: Bool, words: String) {
        let result = try await Subprocess.run(
            .path("/usr/bin/timeout"), arguments: Arguments(["120", lab] + arguments), output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 20))
        return (result.terminationStatus.isSuccess, result.standardOutput + result.standardError)
    }
    let holdfast = productsFolder.appending(path: "holdfast").path
    // What is usual for a command is too short for a machine that has much else to do.
    let steps = [
        ["up"], ["exec", "client", "--", holdfast, "kv", "put", "--timeout", "20s", "kept", "yes"], ["down", "--keep"],
        ["up"], ["exec", "client", "--", holdfast, "kv", "get", "--timeout", "20s", "kept"], ["down"],
    ]
    for step in steps {
        let result = try await run([step[0], "--dir", folder] + step.dropFirst())
        #expect(result.status, "\(step.joined(separator: " ")): \(result.words)")
        if step.last == "kept" { #expect(result.words.hasPrefix("yes"), "\(result.words)") }
    }
    #expect(!FileManager.default.fileExists(atPath: folder), "down leaves nothing behind")
}
