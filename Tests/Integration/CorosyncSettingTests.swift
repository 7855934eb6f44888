// deploy/corosync.sh: what it makes of a corosync.conf, what it leaves alone, and what it does not touch. That corosync takes
// its work is shown with real ones by Simulation/Corosync.

import Foundation
import Subprocess
import Testing

@Suite struct CorosyncSettingTests {
    private static func configuration(hosts: Int, totem: String = "", device: String = "") -> String {
        let nodes = (1...hosts).map { "  node {\n    name: pve\($0)\n    nodeid: \($0)\n  }\n" }.joined()
        return "# token: 7\ntotem {\n  cluster_name: lab\n  config_version: 9\n\(totem)  version: 2\n"
            + "  interface {\n    linknumber: 0\n  }\n}\nnodelist {\n\(nodes)}\nquorum {\n"
            + "  provider: corosync_votequorum\n\(device)}\n"
    }

    private static let device =
        "  device {\n    model: net\n    timeout: 20000\n    heuristics {\n      timeout: 3\n    }\n"
        + "    net {\n      tls: on\n    }\n  }\n"

    /// - Returns: the script's status, what it said, and the file afterwards.
    private static func run(_ text: String, _ arguments: [String] = []) async throws -> (Int, String, String) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hf-corosync-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "corosync.conf")
        try Data(text.utf8).write(to: file)
        let end = try await Subprocess.run(
            .path("/bin/bash"),
            arguments: .init(
                [packageRoot.appending(path: "deploy/corosync.sh").path, "--file", file.path] + arguments),
            output: .string(limit: 65_536), error: .string(limit: 65_536))
        let status = if case .exited(let code) = end.terminationStatus { Int(code) } else { -1 }
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(left == ["corosync.conf"])
        return (
            status, (end.standardOutput + end.standardError).replacing(folder.path, with: ""),
            try String(contentsOf: file, encoding: .utf8)
        )
    }

    @Test func withoutAWordNothingIsChangedAndTheChangeIsShown() async throws {
        let text = Self.configuration(hosts: 2)
        let (status, said, after) = try await Self.run(text)
        #expect(status == 1)
        #expect(said.contains("+  consensus: 300") && said.contains("+  config_version: 10"), "\(said)")
        #expect(after == text)
    }

    @Test func twoHostsGetAShortConsensusAndMoreDoNot() async throws {
        let (status, _, two) = try await Self.run(Self.configuration(hosts: 2, totem: "  token: 3000\n"), ["--apply"])
        #expect(status == 0)
        #expect(
            two
                == Self.configuration(hosts: 2).replacing(
                    "totem {\n", with: "totem {\n  token: 1000\n  consensus: 300\n"
                )
                .replacing("config_version: 9", with: "config_version: 10"))
        // One that stems from when there were two is taken away.
        let (_, _, three) = try await Self.run(Self.configuration(hosts: 3, totem: "  consensus: 300\n"), ["--apply"])
        #expect(three.contains("  token: 1000\n") && !three.contains("consensus"), "\(three)")
    }

    /// The short consensus was right for the two, and would be unsafe with the third.
    @Test func aThirdHostIsReckonedWithWhenItIsRunAgain() async throws {
        let (_, _, two) = try await Self.run(Self.configuration(hosts: 2), ["--apply"])
        let second = "    name: pve2\n    nodeid: 2\n  }\n"
        let joined = two.replacing(second, with: second + "  node {\n    name: pve3\n    nodeid: 3\n  }\n")
        #expect(joined.contains("  consensus: 300\n") && joined.contains("pve3"), "\(joined)")
        let (asked, shown, untouched) = try await Self.run(joined)
        #expect(asked == 1 && shown.contains("-  consensus: 300") && untouched == joined, "\(shown)")
        let (status, said, three) = try await Self.run(joined, ["--apply"])
        #expect(status == 0, "\(said)")
        #expect(
            three
                == Self.configuration(hosts: 3).replacing("totem {\n", with: "totem {\n  token: 1000\n")
                .replacing("config_version: 9", with: "config_version: 11"))
        let (again, words, same) = try await Self.run(three, ["--apply"])
        #expect(again == 0 && words.contains("nothing to change") && same == three, "\(words)")
    }

    @Test func aThirdVoteThatWouldBeGivenIsSomethingToDo() async throws {
        let witness = ["--witness", "192.0.2.9"]
        let (_, _, tuned) = try await Self.run(Self.configuration(hosts: 2), ["--apply"])
        let (status, said, after) = try await Self.run(tuned, witness)
        #expect(status == 1 && said.contains("would give") && !said.contains("nothing to change"), "\(said)")
        #expect(after == tuned)
        // One that is there is not given again.
        let (_, _, whole) = try await Self.run(Self.configuration(hosts: 2, device: Self.device), ["--apply"])
        let (done, words, same) = try await Self.run(whole, witness)
        #expect(done == 0 && words.contains("nothing to change") && same == whole, "\(words)")
    }

    @Test func aQDeviceIsAskedEachSecondAndTheRestOfItStays() async throws {
        let (status, said, after) = try await Self.run(
            Self.configuration(hosts: 2, device: Self.device), ["--apply"])
        #expect(status == 0 && said.contains("systemctl restart corosync-qdevice"), "\(said)")
        #expect(after.contains("  device {\n    timeout: 1000\n    sync_timeout: 3000\n    model: net\n"), "\(after)")
        #expect(after.contains("heuristics {\n      timeout: 3\n"), "\(after)")
        // And then there is nothing to do.
        let (again, words, same) = try await Self.run(after, ["--apply"])
        #expect(again == 0 && words.contains("nothing to change") && same == after, "\(words)")
    }

    @Test(arguments: ["", "garbage", "totem {\n  version: 2\n}\n", "nodelist {\n  node {\n  }\n}\n"])
    func whatIsNoConfigurationIsLeftAsItIs(text: String) async throws {
        let (status, said, after) = try await Self.run(text, ["--apply"])
        #expect(status == 2 && said.contains("is no corosync.conf"), "\(said)")
        #expect(after == text)
    }
}
