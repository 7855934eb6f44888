// The lab's manifests and the page about them: they are read as a person's are, and say what the program says.
// Finds deploy/ beside Tests/, from the place of this file.

import Cluster
import FoundationEssentials
import Kinds
import Testing

@testable import Manifests

@Suite struct LabManifestTests {
    private static let deploy =
        String(#filePath.prefix(#filePath.count - "Tests/ManifestsTests/LabManifestTests.swift".count)) + "deploy"

    private func page() throws -> String {
        let contents = try #require(FileManager.default.contents(atPath: "\(Self.deploy)/README.md"))
        return String(decoding: contents, as: UTF8.self)
    }

    @Test func theLabIsSound() throws {
        let lab = try ManifestReader.read(path: "\(Self.deploy)/lab")
        #expect(
            lab.declarations.map(\.key.description) == [
                "VirtualIP/kube-api", "VirtualIP/dns", "Cluster/home", "StoragePool/rbd-vms", "VirtualMachine/gitlab",
                "VirtualMachine/vault", "VirtualMachine/paperless", "VirtualMachine/wiki", "Host/pve1", "Host/pve2",
                "Witness/witness",
            ])
        #expect(KindRegistry.crossCheck(lab.declarations, against: []).isEmpty)
        #expect(lab.declarations.allSatisfy { $0.kind != "VirtualIP" || $0.spec["follow"] == nil })
    }

    @Test(arguments: KindRegistry.all.map(\.kind))
    func thePageShowsWhatExplainPrints(kind: String) throws {
        let text = try #require(KindRegistry.explain(kind))
        #expect(try page().contains("```text\n\(text)```\n"))
    }

    @Test(arguments: KindRegistry.all.map(\.kind))
    func everyExampleIsAccepted(kind: String) throws {
        let example = try #require(KindRegistry.schema(of: kind)).example
        #expect(try ManifestReader.read(text: example).declarations.map(\.kind) == [kind])
    }

    @Test func everyManifestOnThePageIsAccepted() throws {
        let blocks = try page().components(separatedBy: "```yaml\n").dropFirst()
        #expect(blocks.count == 1)
        for block in blocks {
            let text = try #require(block.components(separatedBy: "```").first)
            #expect(errors(of: text) == [])
        }
    }

    @Test func everyErrorOnThePageIsInTheFormOfErrors() throws {
        let lines = try page().split(separator: "\n").filter { $0.hasPrefix("    lab/") }
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.contains(": found ") && $0.contains(", expected ") })
    }
}
