// What a host makes of the other nodes' words: membership, the files' replication, the statuses, a guest that comes over.
//
// Files: a write goes to every node that is online. A node whose version is behind asks for the whole tree and takes it as
// it is. After a split in which both sides wrote, the side with more writes therefore wins and the other's are gone
// without a word, as with pmxcfs; of equal versions the node with the lower number wins.

extension Host {
    // MARK: Words of others

    /// Takes another node's word.
    public mutating func receive(_ message: PeerMessage, from peer: String) {
        switch message {
        case .leaves:
            membership.left(peer, now: now)
            return
        default: break
        }
        membership.heard(of: peer, now: now)
        switch message {
        case .alive(let alive): take(alive, from: peer)
        case .wrote(let change):
            if !files.apply(change) { send(.wantsFiles, to: peer) }
            wakeHAAgent()
        case .wantsFiles: send(.files(files), to: peer)
        case .files(let theirs):
            if isBehind(theirs.version, theirs.digest, of: peer) { files = theirs }
            wakeHAAgent()
        case .handsOver(let handOver): takeOver(handOver, from: peer)
        case .tookOver(let upid): confirmHandOver(upid)
        case .refusesHandOver(let upid, let text): endTask(upid, with: text)
        case .leaves: break
        }
    }

    /// What this node says of itself, twice a second.
    public func alive() -> PeerMessage {
        .alive(PeerMessage.Alive(version: files.version, digest: files.digest, status: board[name]))
    }

    private mutating func take(_ alive: PeerMessage.Alive, from peer: String) {
        if let status = alive.status { board[peer] = status }
        if isBehind(alive.version, alive.digest, of: peer) { send(.wantsFiles, to: peer) }
    }

    private func isBehind(_ version: UInt64, _ digest: String, of peer: String) -> Bool {
        guard !membership.isLocal else { return false }
        guard version == files.version else { return version > files.version }
        guard digest != files.digest, let id = membership.node(peer)?.id else { return false }
        return id < settings.node.id
    }

    mutating func send(_ message: PeerMessage, to node: String) {
        outbox.append(Outgoing(node: node, message: message))
    }

    // MARK: Statuses

    /// pvestatd's round.
    mutating func publishStatus() {
        let guests = ownGuests().map { id -> NodeStatus.Guest in
            let runs = running[id]
            let uptime = runs.map { Int((now - $0.started) / 1_000) } ?? 0
            let configuration = try? configuration(of: id)
            return NodeStatus.Guest(
                id: id, isRunning: runs != nil, uptimeSeconds: uptime, memory: runs == nil ? 0 : 1_730_639,
                networkIn: 42 * uptime, networkOut: 58 * uptime,
                diskSize: configuration.map { bootDiskSize($0, id.kind) } ?? 0)
        }
        let disks = storages().filter { isHere($0) }.map { storage in
            NodeStatus.Disk(
                name: storage.name, total: storage.total, used: usedBytes(storage),
                isActive: !faults.absentStorages.contains(storage.name))
        }
        board[name] = NodeStatus(
            node: name, at: now, uptimeSeconds: uptimeSeconds, cores: settings.cores, memory: settings.memory,
            memoryUsed: 2_918_490_112, guests: guests, storages: disks,
            tasks: Array((tasks.summaries + formerTasks).prefix(25)), fingerprint: settings.fingerprint)
    }

    var uptimeSeconds: Int { Int((now - booted) / 1_000) }

    /// The guests whose configurations are in this node's folders.
    func ownGuests() -> [GuestID] { guests(on: name) }

    func guests(on node: String) -> [GuestID] {
        GuestKind.allCases.flatMap { kind in
            files.list("nodes/\(node)/\(kind.folder)").compactMap { file -> GuestID? in
                guard file.hasSuffix(".conf") else { return nil }
                return Int(file.dropLast(5)).map { GuestID(kind, $0) }
            }
        }.sorted()
    }

    /// The node whose folder has a guest's configuration.
    func owner(of vmid: Int) -> (node: String, guest: GuestID)? {
        for node in settings.nodes.map(\.name) {
            for kind in GuestKind.allCases where files.exists(GuestID(kind, vmid).path(on: node)) {
                return (node, GuestID(kind, vmid))
            }
        }
        return nil
    }

    // MARK: A guest that comes over

    private mutating func takeOver(_ handOver: PeerMessage.HandOver, from peer: String) {
        if handOver.running != nil, running[handOver.guest] != nil {
            send(.tookOver(handOver.task), to: peer)
            return
        }
        if handOver.running != nil, !membership.isReady(now: now) {
            send(.refusesHandOver(handOver.task, "migration aborted (cluster not ready - no quorum?)"), to: peer)
            return
        }
        for (identifier, volume) in handOver.volumes { volumes.volumes[identifier] = volume }
        if var guest = handOver.running {
            do throws(APIError) {
                try handImages(guest.images, to: handOver.guest)
            } catch {
                send(.refusesHandOver(handOver.task, "migration aborted (\(error.reason))"), to: peer)
                return
            }
            guest.pid = takePID()
            running[handOver.guest] = guest
            orders.append(.start(handOver.guest, pid: guest.pid, isIncoming: true))
        }
        send(.tookOver(handOver.task), to: peer)
    }

    /// Makes this host the writer of images that another host had open.
    private mutating func handImages(_ images: [String], to guest: GuestID) throws(APIError) {
        let writer = imageWriter(guest)
        for image in images where volumes.volumes[image] != nil { volumes.volumes[image]?.writer = writer }
        let distant = images.filter { volumes.volumes[$0] == nil }
        guard !distant.isEmpty else { return }
        try shared.change { table throws(APIError) in
            for image in distant { table.volumes[image]?.writer = writer }
        }
    }

    /// Another node has answered: it is there.
    public mutating func heard(of node: String) { membership.heard(of: node, now: now) }

    // MARK: Orders by hand

    /// `pvecm expected N`.
    /// - Throws: `APIError` for a number that corosync refuses.
    public mutating func expectVotes(_ votes: Int) throws(APIError) { try membership.expect(votes, now: now) }

    public mutating func qdevice(votes: Bool) { membership.qdevice(votes: votes, now: now) }

    /// `pmxcfs -l`: alone and writable. Back with false; the files are compared with the others' then.
    public mutating func setLocal(_ isLocal: Bool) {
        membership.isLocal = isLocal
        membership.advance(to: now)
    }

    /// The state of a cluster in which everything has been in order for a while: what a test begins with.
    public mutating func settle(online names: [String]) { membership.settle(online: names, now: now) }
}
