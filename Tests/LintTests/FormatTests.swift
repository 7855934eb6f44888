// The formatter's own opinion of the tree. Needs `swift` in PATH, and says so where it is missing.
// Relies on .swift-format at the package's root; the formatter has a deadline and is ended when it passes.

import Foundation
import Testing

@Suite struct FormatTests {
    /// A whole tree takes a few seconds; a formatter that hangs is ended after this many.
    private static let mostSeconds = 120

    private static let swift: URL? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { URL(fileURLWithPath: String($0)).appendingPathComponent("swift") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }()

    private static func lint(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        process.currentDirectoryURL = Tree.root
        process.arguments =
            [
                "--kill-after=5", "\(mostSeconds)", try #require(swift).path, "format", "lint", "--strict",
                "--configuration",
            ]
            + [".swift-format"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    @Test(.enabled(if: swift != nil, "`swift` is not in PATH, so the format was not checked"))
    func theTreeIsFormatted() throws {
        let (status, output) = try Self.lint(["-r", "Sources", "Tests", "Simulation", "Package.swift"])
        #expect(
            status == 0,
            "run `swift format -i --configuration .swift-format FILES`, then look at what is left:\n\(output)")
    }

    @Test(.enabled(if: swift != nil, "`swift` is not in PATH, so the format was not checked"))
    func anUnformattedFileIsRefused() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("Sample-\(UUID().uuidString).swift")
        try "// A.\n// B.\nfunc  f( )  {\nlet a=1 ; }\n".write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(try Self.lint([file.path]).status != 0)
    }
}
