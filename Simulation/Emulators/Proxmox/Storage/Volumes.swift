// Disk images. Those of a local storage belong to one host and die with it for as long as it is away; those of a shared
// storage are seen by all, whatever happens to the network between them.
//
// An image has one writer: QEMU takes a lock on it and refuses a second ("Failed to get "write" lock"). Storage of type
// rbd steals the lock instead, as the exclusive-lock feature does; then both have written, and that is counted.

import Foundation
import Synchronization

/// Who has an image open for writing. A host that was switched off and on again is another incarnation: what the one
/// before had open is open no more.
public struct ImageWriter: Hashable, Sendable, Codable {
    public var node: String
    public var vmid: Int
    public var incarnation: Int64
    /// Of its host, as a storage in the network sees it.
    public var address: String

    public init(node: String, vmid: Int, incarnation: Int64, address: String = "") {
        self.node = node
        self.vmid = vmid
        self.incarnation = incarnation
        self.address = address
    }
}

/// A disk image.
public struct Volume: Hashable, Sendable, Codable {
    /// The guest it is named after.
    public var vmid: Int
    public var size: Int64
    public var format: String
    public var content: String = "images"
    public var created: Int
    public var used: Int64 = 196_608
    public var parent: String?
    public var writer: ImageWriter?
    /// How often a writer was pushed aside while it was alive: two guests on one disk.
    public var stolen = 0

    init(vmid: Int, size: Int64, format: String, created: Int) {
        self.vmid = vmid
        self.size = size
        self.format = format
        self.created = created
    }
}

/// Images by their volume identifier, "storage:name".
public struct VolumeTable: Hashable, Sendable, Codable {
    public var volumes: [String: Volume] = [:]
    /// Who is barred from the images of type rbd: Ceph's blocklist, "10.0.0.2:0/0", and until when.
    public var barred: [String: String] = [:]
    /// Counts the changes of the blocklist.
    public var mapEpoch = 1

    public init() {}

    func isBarred(_ address: String) -> Bool { barred["\(address):0/0"] != nil }

    /// The lowest free "vm-ID-disk-N".
    func freeDisk(storage: String, vmid: Int, name: (String) -> String) -> String {
        for number in 0..<10_000 {
            let identifier = "\(storage):\(name("vm-\(vmid)-disk-\(number)"))"
            let base = "\(storage):\(name("base-\(vmid)-disk-\(number)"))"
            if volumes[identifier] == nil && volumes[base] == nil { return identifier }
        }
        return "\(storage):\(name("vm-\(vmid)-disk-10000"))"
    }
}

/// Images of shared storage: one table for all hosts, in memory or in a file that their processes share.
public final class SharedVolumes: Sendable {
    private let memory = Mutex(VolumeTable())
    /// The hosts of this process that are switched on, with their incarnations.
    private let attached = Mutex<[String: Int64]>([:])
    /// Locks that say to other processes that hosts of this one live.
    private let lives = Mutex<[String: Int32]>([:])
    private let file: String?

    /// - Parameter file: where the processes of several hosts find the same table; nil keeps it in this process.
    public init(file: String? = nil) { self.file = file }

    /// Reads and changes the table; others wait.
    /// - Throws: `APIError` when the file cannot be read or written: the storage is not there.
    public func change<Result>(
        _ body: (inout VolumeTable) throws(APIError) -> Result
    ) throws(APIError) -> Result {
        guard let file else {
            let outcome: Swift.Result<Result, APIError> = memory.withLock { table in
                do throws(APIError) { return .success(try body(&table)) } catch { return .failure(error) }
            }
            return try outcome.get()
        }
        return try LockedFile(path: file).change(body)
    }

    /// - Throws: as `change`.
    public func read() throws(APIError) -> VolumeTable { try change { table throws(APIError) in table } }

    // MARK: Who lives

    /// A host of this process is switched on. Other processes learn it by a lock that the kernel releases when this one
    /// ends, however it ends; one that is merely stopped keeps it, as a stopped host keeps its locks.
    func attach(_ node: String, incarnation: Int64) {
        attached.withLock { $0[node] = incarnation }
        guard let file else { return }
        let descriptor = open(Self.lifeFile(file, node), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return
        }
        let text = Array(String(incarnation).utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
        lives.withLock { lives in
            if let old = lives.updateValue(descriptor, forKey: node) { close(old) }
        }
    }

    /// A host of this process lost power: what it had open is open no more.
    public func powerLost(_ node: String) {
        attached.withLock { $0[node] = nil }
        lives.withLock { lives in
            if let descriptor = lives.removeValue(forKey: node) { close(descriptor) }
        }
    }

    func isAlive(_ writer: ImageWriter) -> Bool {
        if let incarnation = attached.withLock({ $0[writer.node] }) { return incarnation == writer.incarnation }
        guard let file else { return false }
        let descriptor = open(Self.lifeFile(file, writer.node), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        return count > 0 && String(decoding: buffer[0..<count], as: UTF8.self) == String(writer.incarnation)
    }

    private static func lifeFile(_ file: String, _ node: String) -> String { "\(file).\(node).alive" }
}

/// A file of JSON, under a lock beside it that the kernel releases when its holder dies. The file is exchanged as a whole:
/// a host that loses power in the middle of a change leaves what was there before.
struct LockedFile {
    let path: String

    /// Who may not write to images of type rbd, a line for each address: for guests, who hold `lock` while they write.
    static func barredFile(_ path: String) -> String { path + ".barred" }
    static func lockFile(_ path: String) -> String { path + ".lock" }

    func change<Result>(_ body: (inout VolumeTable) throws(APIError) -> Result) throws(APIError) -> Result {
        let lock = open(Self.lockFile(path), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard lock >= 0 else { throw .died("unable to open shared storage '\(path)' - errno \(errno)") }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else { throw .died("unable to lock '\(path)' - errno \(errno)") }
        }
        let before = try read()
        var table = before
        let result = try body(&table)
        if table.barred != before.barred {
            let lines = table.barred.keys.sorted().map { $0.prefix { $0 != ":" } + "\n" }.joined()
            try exchange(Self.barredFile(path), Data(lines.utf8))
        }
        if table != before {
            let data: Data
            do { data = try JSONEncoder().encode(table) } catch { throw .died("unable to encode '\(path)' - \(error)") }
            try exchange(path, data)
        }
        return result
    }

    private func read() throws(APIError) -> VolumeTable {
        guard FileManager.default.fileExists(atPath: path) else { return VolumeTable() }
        do {
            return try JSONDecoder().decode(VolumeTable.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw .died("unable to parse '\(path)' - \(error)")
        }
    }

    private func exchange(_ path: String, _ data: Data) throws(APIError) {
        do { try data.write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
            throw .died("unable to write '\(path)' - \(error)")
        }
    }
}
