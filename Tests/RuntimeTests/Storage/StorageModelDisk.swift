// A disk in memory that knows what would survive a loss of power: bytes and names that were flushed, and any choice of
// those that were not. Every operation is counted, so that a test can fail any single one or stop the world at it.

import Glibc

@testable import Runtime

/// A file's content, as the running system sees it and as the platter has it.
private final class ModelNode {
    var seen: [UInt8]
    var durable: [UInt8]
    /// Written and not flushed, oldest first.
    var pending: [(offset: Int, bytes: [UInt8])] = []

    init(seen: [UInt8], durable: [UInt8]) {
        self.seen = seen
        self.durable = durable
    }
}

final class ModelDisk: LogDisk {
    enum Operation: Hashable { case create, write, synchronize, rename, remove, synchronizeNames }

    let path = "/model"
    private var seen: [String: ModelNode] = [:]
    private var durable: [String: ModelNode] = [:]
    private(set) var operations: [Operation] = []
    /// The error number an operation fails with; nil lets it pass. Given the operation and how many came before.
    var fault: (Operation, Int) -> Int32? = { _, _ in nil }
    /// How many bytes of a failing write still reach the file.
    var tornBytes = 0
    /// As Linux does it: pages that could not be written stay readable, and no later flush writes them.
    var forgetsPagesOfFailedFlush = false
    /// Files the medium cannot give back.
    var unreadable: Set<String> = []
    private(set) var isReleased = false

    init() {}

    // MARK: LogDisk

    var freeBytes: Int64 { 0 }

    func names() throws(DiskFault) -> [String] { seen.keys.sorted() }

    func read(_ name: String) throws(DiskFault) -> [UInt8] {
        guard let node = seen[name] else { throw DiskFault(operation: "reading", path: name, code: ENOENT) }
        guard !unreadable.contains(name) else { throw DiskFault(operation: "reading", path: name, code: EIO) }
        return node.seen
    }

    func create(_ name: String, bytes: Int) throws(DiskFault) -> any LogFile {
        try perform(.create, name)
        let node = ModelNode(
            seen: [UInt8](repeating: 0, count: bytes), durable: [UInt8](repeating: 0, count: bytes))
        seen[name] = node
        return ModelFile(node: node, name: name, disk: self)
    }

    func open(_ name: String) throws(DiskFault) -> any LogFile {
        guard let node = seen[name] else { throw DiskFault(operation: "opening", path: name, code: ENOENT) }
        return ModelFile(node: node, name: name, disk: self)
    }

    func forget(_ name: String) -> Int { seen[name]?.seen.count ?? 0 }

    fileprivate func rename(_ name: String, to newName: String) throws(DiskFault) {
        try perform(.rename, name)
        seen[newName] = seen.removeValue(forKey: name)
    }

    func remove(_ name: String) throws(DiskFault) {
        try perform(.remove, name)
        seen[name] = nil
    }

    func synchronizeNames() throws(DiskFault) {
        try perform(.synchronizeNames, path)
        durable = seen
    }

    func release() { isReleased = true }

    fileprivate func perform(_ operation: Operation, _ name: String) throws(DiskFault) {
        operations.append(operation)
        if let code = fault(operation, operations.count - 1) {
            throw DiskFault(operation: "\(operation)", path: name, code: code)
        }
    }

    // MARK: For tests

    /// What is left after the power failed: flushed bytes; of the unflushed writes what `survives` makes of each, given
    /// its bytes and whether it was the last write of all; and either the flushed names or all of them.
    func afterPowerLoss(
        keepingNames: Bool, survives: (_ bytes: [UInt8], _ isLast: Bool) -> [Range<Int>]
    ) -> ModelDisk {
        let disk = ModelDisk()
        for (name, node) in keepingNames ? seen : durable {
            var bytes = node.durable
            for (position, write) in node.pending.enumerated() {
                for range in survives(write.bytes, position == node.pending.count - 1) {
                    bytes.replaceSubrange(
                        write.offset + range.lowerBound..<write.offset + range.upperBound, with: write.bytes[range])
                }
            }
            disk.seen[name] = ModelNode(seen: bytes, durable: bytes)
        }
        disk.durable = disk.seen
        return disk
    }

    /// The length of the longest write that was not flushed.
    var longestPending: Int { seen.values.flatMap(\.pending).map(\.bytes.count).max() ?? 0 }

    /// Changes a file behind everyone's back.
    func edit(_ name: String, _ body: (inout [UInt8]) -> Void) {
        guard let node = seen[name] else { return }
        body(&node.seen)
        node.durable = node.seen
    }

    func content(_ name: String) -> [UInt8] { seen[name]?.seen ?? [] }

    /// Every file and its bytes.
    var contents: [String: [UInt8]] { seen.mapValues(\.seen) }

    func removeBehindTheBack(_ name: String) { seen[name] = nil }

    func copy() -> ModelDisk { afterPowerLoss(keepingNames: true) { bytes, _ in [0..<bytes.count] } }
}

private final class ModelFile: LogFile {
    private let node: ModelNode
    private var name: String
    private let disk: ModelDisk

    init(node: ModelNode, name: String, disk: ModelDisk) {
        self.node = node
        self.name = name
        self.disk = disk
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskFault) {
        var count = bytes.count
        var failure: DiskFault?
        do { try disk.perform(.write, name) } catch {
            failure = error
            count = min(count, disk.tornBytes)
        }
        // A write that the crash interrupted may have left any part of itself, so it counts as unflushed as a whole.
        node.pending.append((offset, [UInt8](bytes)))
        node.seen.replaceSubrange(offset..<offset + count, with: bytes.prefix(count))
        if let failure { throw failure }
    }

    func synchronize() throws(DiskFault) {
        do { try disk.perform(.synchronize, name) } catch {
            if disk.forgetsPagesOfFailedFlush { node.pending = [] }
            throw error
        }
        for write in node.pending {
            node.durable.replaceSubrange(write.offset..<write.offset + write.bytes.count, with: write.bytes)
        }
        node.pending = []
    }

    func rename(to newName: String) throws(DiskFault) {
        try disk.rename(name, to: newName)
        name = newName
    }

    func close() {}
}
