// Files, directories and documents that are right, and those that cannot be read.
// Works in a directory of its own below the temporary directory.

import Cluster
import FoundationEssentials
import Glibc
import Kinds
import Testing

@testable import Manifests

@Suite struct ManifestReaderTests {
    static func host(_ name: String, _ octet: Int) -> String {
        "apiVersion: holdfast/v1\nkind: Host\nmetadata: {name: \(name)}\nspec: {address: 192.168.1.\(octet)}\n"
    }

    /// Runs the body with an empty directory, which is removed afterwards.
    private func inDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("\(FileManager.default.temporaryDirectory.path)/holdfast-manifests-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(directory)
    }

    private func write(_ text: String, _ path: String) throws {
        #expect(FileManager.default.createFile(atPath: path, contents: Data(text.utf8)))
    }

    private func said(_ path: String) -> String? {
        do throws(ManifestErrors) {
            _ = try ManifestReader.read(path: path)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func everythingInOneDocument() throws {
        let text = """
            # A comment
            apiVersion: "holdfast/v1"
            kind: VirtualIP
            metadata:
              name: kube-api
              labels: {tier: edge, "app.kubernetes.io/name": api, empty: ""}
              environment: production
            spec:
              address: 192.168.1.99/24   # the address of the API server
              interface: vmbr0
              candidates:
              - member: k8s-cp1
              - {member: k8s-cp2}
              follow:
                exec:
                  - /usr/bin/test
                  - no
                  - "80"
                every: 500ms
            """
        let located = try ManifestReader.read(text: text)
        let declaration = try #require(located.first?.declaration)
        #expect(located.count == 1)
        #expect(declaration.key == ResourceKey(kind: "VirtualIP", name: "kube-api"))
        #expect(declaration.labels == ["tier": "edge", "app.kubernetes.io/name": "api", "empty": ""])
        #expect(declaration.environment == "production")
        #expect(
            declaration.spec == [
                "address": "192.168.1.99/24", "interface": "vmbr0",
                "candidates": [["member": "k8s-cp1"], ["member": "k8s-cp2"]],
                "follow": ["exec": ["/usr/bin/test", "no", "80"], "every": "500ms"],
            ])
    }

    @Test(arguments: [
        "---\n", "# first\n---\n", "\u{FEFF}", "\u{FEFF}---\n", "\n\n", "--- # marked\n", "...\n---\n",
    ])
    func whatMayStandBeforeADocument(prefix: String) {
        #expect(errors(of: prefix + Self.host("pve1", 106)) == [])
    }

    @Test func lineEndsOfWindowsAreFine() {
        let text = (Self.host("pve1", 106) + "---\n" + Self.host("pve2", 107))
        #expect(errors(of: text.split(separator: "\n").joined(separator: "\r\n")) == [])
    }

    @Test func jsonIsYAMLToo() {
        let text =
            #"{"apiVersion":"holdfast/v1","kind":"Host","metadata":{"name":"pve1"},"spec":{"address":"192.168.1.6"}}"#
        #expect(errors(of: text) == [])
    }

    @Test func linesOfTextMayStandInABlock() throws {
        let text = Self.host("pve1", 106).replacing("106}", with: "106, description: x}")
        #expect(errors(of: text) == [])
        let block =
            "apiVersion: holdfast/v1\nkind: Host\nmetadata: {name: pve1}\nspec:\n  address: 192.168.1.6\n  description: |\n    a & b\n    *c: d\n"
        #expect(try ManifestReader.read(text: block)[0].declaration.spec["description"] == "a & b\n*c: d\n")
    }

    @Test func aDirectoryIsReadFromTopToBottomInTheOrderOfNames() throws {
        try inDirectory { directory in
            for inner in ["b", ".git"] {
                try FileManager.default.createDirectory(
                    atPath: "\(directory)/\(inner)", withIntermediateDirectories: false)
            }
            try write(Self.host("pve3", 3), "\(directory)/c.yml")
            try write(Self.host("pve2", 2), "\(directory)/b/z.yaml")
            try write(Self.host("pve1", 1), "\(directory)/a.yaml")
            try write("no manifest: {", "\(directory)/README.md")
            try write("no manifest: {", "\(directory)/.git/config.yaml")
            let located = try ManifestReader.read(path: directory + "/")
            #expect(located.map(\.declaration.name) == ["pve1", "pve2", "pve3"])
            #expect(
                located.map(\.file) == ["\(directory)/a.yaml", "\(directory)/b/z.yaml", "\(directory)/c.yml"])
        }
    }

    @Test func errorsOfAllFilesAreCollected() throws {
        try inDirectory { directory in
            try write("", "\(directory)/a.yaml")
            try write(Self.host("pve1", 1).replacing("Host", with: "Hots"), "\(directory)/b.yaml")
            try write(Self.host("pve2", 2), "\(directory)/c.yaml")
            try write(Self.host("pve2", 3), "\(directory)/d.yaml")
            #expect(
                said(directory) == """
                    \(directory)/a.yaml: found an empty file, expected at least one resource
                    \(directory)/b.yaml:2:7: kind: found the text "Hots", expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario; did you mean Host?
                    \(directory)/d.yaml:3:18: metadata.name: found Host/pve2 a second time, expected each resource once: it is at \(directory)/c.yaml:1 already
                    """)
        }
    }

    @Test func anEmptyDirectoryIsAnError() throws {
        try inDirectory { directory in
            try write("x", "\(directory)/notes.txt")
            #expect(
                said(directory)
                    == "\(directory): found no manifests, expected at least one file that ends in .yaml or .yml")
        }
    }

    @Test func whatIsNotThereIsAnError() throws {
        try inDirectory { directory in
            #expect(
                said("\(directory)/lab.yaml")
                    == "\(directory)/lab.yaml: found \"No such file or directory\", expected a manifest or a directory of manifests"
            )
        }
    }

    @Test func aNamedPipeIsNotWaitedFor() throws {
        try inDirectory { directory in
            #expect(mkfifo("\(directory)/lab.yaml", 0o600) == 0)
            #expect(
                said(directory)
                    == "\(directory)/lab.yaml: found something that is no ordinary file, expected a manifest")
        }
    }

    @Test func aCircleOfLinksEnds() throws {
        try inDirectory { directory in
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory)/again", withDestinationPath: directory)
            try write(Self.host("pve1", 1), "\(directory)/z.yaml")
            let text = try #require(said(directory))
            #expect(text.contains("found more than 16 directories inside one another"))
        }
    }

    @Test func aFileThatIsTooLongIsNotRead() throws {
        try inDirectory { directory in
            try write(String(repeating: "#", count: (1 << 20) + 1), "\(directory)/a.yaml")
            #expect(
                said("\(directory)/a.yaml")
                    == "\(directory)/a.yaml: found a file of 1048577 bytes, expected at most 1048576; split it")
        }
    }

    @Test func aFileThatIsNamedMayEndAsItLikes() throws {
        try inDirectory { directory in
            try write(Self.host("pve1", 1), "\(directory)/lab.txt")
            #expect(said("\(directory)/lab.txt") == nil)
        }
    }

    @Test func problemsFoundLaterStillPointToALine() throws {
        let text =
            Self.host("pve1", 106)
            + "---\napiVersion: holdfast/v1\nkind: VirtualIP\nmetadata: {name: dns}\nspec:\n  address: 192.168.1.106/24\n  candidates: [{member: pve1}]\n"
        let located = try ManifestReader.read(text: text, file: "lab.yaml")
        let problems = KindRegistry.crossCheck(located.declarations, against: [])
        #expect(
            located.errors(for: problems)?.description
                == "lab.yaml:10:12: spec.address: found the address 192.168.1.106, expected an address of its own: Host/pve1 has this one"
        )
        #expect(located.errors(for: []) == nil)
    }
}
