// Files that cannot be read any more are set aside: renamed, kept for a person to look at, and told of. Nothing that was
// acknowledged once is ever cut or removed because it is damaged.
//
// Relies on: the member's loss being durable (VoteFile) before the first file is renamed, so that a crash in between never
// leaves a log that looks shorter and sound. Bounded: the files of the two newest starts that found damage are kept.

import Consensus

enum SetAside {
    static let prefix = "damaged-"
    static let keptStarts = 2

    /// "damaged-", the file's name, and the start of the disk that found it.
    static func name(_ file: String, start: UInt64) -> String { "\(prefix)\(file)-\(start)" }

    /// The start in such a name; nil for any other name.
    static func start(of name: String) -> UInt64? {
        guard name.hasPrefix(prefix), let last = name.split(separator: "-").last else { return nil }
        return UInt64(last)
    }

    /// Renames `files`, the last one first: what is left of a log is always its beginning, or its end.
    static func move(_ files: [String], on disk: any LogDisk, start: UInt64) throws(StorageError) {
        guard !files.isEmpty else { return }
        for file in files.sorted().reversed() {
            try disk.attempt { () throws(DiskFault) in
                let open = try disk.open(file)
                try open.rename(to: name(file, start: start))
                open.close()
                try disk.synchronizeNames()
            }
        }
        try prune(on: disk)
    }

    private static func prune(on disk: any LogDisk) throws(StorageError) {
        let found = try disk.attempt { () throws(DiskFault) in try disk.names() }
        let starts = Set(found.compactMap(start)).sorted().suffix(keptStarts)
        for name in found {
            guard let start = start(of: name), !starts.contains(start) else { continue }
            try disk.attempt { () throws(DiskFault) in try disk.remove(name) }
        }
    }
}
