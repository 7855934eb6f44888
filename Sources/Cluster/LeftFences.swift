// What is left of the fences of machines that are no hosts of this cluster any more: addresses that the storage refuses.
//
// An entry in the storage's blocklist stands for years and knows nothing of clusters, members and names. The machine that
// comes next with the same address (the replacement of a dead one, the same one joined anew, a cluster restored from a
// backup) could open no disk, and nobody would have a fence open that could be lifted. So an address stays known when its
// host goes, and who says that it has it goes the way of a host that is back from a fence.
//
// Relies on: hosts, which say their addresses (reportHost). Does not: take an entry away for which nobody has come.

import Consensus

/// An address that was barred when its host went.
public struct LeftFence: Hashable, Sendable {
    /// Whose it was.
    public var host: String
    /// The epoch of the fence.
    public var epoch: UInt64
    /// As of the host: who may be at an order about the address still.
    public var ordered: [MemberID] = []
    /// As of the host: deleted workloads of which something may run there still.
    public var retired: SortedMap<ResourceKey, Declaration> = [:]

    /// What another fence left of the same host, or at the same address.
    mutating func add(_ other: LeftFence) {
        epoch = max(epoch, other.epoch)
        for member in other.ordered where !ordered.contains(member) { ordered.append(member) }
        for (key, declaration) in other.retired.pairs { retired[key] = declaration }
    }
}

extension ClusterState {
    /// With so many no member is removed whose fence would leave more: a cluster has far fewer machines in all its time.
    static let mostLeftBeforeRemoval = 256
    /// More are not kept, whatever leaves them; those of the oldest fences are forgotten first.
    static let mostLeftFences = 4_096

    /// A host goes; what it leaves barred stays known.
    /// - Returns: the addresses that stay barred, as words; empty: none does.
    @discardableResult
    mutating func forgetHost(_ name: String) -> String {
        guard let host = hosts[name] else { return "" }
        retiredFenceEpoch = max(retiredFenceEpoch, host.fenceEpoch)
        hosts[name] = nil
        forgetLeftovers(on: name)
        forgetSightings(on: name)
        guard !host.barred.isEmpty else { return "" }
        for address in host.barred { leaveBehind(address, of: name, host) }
        return host.barred.joined(separator: ", ")
    }

    /// A host that a recovery went on without, and that nobody waits for any more. While something belongs there it stays known,
    /// and so does another one that has its name by now.
    mutating func forgetTheDead(_ name: String) {
        guard member(named: name) == nil, !placements.values.contains(where: { $0.hosts.contains(name) }) else {
            return
        }
        forgetHost(name)
    }

    private mutating func leaveBehind(_ address: String, of name: String, _ host: HostRecord) {
        var left = leftFences[address] ?? LeftFence(host: name, epoch: host.fenceEpoch)
        left.host = name
        left.add(LeftFence(host: name, epoch: host.fenceEpoch, ordered: host.ordered, retired: host.retired))
        leftFences[address] = left
        guard leftFences.count > Self.mostLeftFences else { return }
        let oldest = leftFences.pairs.min { ($0.1.epoch, $0.0) < ($1.1.epoch, $1.0) }
        if let oldest { leftFences[oldest.0] = nil }
    }

    /// A host has an address that is barred since another one had it. Other addresses of that one stay barred until somebody
    /// has them: it is not certain that they went to the same machine.
    ///
    /// Where nothing belongs it may be the very machine that was fenced, joined anew with guests of then: they end first, as on
    /// every host that is back. One that has changed its address goes on with what it runs.
    mutating func takeUpFence(of name: String, _ record: CommandRecord) {
        guard let host = hosts[name], host.fence.isNone else { return }
        let own = storageAddresses(of: name)
        for address in own { leaveBehindTheDead(with: address, besides: name) }
        let taken = own.filter(leftFences.contains)
        guard var left = taken.first.flatMap({ leftFences[$0] }) else { return }
        for address in taken {
            if let other = leftFences[address] { left.add(other) }
            leftFences[address] = nil
        }
        let address = taken.joined(separator: ", ")
        let now = revision
        let isEmpty = !placements.values.contains { $0.hosts.contains(name) }
        let words = "its address \(address) is barred by the storage since \(left.host) was fenced"
        let event = note("FenceTakenUp", "host/\(name)", words, cause: host.lastEvent, record)
        _ = hosts.update(name) {
            $0.fenceEpoch = max($0.fenceEpoch, left.epoch) + 1
            $0.barred = Array(taken.prefix(HostRecord.mostBarred))
            $0.ordered = left.ordered
            $0.lastEvent = event
            if isEmpty {
                $0.fence = .proven(.cephBlocklist, proof: words)
                $0.proofs = [FenceProof(.cephBlocklist, words: words, ordered: 0, since: now)]
                $0.retired = left.retired
            } else {
                // Nobody has an order yet; the leader gives one.
                $0.fence = .withdrawn(.cephBlocklist, by: left.ordered.first ?? MemberID(rawValue: 0))
            }
        }
    }

    /// A host that a recovery went on without is never heard of again; its address may be another one's now.
    private mutating func leaveBehindTheDead(with address: String, besides name: String) {
        for (other, host) in hosts.pairs
        where other != name && host.barred.contains(address) && member(named: other) == nil
            && leftFences[address] == nil
        {
            leaveBehind(address, of: other, host)
            _ = hosts.update(other) { $0.barred.removeAll { $0 == address } }
        }
    }
}

extension StateWriter {
    /// Fields 51 and 52 of the state.
    mutating func writeLeftFences(_ state: ClusterState) {
        field(51, state.retiredFenceEpoch)
        for (address, left) in state.leftFences.pairs {
            record(52) {
                $0.field(1, address)
                $0.field(2, left.host)
                $0.field(3, left.epoch)
                for member in left.ordered { $0.present(4, member.rawValue) }
                for declaration in left.retired.values { $0.record(5) { $0.write(declaration) } }
            }
        }
    }
}

extension StateReader {
    mutating func leftFence() throws(StateDecodingError) -> (String, LeftFence) {
        var address = ""
        var left = LeftFence(host: "", epoch: 0)
        while let field = try next() {
            switch field {
            case 1: address = try text()
            case 2: left.host = try text()
            case 3: left.epoch = try count()
            case 4: left.ordered.append(MemberID(rawValue: try number()))
            case 5:
                let declaration = try retiredDeclaration()
                try ascend(declaration.key, after: left.retired.keys.last)
                left.retired[declaration.key] = declaration
            default: throw unknown(field, of: "what is left of a fence")
            }
        }
        return (address, left)
    }
}
