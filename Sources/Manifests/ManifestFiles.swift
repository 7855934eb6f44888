// Finding and reading files. Everything is bounded, and nothing is read that could block: a named pipe called
// `lab.yaml` is refused, not waited for.

import FoundationEssentials
import Glibc

enum ManifestFiles {
    /// Files below one directory.
    static let mostFiles = 10_000
    /// Directories inside one another; also what ends a circle of symbolic links.
    static let mostDepth = 16

    /// The files that a path stands for.
    static func find(_ path: String) -> (files: [String], errors: [ManifestError]) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return ([], [unreadable(path, expected: "a manifest or a directory of manifests")])
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return ([path], []) }
        var search = Search()
        search.descend(path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path, depth: 0)
        if search.files.isEmpty && search.errors.isEmpty {
            let error = ManifestError(
                file: path, found: "no manifests", expected: "at least one file that ends in .yaml or .yml")
            return ([], [error])
        }
        return (search.files, search.errors)
    }

    /// - Throws: when it is no ordinary file or cannot be read. Of a file that is too long only the begin is read, one
    ///   byte more than is allowed.
    static func contents(of path: String) throws(ManifestError) -> [UInt8] {
        // O_NONBLOCK, because opening a named pipe would wait for its writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path, expected: "a file that can be read") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unreadable(path, expected: "a file that can be read") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ManifestError(file: path, found: "something that is no ordinary file", expected: "a manifest")
        }
        guard status.st_size <= SourceText.mostBytes else {
            throw ManifestError(
                file: path, found: "a file of \(status.st_size) bytes",
                expected: "at most \(SourceText.mostBytes); split it")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= SourceText.mostBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw unreadable(path, expected: "a file that can be read")
            }
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// What the system said about the call that has just failed.
    private static func unreadable(_ path: String, expected: String) -> ManifestError {
        let said = String(cString: strerror(errno))
        return ManifestError(file: path, found: "\"\(said)\"", expected: expected)
    }

    private struct Search {
        var files: [String] = []
        var errors: [ManifestError] = []

        mutating func descend(_ directory: String, depth: Int) {
            guard depth <= ManifestFiles.mostDepth else {
                errors.append(
                    ManifestError(
                        file: directory, found: "more than \(ManifestFiles.mostDepth) directories inside one another",
                        expected: "fewer, and no symbolic links in a circle"))
                return
            }
            let names: [String]
            do {
                names = try FileManager.default.contentsOfDirectory(atPath: directory)
            } catch {
                errors.append(ManifestFiles.unreadable(directory, expected: "a directory that can be read"))
                return
            }
            for name in names.sorted() where !name.hasPrefix(".") {
                let path = "\(directory)/\(name)"
                var status = stat()
                let isDirectory = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
                if isDirectory {
                    descend(path, depth: depth + 1)
                } else if name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
                    guard files.count < ManifestFiles.mostFiles else {
                        errors.append(
                            ManifestError(
                                file: directory, found: "more than \(ManifestFiles.mostFiles) manifests",
                                expected: "fewer; apply them directory by directory"))
                        return
                    }
                    files.append(path)
                }
                if errors.count >= ManifestErrors.most { return }
            }
        }
    }
}
