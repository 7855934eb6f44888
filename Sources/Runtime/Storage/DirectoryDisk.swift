// A directory of the real file system as a LogDisk: thin calls into the C library, nothing buffered, nothing retried
// except what a signal interrupted.
//
// Relies on: flock(2), which a crash releases; fdatasync(2); a rename that is atomic. Does not: know the log's format.

import Glibc

final class DirectoryDisk: LogDisk {
    static let lockName = "lock"

    let path: String
    private var lock: Int32

    /// Creates the directory if it is missing (readable by its owner only) and claims it.
    init(claiming path: String) throws(StorageError) {
        self.path = path
        do {
            try Self.createDirectory(path)
            lock = try Self.open(path + "/" + Self.lockName, O_RDWR | O_CREAT)
        } catch {
            throw .failed(operation: error.operation, path: error.path, code: error.code)
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let holder = Self.processID(in: lock)
            Glibc.close(lock)
            guard code == EWOULDBLOCK else { throw .failed(operation: "locking", path: path, code: code) }
            throw .locked(directory: path, processID: holder)
        }
        // The pid is only for the message another agent gives; the lock itself is the kernel's.
        let text = Array("\(getpid())\n".utf8)
        ftruncate(lock, 0)
        pwrite(lock, text, text.count, 0)
    }

    /// For reading only, beside whoever has the directory: nothing is claimed, and nothing may be written.
    init(reading path: String) {
        self.path = path
        lock = -1
    }

    deinit { release() }

    func release() {
        guard lock >= 0 else { return }
        Glibc.close(lock)
        lock = -1
    }

    func names() throws(DiskFault) -> [String] {
        guard let directory = opendir(path) else { throw fault("listing", path) }
        defer { closedir(directory) }
        var found: [String] = []
        errno = 0
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { found.append(name) }
        }
        guard errno == 0 else { throw fault("listing", path) }
        return found.sorted()
    }

    func read(_ name: String) throws(DiskFault) -> [UInt8] {
        let file = full(name)
        let descriptor = try Self.open(file, O_RDONLY)
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw fault("reading", file) }
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            while count < buffer.count {
                let got = pread(descriptor, buffer.baseAddress! + count, buffer.count - count, off_t(count))
                if got < 0 && errno == EINTR { continue }
                if got < 0 { code = errno }
                if got <= 0 { break }
                count += got
            }
        }
        guard code == 0 else { throw DiskFault(operation: "reading", path: file, code: code) }
        return bytes
    }

    func create(_ name: String, bytes: Int) throws(DiskFault) -> any LogFile {
        let file = full(name)
        let descriptor = try Self.open(file, O_RDWR | O_CREAT | O_EXCL)
        // posix_fallocate returns the error instead of setting errno. The size is metadata: a full fsync, once.
        var code = posix_fallocate(descriptor, 0, off_t(bytes))
        if code == 0 && fsync(descriptor) != 0 { code = errno }
        guard code == 0 else {
            Glibc.close(descriptor)
            unlink(file)
            throw DiskFault(operation: "reserving \(bytes) bytes", path: file, code: code)
        }
        return DirectoryFile(descriptor: descriptor, directory: path, name: name)
    }

    func open(_ name: String) throws(DiskFault) -> any LogFile {
        DirectoryFile(descriptor: try Self.open(full(name), O_RDWR), directory: path, name: name)
    }

    func forget(_ name: String) -> Int {
        guard let descriptor = try? Self.open(full(name), O_RDONLY) else { return 0 }
        defer { Glibc.close(descriptor) }
        // A wish: pages that wait to be written, or that somebody holds, stay.
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    func remove(_ name: String) throws(DiskFault) {
        guard unlink(full(name)) == 0 else { throw fault("removing", full(name)) }
    }

    func synchronizeNames() throws(DiskFault) { try Self.synchronizeDirectory(path) }

    var freeBytes: Int64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int64(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize))
    }

    private func full(_ name: String) -> String { path + "/" + name }

    private static func createDirectory(_ path: String) throws(DiskFault) {
        guard mkdir(path, 0o700) != 0 else {
            // A directory is durable once its parent is.
            let parent = path.split(separator: "/", omittingEmptySubsequences: true).dropLast().joined(separator: "/")
            try synchronizeDirectory(path.hasPrefix("/") ? "/" + parent : parent.isEmpty ? "." : parent)
            return
        }
        guard errno == EEXIST else { throw fault("creating", path) }
    }

    private static func synchronizeDirectory(_ path: String) throws(DiskFault) {
        let descriptor = try open(path, O_RDONLY | O_DIRECTORY)
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw fault("flushing", path) }
    }

    private static func open(_ path: String, _ flags: Int32) throws(DiskFault) -> Int32 {
        while true {
            let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
            if descriptor >= 0 { return descriptor }
            guard errno == EINTR else { throw fault("opening", path) }
        }
    }

    private static func processID(in descriptor: Int32) -> Int32? {
        var text = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &text, text.count, 0)
        guard count > 0 else { return nil }
        return Int32(String(decoding: text.prefix(count).prefix { $0 != 10 }, as: UTF8.self))
    }

    private static func fault(_ operation: String, _ path: String) -> DiskFault {
        DiskFault(operation: operation, path: path, code: errno)
    }

    private func fault(_ operation: String, _ path: String) -> DiskFault { Self.fault(operation, path) }
}

private final class DirectoryFile: LogFile {
    private var descriptor: Int32
    private let directory: String
    private var name: String

    init(descriptor: Int32, directory: String, name: String) {
        self.descriptor = descriptor
        self.directory = directory
        self.name = name
    }

    private var path: String { directory + "/" + name }

    deinit { close() }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskFault) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                throw DiskFault(operation: "writing", path: path, code: count == 0 ? EIO : errno)
            }
            done += count
        }
    }

    func synchronize() throws(DiskFault) {
        // Never repeated, whatever the error: the kernel may have dropped the pages it could not write, and would then
        // report success.
        guard fdatasync(descriptor) == 0 else { throw DiskFault(operation: "flushing", path: path, code: errno) }
    }

    func rename(to newName: String) throws(DiskFault) {
        guard Glibc.rename(path, directory + "/" + newName) == 0 else {
            throw DiskFault(operation: "renaming", path: path, code: errno)
        }
        name = newName
    }

    func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }
}
