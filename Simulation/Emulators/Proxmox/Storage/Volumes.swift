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

    public init(node: String, vmid: Int, incarnation: Int64) {
        self.node = node
        self.vmid = vmid
        self.incarnation = incarnation
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

    public init() {}

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

/// A file of JSON under a lock that the kernel releases when its holder dies.
struct LockedFile {
    let path: String

    func change<Result>(_ body: (inout VolumeTable) throws(APIError) -> Result) throws(APIError) -> Result {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .died("unable to open shared storage '\(path)' - errno \(errno)") }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else { throw .died("unable to lock '\(path)' - errno \(errno)") }
        let before = try read(descriptor)
        var table = before
        let result = try body(&table)
        if table != before { try write(table, to: descriptor) }
        return result
    }

    private func read(_ descriptor: Int32) throws(APIError) -> VolumeTable {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(bytes.count))
            guard count >= 0 else { throw .died("unable to read '\(path)' - errno \(errno)") }
            if count == 0 { break }
            bytes.append(contentsOf: buffer[0..<count])
        }
        guard !bytes.isEmpty else { return VolumeTable() }
        do { return try JSONDecoder().decode(VolumeTable.self, from: Data(bytes)) } catch {
            throw .died("unable to parse '\(path)' - \(error)")
        }
    }

    private func write(_ table: VolumeTable, to descriptor: Int32) throws(APIError) {
        let bytes: [UInt8]
        do { bytes = Array(try JSONEncoder().encode(table)) } catch {
            throw .died("unable to encode '\(path)' - \(error)")
        }
        guard ftruncate(descriptor, 0) == 0 else { throw .died("unable to write '\(path)' - errno \(errno)") }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + offset, bytes.count - offset, off_t(offset))
            }
            guard count > 0 else { throw .died("unable to write '\(path)' - errno \(errno)") }
            offset += count
        }
    }
}
