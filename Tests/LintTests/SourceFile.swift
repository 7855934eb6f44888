// A file of the tree as the rules see it, and what a rule says when it is broken.
// Relies on the tree being two folders above this one; does not follow symbolic links or look at build products.

import Foundation

/// A rule that does not hold at one place.
struct Finding: CustomStringConvertible, Equatable {
    let path: String
    let line: Int
    /// What stands there, why it must not, and what to write instead.
    let message: String

    var description: String { "\(path):\(line): \(message)" }
}

/// One text file. `path` is relative to the package's root.
struct SourceFile {
    let path: String
    let text: String
    let lines: [Substring]
    /// Empty for a file that is not Swift.
    let tokens: [SwiftToken]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        tokens = path.hasSuffix(".swift") ? SwiftTokens.read(text) : []
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isGenerated: Bool { path.hasSuffix(".pb.swift") }
    /// Keeps a folder that has no content yet; SwiftPM wants a source file in every target.
    var isPlaceholder: Bool { isSwift && tokens.isEmpty }
    func isInside(_ folder: String) -> Bool { path.hasPrefix(folder + "/") }

    func finding(_ line: Int, _ message: String) -> Finding { Finding(path: path, line: line, message: message) }
}

/// The package as it lies on disk.
enum Tree {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A file larger than this is data, and no rule reads it.
    static let mostBytes = 1 << 20

    /// Every text file of the parts that we write, sorted by path.
    static let files: [SourceFile] = {
        let parts = [
            "Sources", "Simulation", "Tests", "deploy", ".ci", "Package.swift", "README.md", ".gitignore",
        ]
        return parts.flatMap(paths(under:)).sorted().compactMap(read)
    }()

    static let swiftFiles = files.filter(\.isSwift)

    private static func paths(under part: String) -> [String] {
        let url = root.appendingPathComponent(part)
        guard let values = try? url.resourceValues(forKeys: [.isDirectoryKey]) else { return [] }
        guard values.isDirectory == true else { return [part] }
        let inside = FileManager.default.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
        return inside.map { part + "/" + $0 }
    }

    private static func read(_ path: String) -> SourceFile? {
        let url = root.appendingPathComponent(path)
        let keys: Set<URLResourceKey> = [.isRegularFileKey, .fileSizeKey]
        guard let values = try? url.resourceValues(forKeys: keys), values.isRegularFile == true,
            let size = values.fileSize, size <= mostBytes,
            let text = try? String(contentsOf: url, encoding: .utf8)
        else { return nil }
        return SourceFile(path: path, text: text)
    }
}
