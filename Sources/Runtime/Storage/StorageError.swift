// What can go wrong with the log on disk, in words a person can act on.

import Glibc

/// Why the log could not be opened, or why it stopped.
public enum StorageError: Error, Hashable, Sendable {
    /// Another process (or another store of this one) has the directory open. The pid is nil when it left none.
    case locked(directory: String, processID: Int32?)
    /// The file belongs to another cluster or member.
    case foreign(file: String, found: String, expected: String)
    /// The file was written in a format this version does not know.
    case newerVersion(file: String, found: UInt32, known: UInt32)
    /// What was acknowledged once cannot be read any more. A start reads around it and says what is lost.
    case corrupted(file: String, offset: Int, reason: String)
    /// No space for the next segment. What was acknowledged is intact.
    case diskFull(path: String, freeBytes: Int64, neededBytes: Int64)
    /// An operation on a file failed; nothing written since the last completion may be relied on.
    case failed(operation: String, path: String, code: Int32)
    /// More was waiting to be written than the queue holds; the disk is too slow or hangs.
    case overloaded(directory: String, writes: Int, bytes: Int)
    /// A write that breaks the rules of the log: a gap, a term that goes back, an entry too large for a segment.
    case invalidWrite(reason: String)
}

extension StorageError: CustomStringConvertible {
    /// One line: what was attempted, on what, what came back, what to try.
    public var description: String {
        switch self {
        case .locked(let directory, let processID):
            let holder = processID.map { "process \($0)" } ?? "another process"
            return "the log in \(directory) is in use by \(holder); stop that agent first, or give this one a "
                + "directory of its own"
        case .foreign(let file, let found, let expected):
            return "\(file) belongs to \(found), this is \(expected); point the agent to its own directory, or move "
                + "that log away and let this member join again"
        case .newerVersion(let file, let found, let known):
            return "\(file) has log format \(found), this version knows up to \(known); start the version that wrote "
                + "it, or a later one"
        case .corrupted(let file, let offset, let reason):
            return "\(file) is damaged at byte \(offset): \(reason)"
        case .diskFull(let path, let freeBytes, let neededBytes):
            return "no space for the next log segment in \(path): \(neededBytes) bytes needed, \(freeBytes) free. What "
                + "was acknowledged is intact; free some space, and it goes on by itself"
        case .failed(let operation, let path, let code):
            return
                "\(operation) of \(path) failed: \(String(cString: strerror(code))). Check the disk (dmesg, smartctl) and its mount, then start the "
                + "agent again; it recovers what was acknowledged"
        case .overloaded(let directory, let writes, let bytes):
            return "the disk under \(directory) does not keep up: \(writes) writes (\(bytes) bytes) are waiting; look "
                + "for what else keeps that disk busy, then start the agent again"
        case .invalidWrite(let reason):
            return "a log write was refused: \(reason); this is a fault in the agent, please report it"
        }
    }
}
