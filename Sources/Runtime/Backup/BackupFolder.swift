// Which backups lie in a folder.

import FoundationEssentials
import Glibc

/// A file that begins as a backup does.
public struct FoundBackup: Sendable {
    public var path: String
    public var bytes: Int
    /// How its key comes: from a passphrase, or a key file; nil: in a way that is not known here.
    public var isOfPassphrase: Bool?
    /// What it says of itself; nil: it was not opened, or does not open.
    public var manifest: BackupManifest?
    /// Why it cannot be used; nil: it can, or nobody tried.
    public var problem: BackupError?
}

extension BackupFile {
    /// A folder with more files than this is no folder of backups.
    public static let mostListed = 10_000

    /// The backups in a folder, the newest first; those whose age is not known come last, by name. Folders in it, links and
    /// other files are left out.
    /// - Parameter key: opens them, to see whether they are whole; nil: only their beginnings are looked at.
    /// - Throws: `IdentityError` when the folder cannot be read, or holds too many files.
    public static func list(in folder: String, with key: BackupKey?) throws(IdentityError) -> [FoundBackup] {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: folder) } catch {
            throw IdentityError(folder, "cannot be listed: \(error)", remedy: "name a folder with backups in it")
        }
        guard names.count <= mostListed else {
            throw IdentityError(
                folder, "holds \(names.count) files, more than \(mostListed)",
                remedy: "keep backups in a folder of their own")
        }
        return names.compactMap { find("\(folder)/\($0)", key) }.sorted { one, other in
            let (left, right) = (one.manifest?.takenMilliseconds ?? .min, other.manifest?.takenMilliseconds ?? .min)
            return left == right ? one.path < other.path : left > right
        }
    }

    /// - Returns: nil for what is no backup, or cannot be looked at.
    private static func find(_ path: String, _ key: BackupKey?) -> FoundBackup? {
        guard let (beginning, bytes) = beginning(of: path), beginning.starts(with: magic) else { return nil }
        let kind = beginning.count > 9 ? beginning[9] : 0
        var found = FoundBackup(path: path, bytes: bytes, isOfPassphrase: kind == 1 ? true : kind == 2 ? false : nil)
        guard let key else { return found }
        do {
            let backup = try open(try read(path), with: key)
            _ = try backup.state()
            found.manifest = backup.manifest
        } catch let error as BackupError {
            found.problem = error
        } catch {
            found.problem = .damaged("\(error)")
        }
        return found
    }

    /// A file's first bytes, and its size; nil for what is no plain file or cannot be read.
    private static func beginning(of path: String) -> ([UInt8], Int)? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes = [UInt8](repeating: 0, count: headerBytes)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? (Array(bytes[..<count]), Int(status.st_size)) : nil
    }
}
