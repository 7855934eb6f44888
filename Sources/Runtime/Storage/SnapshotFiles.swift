// Snapshots as files beside the log: two are kept, so that one that cannot be read leaves no gap.
//
// Invariant: a file under a snapshot's name is whole and durable, and no file goes before a newer one was written and read
// back. Relies on the log keeping its entries from the older of the two on. Confined to one thread at a time.

import Consensus

final class SnapshotFiles {
    /// Bytes written before they are flushed. A single flush of a large file would hold up those of the log.
    static let sliceBytes = 1024 * 1024
    static let kept = 2

    private let disk: any LogDisk
    private let cluster: ClusterID
    private let member: MemberID
    /// Readable ones, in the order of their names.
    private var names: [String] = []
    /// The newest one that was readable at the start; forgotten once it has been taken.
    private(set) var newest: Snapshot?
    /// Given up when a snapshot finds no space: once it is there, old segments of the log go.
    var reserve: SpaceReserve?
    /// Found at the start, and of no use.
    private(set) var unreadable: [String] = []

    private init(disk: any LogDisk, cluster: ClusterID, member: MemberID) {
        self.disk = disk
        self.cluster = cluster
        self.member = member
    }

    /// Reads what is there. Also says of each file that cannot be read why, in words. Changes nothing but for a file that
    /// never got its name.
    static func recover(
        disk: any LogDisk, cluster: ClusterID, member: MemberID
    ) throws(StorageError) -> (SnapshotFiles, unreadable: [String]) {
        let files = SnapshotFiles(disk: disk, cluster: cluster, member: member)
        var notes: [String] = []
        let found = try disk.attempt { () throws(DiskFault) in try disk.names() }
        if found.contains(SnapshotHeader.temporaryName) {
            try disk.attempt { () throws(DiskFault) in try disk.remove(SnapshotHeader.temporaryName) }
        }
        for name in found.filter({ SnapshotHeader.place(of: $0) != nil }).sorted() {
            let path = disk.path + "/" + name
            do {
                files.newest = try files.read(name)
                files.names.append(name)
            } catch {
                files.unreadable.append(name)
                switch error {
                case .corrupted(_, _, let reason): notes.append("\(path) cannot be read, another is taken: \(reason)")
                default: throw error
                }
            }
        }
        return (files, notes)
    }

    private func read(_ name: String) throws(StorageError) -> Snapshot {
        let path = disk.path + "/" + name
        let bytes = try disk.readWhole(name)
        let (header, content): (SnapshotHeader, [UInt8])
        do { (header, content) = try SnapshotHeader.read(bytes) } catch {
            switch error {
            case .newer(let version):
                throw .newerVersion(file: path, found: version, known: SnapshotHeader.version)
            case .damaged(let reason): throw .corrupted(file: path, offset: 0, reason: reason)
            }
        }
        guard header.cluster == cluster else {
            throw .foreign(file: path, found: "cluster \(header.cluster)", expected: "cluster \(cluster)")
        }
        guard header.member == member else {
            throw .foreign(file: path, found: "member \(header.member)", expected: "member \(member)")
        }
        return Snapshot(mark: header.mark, bytes: content, checksum: header.checksum)
    }

    /// Makes sure that there are two of the newest one.
    func doubleNewest() throws(StorageError) { if let newest { _ = try save(newest, copies: Self.kept) } }

    /// Whoever opened the log has taken the newest; its bytes need not be kept here too.
    func forgetNewest() { newest = nil }

    /// Writes a snapshot `copies` times, reads each back, and removes what is older than the two newest files. Returns
    /// through which entry the log may go.
    func save(_ snapshot: Snapshot, copies: Int) throws(StorageError) -> LogIndex {
        for copy in 1...copies {
            let name = SnapshotHeader.name(snapshot.mark.index, copy: copy)
            do { try write(snapshot, as: name) } catch {
                guard error.isDiskFull, reserve?.release() == true else { throw error }
                try write(snapshot, as: name)
            }
            guard try read(name) == snapshot else {
                throw .corrupted(
                    file: disk.path + "/" + name, offset: 0, reason: "it reads back as something else than was written")
            }
            names.removeAll { $0 == name }
            names.append(name)
            names.sort()
        }
        try prune()
        guard names.count >= Self.kept, let older = names.suffix(Self.kept).first else { return .zero }
        return SnapshotHeader.place(of: older)?.index ?? .zero
    }

    private func write(_ snapshot: Snapshot, as name: String) throws(StorageError) {
        let header = SnapshotHeader(
            cluster: cluster, member: member, mark: snapshot.mark, size: snapshot.bytes.count,
            checksum: snapshot.checksum
        ).encoded()
        let whole = header + snapshot.bytes
        do {
            try disk.attempt(needing: whole.count) { () throws(DiskFault) in
                let file = try disk.create(SnapshotHeader.temporaryName, bytes: whole.count)
                defer { file.close() }
                var place = 0
                while place < whole.count {
                    let end = min(place + Self.sliceBytes, whole.count)
                    try file.write(Array(whole[place..<end]), at: place)
                    try file.synchronize()
                    place = end
                }
                try file.rename(to: name)
                try disk.synchronizeNames()
            }
        } catch {
            // Nothing rests on it. If it cannot be removed either, the next start does.
            try? disk.remove(SnapshotHeader.temporaryName)
            throw error
        }
    }

    private func prune() throws(StorageError) {
        let present = try disk.attempt { () throws(DiskFault) in try disk.names() }
        let stays = Set(names.suffix(Self.kept))
        for name in present where SnapshotHeader.place(of: name) != nil && !stays.contains(name) {
            try disk.attempt { () throws(DiskFault) in try disk.remove(name) }
        }
        names = names.suffix(Self.kept)
        try disk.attempt { () throws(DiskFault) in try disk.synchronizeNames() }
    }
}
