// Storages and images as this host sees them: which are here, what is in them, allocating and removing.

import FoundationEssentials

extension Host {
    static let storageFile = "storage.cfg"

    /// The cluster's storages, in order of their names.
    func storages() -> [Storage] {
        guard let text = files.read(Self.storageFile),
            let list = decoded.value(Self.storageFile, text, as: [Storage].self)
        else { return [.local] }
        return list.sorted { $0.name < $1.name }
    }

    static func text(of storages: [Storage]) -> String { encoded(storages) }

    static func encoded(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // These types hold only strings, numbers and lists, which always encode.
        guard let data = try? encoder.encode(value) else { preconditionFailure("a value without JSON form") }
        return String(decoding: data, as: UTF8.self)
    }

    /// - Throws: `APIError` "storage 'x' does not exist".
    func storage(_ name: String) throws(APIError) -> Storage {
        guard let storage = storages().first(where: { $0.name == name }) else {
            throw .died("storage '\(name)' does not exist")
        }
        return storage
    }

    func isHere(_ storage: Storage) -> Bool {
        !storage.isDisabled && (storage.nodes.isEmpty || storage.nodes.contains(name))
    }

    func table(of storage: Storage) throws(APIError) -> VolumeTable {
        storage.isShared ? try shared.read() : volumes
    }

    func usedBytes(_ storage: Storage) -> Int64 {
        if faults.fullStorages.contains(storage.name) { return storage.total }
        guard let table = try? table(of: storage) else { return storage.used }
        let prefix = storage.name + ":"
        return storage.used
            + table.volumes.reduce(0) { $0 + ($1.key.hasPrefix(prefix) ? $1.value.used : 0) }
    }

    func volume(_ identifier: String) throws(APIError) -> Volume? {
        let storage = try storage(String(identifier.prefix { $0 != ":" }))
        return try table(of: storage).volumes[identifier]
    }

    mutating func changeVolumes<Result>(
        of storage: Storage, _ body: (inout VolumeTable) throws(APIError) -> Result
    ) throws(APIError) -> Result {
        if storage.isShared { return try shared.change(body) }
        return try body(&volumes)
    }

    /// Makes an image.
    /// - Returns: its identifier, and the line a task's log has of it.
    /// - Throws: `APIError` when the storage is full or away.
    mutating func allocate(
        _ storage: Storage, for guest: GuestID, size: Int64, format: String, base: String? = nil, parent: String? = nil
    ) throws(APIError) -> (identifier: String, line: String?) {
        guard isHere(storage), !faults.absentStorages.contains(storage.name) else {
            throw .died("storage '\(storage.name)' is not available on node '\(name)'")
        }
        guard !faults.fullStorages.contains(storage.name), usedBytes(storage) + 196_608 <= storage.total else {
            throw .died("unable to create image: No space left on device")
        }
        let seconds = now.seconds
        let identifier = try changeVolumes(of: storage) { table throws(APIError) in
            let name: (String) -> String = { storage.volumeName($0, vmid: guest.vmid, format: format) }
            let identifier =
                base.map { "\(storage.name):\(name($0))" }
                ?? table.freeDisk(storage: storage.name, vmid: guest.vmid, name: name)
            guard table.volumes[identifier] == nil else {
                throw .died("disk image '\(storage.imagePath(name(base ?? "")))' already exists")
            }
            var volume = Volume(vmid: guest.vmid, size: size, format: format, created: seconds)
            volume.parent = parent
            if guest.kind == .lxc { volume.content = "rootdir" }
            table.volumes[identifier] = volume
            return identifier
        }
        let path = storage.imagePath(String(identifier.dropFirst(storage.name.count + 1)))
        return (identifier, storage.isFiles ? formatting(path, size: size, format: format, parent: parent) : nil)
    }

    private func formatting(_ path: String, size: Int64, format: String, parent: String?) -> String {
        guard format == "qcow2" else {
            return "Formatting '\(path)', fmt=\(format) size=\(size) preallocation=off"
        }
        let backing = parent.map { " backing_file=../\($0) backing_fmt=qcow2" } ?? ""
        // In 9 an image with a backing file has subclusters, so that it can be preallocated.
        let hasSubclusters = parent != nil && settings.release == .nine
        let clusters = hasSubclusters ? "cluster_size=131072 extended_l2=on" : "cluster_size=65536 extended_l2=off"
        let preallocation = parent == nil || hasSubclusters ? " preallocation=metadata" : ""
        return "Formatting '\(path)', fmt=qcow2 \(clusters)\(preallocation) "
            + "compression_type=zlib size=\(size)\(backing) lazy_refcounts=off refcount_bits=16"
    }

    /// Removes an image.
    mutating func release(_ identifier: String) throws(APIError) {
        let storage = try storage(String(identifier.prefix { $0 != ":" }))
        try changeVolumes(of: storage) { table throws(APIError) in table.volumes[identifier] = nil }
    }
}
