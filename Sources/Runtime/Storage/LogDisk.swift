// What the log needs of a disk, as a small protocol, so that tests can tear any write, fail any flush and lose power
// between any two steps. DirectoryDisk.swift is the real one.

import Glibc

/// A disk operation that did not succeed.
struct DiskFault: Error, Hashable {
    /// What was attempted, as it reads in "… of FILE failed".
    let operation: String
    let path: String
    /// The system's error number.
    let code: Int32
}

/// One directory of files, claimed for one store alone until `release`. Files are named without their directory.
protocol LogDisk: AnyObject {
    /// The directory, for messages.
    var path: String { get }
    func names() throws(DiskFault) -> [String]
    func read(_ name: String) throws(DiskFault) -> [UInt8]
    /// A new file of that many zero bytes, with the space reserved and the size durable; nothing is left of it when
    /// this fails. Its name is durable only after `synchronizeNames`.
    func create(_ name: String, bytes: Int) throws(DiskFault) -> any LogFile
    func open(_ name: String) throws(DiskFault) -> any LogFile
    /// Lets the system forget what it keeps of a file in memory, so that the next reading comes from the medium. Returns the
    /// file's size; zero when it is not there.
    func forget(_ name: String) -> Int
    func remove(_ name: String) throws(DiskFault)
    /// Makes created, renamed and removed names durable.
    func synchronizeNames() throws(DiskFault)
    /// Bytes free for this process; for messages.
    var freeBytes: Int64 { get }
    /// Gives the directory free for another store.
    func release()
}

/// An open file.
protocol LogFile: AnyObject {
    /// Writes all of `bytes` at `offset`. After a fault any part of them may have been written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskFault)
    /// Makes everything written so far durable. After a fault nothing written since the last success may be relied on,
    /// not even after a later success (the kernel reports a lost page only once).
    func synchronize() throws(DiskFault)
    /// Gives the file another name in its directory, replacing what has that name.
    func rename(to newName: String) throws(DiskFault)
    func close()
}

extension DiskFault {
    /// The medium does not give back what was written to it, which is damage and not a matter of rights or mounts.
    var isMediumError: Bool { code == EIO || code == EBADMSG || code == EUCLEAN }

    var asStorageError: StorageError { .failed(operation: operation, path: path, code: code) }
}

extension LogDisk {
    /// Reads a file of the store. What the medium cannot give back counts as damaged from its first byte on.
    func readWhole(_ name: String) throws(StorageError) -> [UInt8] {
        do { return try read(name) } catch {
            guard error.isMediumError else { throw error.asStorageError }
            throw .corrupted(
                file: path + "/" + name, offset: 0,
                reason: "the disk cannot read it: \(String(cString: strerror(error.code)))")
        }
    }

    /// Runs an operation, and reports its fault as the store does. `bytes` is what is needed, should space run out.
    func attempt<Value>(
        needing bytes: Int = 0, _ operation: () throws(DiskFault) -> Value
    ) throws(StorageError) -> Value {
        do { return try operation() } catch {
            guard error.code == ENOSPC || error.code == EDQUOT else {
                throw .failed(operation: error.operation, path: error.path, code: error.code)
            }
            throw .diskFull(path: path, freeBytes: freeBytes, neededBytes: Int64(bytes))
        }
    }
}

extension LogFile {
    func write(_ bytes: [UInt8], at offset: Int) throws(DiskFault) {
        try bytes.withBytes { (raw) throws(DiskFault) in try write(raw, at: offset) }
    }
}
