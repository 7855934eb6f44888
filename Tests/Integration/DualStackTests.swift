// Addresses of both families, held together, on the whole product: the plug of their holder is pulled, its agent is killed
// while its kernel lives on, and a stranger takes one of them for itself. Skipped in words where namespaces cannot be had.

import Foundation
import Subprocess
import Testing

private let manifest = """
    apiVersion: holdfast/v1
    kind: VirtualIP
    metadata: {name: edge}
    spec:
      addresses: [{address: 192.168.1.90/24}, {address: "fd00:192:168:1::90/64"}]
      candidates: [{member: pve1}, {member: pve2}]
      preempt: never

    """

/// Two probes, one of each family, and a fault as soon as both have seen an answer. Prints both results, one to a line.
private let underObservation = """
    probe() { "$LAB" probe "$1" --for 25s --json --dir "$DIR"; }
    probe 192.168.1.90 > "$DIR.v4" &
    probe fd00:192:168:1::90 > "$DIR.v6" &
    for seen in "$DIR.v4" "$DIR.v6"; do
        grep -q -m 1 '"answering"' < <(timeout 20 tail -n +1 -F "$seen" 2>/dev/null)
    done
    "$LAB" "$FAULT" "$NODE" --dir "$DIR" >&2
    wait
    tail -n 1 "$DIR.v4"
    tail -n 1 "$DIR.v6"
    """

/// Waits until the cluster hears of the node again. That it was lost is known: another one has its address. Its events would
/// not tell this loss from an earlier one, of which a busy machine may have had some.
private let untilHeardOf = """
    until "$LAB" exec client --dir "$DIR" -- "$HOLDFAST" cluster members | grep -q "^$NODE .* yes "; do sleep 0.1; done
    """

/// The alarm has to come from the probe of whoever takes the address over, because the stranger says nothing by itself.
private let withAStranger = """
    "$LAB" exec client --dir "$DIR" -- ip addr add 192.168.1.90/24 dev eth0
    "$LAB" exec client --dir "$DIR" -- ip addr add fd00:192:168:1::90/64 dev eth0 nodad
    "$LAB" exec client --dir "$DIR" -- "$HOLDFAST" vip move edge "$NODE" >&2
    grep -m 1 'is also used by' < <(timeout 30 "$LAB" exec client --dir "$DIR" -- "$HOLDFAST" events -w)
    "$LAB" exec client --dir "$DIR" -- "$HOLDFAST" status | grep 'is also used by'
    "$LAB" exec client --dir "$DIR" -- "$HOLDFAST" vip list -o json
    """

@Suite(
    .serialized,
    .enabled("namespaces, nftables and IPv6 are needed: run as root with nftables installed") {
        let probe = try? await run(
            .path("/usr/bin/unshare"), arguments: ["--net", "--mount", "/usr/sbin/nft", "list", "tables"],
            output: .discarded, error: .discarded)
        return probe?.terminationStatus.isSuccess == true
            && FileManager.default.fileExists(atPath: "/proc/net/if_inet6")
    })
struct DualStackTests {
    private struct Seen {
        let owners: [String]
        let ownersAtOnce: Int
        let answersInTheEnd: Bool
    }

    private let products = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent()
    private let folder = FileManager.default.temporaryDirectory.appending(path: "hf-dual-\(getpid())").path

    /// Runs a script with the lab at hand, for at most `seconds`; what it printed, and whether it went well.
    private func shell(
        _ script: String, _ variables: [String: String] = [:], seconds: Int = 120
    ) async throws -> (lines: [String], words: String, succeeded: Bool) {
        let lab = products.appending(path: "holdfast-lab").path
        let holdfast = products.appending(path: "holdfast").path
        var settings = ["LAB=\(lab)", "HOLDFAST=\(holdfast)", "DIR=\(folder)", "HOLDFAST_TIMEOUT=20s"]
        settings += variables.map { "\($0.key)=\($0.value)" }.sorted()
        let result = try await run(
            .path("/usr/bin/env"),
            arguments: .init(settings + ["timeout", "\(seconds)", "/bin/bash", "-uc", script]),
            output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
        let output = result.standardOutput
        return (
            output.split(separator: "\n").map(String.init), "\(output)\n\(result.standardError)",
            result.terminationStatus.isSuccess
        )
    }

    private func seen(_ line: String) throws -> Seen {
        let event = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        let result = try #require(event["result"] as? [String: Any], "\(line)")
        let owners = try #require(result["owners"] as? [[String: Any]]).sorted {
            ($0["first"] as? Int ?? 0) < ($1["first"] as? Int ?? 0)
        }
        let gaps = result["gaps"] as? [[String: Any]] ?? []
        return Seen(
            owners: owners.map { $0["node"] as? String ?? "a stranger" },
            ownersAtOnce: try #require(result["ownersAtOnce"] as? Int),
            answersInTheEnd: gaps.allSatisfy { $0["ended"] as? Bool == true })
    }

    private func moves(after fault: String, from holder: String, to successor: String) async throws {
        let result = try await shell(underObservation, ["FAULT": fault, "NODE": holder])
        try #require(result.lines.count == 2, "\(result.words)")
        for line in result.lines {
            let seen = try seen(line)
            #expect(seen.ownersAtOnce == 1, "\(line)")
            #expect(seen.owners == [holder, successor], "\(line)")
            #expect(seen.answersInTheEnd, "\(line)")
        }
    }

    @Test func bothFamiliesMoveTogetherAndNeverHaveTwoOwners() async throws {
        try #require(
            FileManager.default.isExecutableFile(atPath: products.appending(path: "holdfast-lab").path),
            "build the products first: swift build")
        let file = folder + ".yaml"
        try manifest.write(toFile: file, atomically: true, encoding: .utf8)
        let up = try await shell(
            """
            "$LAB" up --dir "$DIR" >&2 && "$LAB" exec client --dir "$DIR" -- "$HOLDFAST" apply -f "$DIR.yaml" --wait >&2
            """)
        #expect(up.succeeded, "\(up.words)")
        // Everything in the machine dies at once.
        try await moves(after: "power-off", from: "pve1", to: "pve2")
        let back = try await shell(#""$LAB" power-on pve1 --dir "$DIR" >&2 && "# + untilHeardOf, ["NODE": "pve1"])
        #expect(back.succeeded, "\(back.words)")
        // Only the agent dies. Its kernel goes on, and has to fall silent by itself before the other one speaks.
        try await moves(after: "kill-agent", from: "pve2", to: "pve1")
        let again = try await shell(#""$LAB" start-agent pve2 --dir "$DIR" >&2 && "# + untilHeardOf, ["NODE": "pve2"])
        #expect(again.succeeded, "\(again.words)")
        let stranger = try await shell(withAStranger, ["NODE": "pve2"])
        #expect(stranger.lines.count(where: { $0.contains("is also used by") }) >= 2, "\(stranger.words)")
        #expect(stranger.words.contains("pve2"), "the holder goes on: \(stranger.words)")
        let down = try await shell(#""$LAB" down --dir "$DIR" >&2; rm -f "$DIR.yaml" "$DIR.v4" "$DIR.v6""#)
        #expect(down.succeeded, "\(down.words)")
    }
}
