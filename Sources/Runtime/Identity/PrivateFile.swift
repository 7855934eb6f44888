// Small files that must be whole or absent after a crash, and some of which nobody else may read.
// A file is written beside its place, made durable, and renamed into it; the folder is made durable too.
// Contents are held in memory; not for anything larger than a mebibyte.

import Glibc

enum PrivateFile {
    static let mostBytes = 1_048_576

    /// A file that may not be looked at counts as there: who takes it for absent makes another one in its place.
    static func exists(_ path: String) -> Bool {
        access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)
    }

    /// Makes a folder, and those above it, for the owner only.
    static func createFolder(_ path: String) throws(IdentityError) {
        var above = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            above += (above.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            guard mkdir(above, 0o700) != 0, errno != EEXIST else { continue }
            throw .system(above, "create the folder", remedy: "run as root, or choose another data directory")
        }
    }

    /// Replaces or creates a file, whole or not at all.
    /// - Parameter mode: the permissions, exactly; the umask does not apply.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(IdentityError) {
        let remedy = "check free space and permissions of the folder, then try again"
        let beside = path + ".new"
        // Left over from a crash in the middle of an earlier write.
        unlink(beside)
        let file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw .system(beside, "create the file", remedy: remedy) }
        var failed: IdentityError?
        do throws(IdentityError) {
            guard fchmod(file, mode) == 0 else { throw .system(beside, "set the permissions", remedy: remedy) }
            try writeAll(bytes, to: file, path: beside, remedy: remedy)
            guard fsync(file) == 0 else { throw .system(beside, "make the file durable", remedy: remedy) }
        } catch { failed = error }
        close(file)
        if let failed {
            unlink(beside)
            throw failed
        }
        guard rename(beside, path) == 0 else { throw .system(path, "put the new file in place", remedy: remedy) }
        try makeDurable(folderOf: path)
    }

    private static func writeAll(
        _ bytes: [UInt8], to file: Int32, path: String, remedy: String
    ) throws(IdentityError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, bytes.count - written) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .system(path, "write", remedy: remedy) }
            written += count
        }
    }

    private static func makeDurable(folderOf path: String) throws(IdentityError) {
        let end = path.lastIndex(of: "/")
        let folder = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let remedy = "check the disk, then try again"
        guard descriptor >= 0 else { throw .system(folder, "open the folder", remedy: remedy) }
        let result = fsync(descriptor)
        let code = errno
        close(descriptor)
        guard result == 0 else { throw .system(folder, "make the folder durable", remedy: remedy, code: code) }
    }

    /// Reads a file of at most a mebibyte, or `most` bytes.
    /// - Parameter secret: refuse a file that group or others may touch.
    static func read(
        _ path: String, secret: Bool, remedy: String, most: Int = mostBytes
    ) throws(IdentityError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            let mayNot = errno == EACCES || errno == EPERM
            throw .system(path, "open", remedy: mayNot ? "run as root, or as the user the agent runs as" : remedy)
        }
        defer { close(file) }
        // The open file is asked, not the path, so that nobody can exchange the file between question and reading.
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system(path, "examine the file", remedy: remedy) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw IdentityError(path, "is not a regular file", remedy: remedy)
        }
        if secret, status.st_mode & 0o077 != 0 {
            throw IdentityError(
                path,
                "holds a private key and other users may touch it (mode \(String(status.st_mode & 0o777, radix: 8)))",
                remedy: "run: chmod 600 \(path), and if others could read it for long, remove this member and join anew"
            )
        }
        guard status.st_size <= most else {
            throw IdentityError(path, "is larger than \(most) bytes", remedy: remedy)
        }
        return try readAll(file, path: path, remedy: remedy, most: most)
    }

    private static func readAll(
        _ file: Int32, path: String, remedy: String, most: Int
    ) throws(IdentityError) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16_384)
        while bytes.count <= most {
            let count = Glibc.read(file, &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system(path, "read", remedy: remedy) }
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return bytes
    }
}
