// The second copy of term and vote, beside the one in the log: so that neither a damaged log nor a damaged copy makes a
// member forget what it promised. It also remembers how far the log had come, which tells a lost tail from a torn one.
//
// Two slots are written in turn, each with a flush of its own, so a torn write leaves the other. The log's record of the
// same state is durable before. Confined to one thread. DESIGN.md has the layout byte by byte.

import Consensus

/// What one slot holds.
struct VoteSlot: Hashable {
    /// Grows by one with every write.
    var counter: UInt64
    /// The sequence of the log's next record when this was written: everything before it was durable.
    var logSequence: UInt64
    var hardState: HardState
}

struct VoteFile {
    static let name = "vote"
    /// Under this name it is made.
    static let temporaryName = "vote-new"
    static let slotBytes = 4_096
    static let magic: UInt64 = 0x544F_5654_5346_4448  // "HDFSTVOT" as the file shows it
    static let version: UInt32 = 2
    private static let frameBytes = 56

    /// What a start found.
    enum Found: Hashable {
        case absent
        /// Not a single slot can be read.
        case unreadable
        /// The newest readable slot; with `alone` the other one could not be read, and may have been newer.
        case held(VoteSlot, alone: Bool)
    }

    private let disk: any LogDisk
    private let cluster: ClusterID
    private let member: MemberID
    private var file: (any LogFile)?
    private var counter: UInt64

    static func find(
        on disk: any LogDisk, cluster: ClusterID, member: MemberID
    ) throws(StorageError) -> Found {
        let names = try disk.attempt { () throws(DiskFault) in try disk.names() }
        guard names.contains(name) else { return .absent }
        let bytes: [UInt8]
        do { bytes = try disk.read(name) } catch {
            guard error.isMediumError else { throw error.asStorageError }
            return .unreadable
        }
        let path = disk.path + "/" + name
        var slots: [VoteSlot] = []
        for place in [0, slotBytes] where place + slotBytes <= bytes.count {
            let slot = try bytes.withBytes { (raw) throws(StorageError) in
                try read(raw.part(place..<place + slotBytes), path: path, cluster: cluster, member: member)
            }
            if let slot { slots.append(slot) }
        }
        guard let newest = slots.max(by: { $0.counter < $1.counter }) else { return .unreadable }
        return .held(newest, alone: slots.count == 1)
    }

    /// Takes the file over, or makes it anew when it cannot be read. Nothing is written before `save`.
    init(disk: any LogDisk, cluster: ClusterID, member: MemberID, found: Found) throws(StorageError) {
        self.disk = disk
        self.cluster = cluster
        self.member = member
        if case .held(let slot, _) = found {
            counter = slot.counter
            file = try disk.attempt { () throws(DiskFault) in try disk.open(Self.name) }
        } else {
            counter = 0
        }
    }

    /// Makes a state durable in one slot, or in both, one after the other.
    mutating func save(_ hardState: HardState, logSequence: UInt64, inBoth: Bool = false) throws(StorageError) {
        guard let file else { return try create(hardState, logSequence: logSequence) }
        for _ in 0..<(inBoth ? 2 : 1) {
            counter += 1
            let block = encoded(VoteSlot(counter: counter, logSequence: logSequence, hardState: hardState))
            let place = Int(counter % 2) * Self.slotBytes
            try disk.attempt(needing: block.count) { () throws(DiskFault) in
                try file.write(block, at: place)
                try file.synchronize()
            }
        }
    }

    func close() { file?.close() }

    /// The file gets its name when both slots are whole.
    private mutating func create(_ hardState: HardState, logSequence: UInt64) throws(StorageError) {
        let slots = [2, 1].map { encoded(VoteSlot(counter: $0, logSequence: logSequence, hardState: hardState)) }
        counter = 2
        file = try disk.attempt(needing: 2 * Self.slotBytes) { () throws(DiskFault) in
            if try disk.names().contains(Self.temporaryName) { try disk.remove(Self.temporaryName) }
            let new = try disk.create(Self.temporaryName, bytes: 2 * Self.slotBytes)
            try new.write(slots[0] + slots[1], at: 0)
            try new.synchronize()
            try new.rename(to: Self.name)
            try disk.synchronizeNames()
            return new
        }
    }

    // MARK: The bytes of a slot

    private func encoded(_ slot: VoteSlot) -> [UInt8] {
        var block: [UInt8] = []
        block.reserveCapacity(Self.slotBytes)
        block.append(number: Self.magic)
        block.append(number: Self.version)
        block.append(number: UInt32(0))
        block.append(number: cluster.rawValue)
        block.append(number: member.rawValue)
        block.append(number: slot.counter)
        block.append(number: slot.logSequence)
        block.append(number: UInt64(slot.hardState.storedBytes))
        precondition(block.count == Self.frameBytes, "a slot's layout is fixed")
        block.append(hardState: slot.hardState)
        precondition(block.count <= Self.slotBytes, "a slot has room for the starts of all voters")
        block.append(contentsOf: [UInt8](repeating: 0, count: Self.slotBytes - block.count))
        block.set(number: block.withUnsafeBytes { crc32c($0) }, at: 12)
        return block
    }

    /// A slot, whoever it belongs to; for people.
    static func look(_ slot: UnsafeRawBufferPointer) -> VoteSlot? {
        let cluster = ClusterID(rawValue: slot.number(at: 16, as: UInt64.self))
        let member = MemberID(rawValue: slot.number(at: 24, as: UInt64.self))
        return (try? read(slot, path: name, cluster: cluster, member: member)) ?? nil
    }

    /// Nil when any byte of it is not as it was written.
    static func read(
        _ slot: UnsafeRawBufferPointer, path: String, cluster: ClusterID, member: MemberID
    ) throws(StorageError) -> VoteSlot? {
        guard slot.number(at: 0, as: UInt64.self) == magic else { return nil }
        // The version comes first: a later format may compute its checksum differently.
        let found = slot.number(at: 8, as: UInt32.self)
        guard found <= version else { throw .newerVersion(file: path, found: found, known: version) }
        var block = [UInt8](slot)
        block.set(number: UInt32(0), at: 12)
        guard slot.number(at: 12, as: UInt32.self) == block.withUnsafeBytes({ crc32c($0) }) else { return nil }
        let owner = ClusterID(rawValue: slot.number(at: 16, as: UInt64.self))
        guard owner == cluster else {
            throw .foreign(file: path, found: "cluster \(owner)", expected: "cluster \(cluster)")
        }
        let holder = MemberID(rawValue: slot.number(at: 24, as: UInt64.self))
        guard holder == member else {
            throw .foreign(file: path, found: "member \(holder)", expected: "member \(member)")
        }
        let length = slot.number(at: 48, as: UInt64.self)
        guard length <= UInt64(HardState.mostStoredBytes) else { return nil }
        var reader = ByteReader(slot.part(frameBytes..<frameBytes + Int(length)))
        guard let hardState = reader.hardState(format: found < 2 ? 3 : 4), reader.isAtEnd else { return nil }
        return VoteSlot(
            counter: slot.number(at: 32, as: UInt64.self), logSequence: slot.number(at: 40, as: UInt64.self),
            hardState: hardState)
    }
}
