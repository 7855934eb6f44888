// Under which addresses the storage knows the clients of a host: what the host says of itself, and what was seen of each of
// its guests while it ran, or of those of its boot before while nothing was seen of the present one. A fence by the storage has
// to keep out all of them, and nobody else.

import Consensus

/// A client of the storage, as the storage writes it: `10.77.0.1:0/3025817221`, `v1:[fd00::1]:6789/7`.
public enum StorageClient {
    /// The address alone, without protocol, port and number of the client; the text itself when it has another form, so that
    /// it is not left out silently.
    public static func address(of text: String) -> String {
        guard let slash = text.lastIndex(of: "/"), let colon = text[..<slash].lastIndex(of: ":") else { return text }
        var address = text[..<colon]
        if let mark = address.firstIndex(of: ":"), ["v1", "v2", "any"].contains(String(address[..<mark])) {
            address = address[address.index(after: mark)...]
        }
        if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
        return address.isEmpty ? text : String(address)
    }
}

extension ClusterState {
    /// Every address under which a host may have disks open, in order.
    public func storageAddresses(of host: String) -> [String] {
        var found: SortedMap<String, Bool> = [:]
        if let own = hosts.look(host, { $0.facts.storageAddress }), !own.isEmpty { found[own] = true }
        for address in hosts.look(host, { $0.earlierAddresses }) ?? [] { found[address] = true }
        for placement in placements.values {
            for client in placement.sightings[host]?.clients ?? [] { found[StorageClient.address(of: client)] = true }
        }
        return found.keys
    }

    /// Why the storage cannot keep out this host and nobody else; nil: it can.
    ///
    /// An address that two hosts claim was copied from one to the other: barred, it would take the disks from the one that is
    /// left, and leave them to the one that is lost.
    public func objectionToBlocklist(of host: String) -> String? {
        let own = storageAddresses(of: host)
        if own.isEmpty { return "its address on the storage network is not known" }
        if own.count > HostRecord.mostBarred { return "it has more than \(HostRecord.mostBarred) storage addresses" }
        // One that a recovery went on without says nothing any more.
        for other in hosts.keys where other != host && member(named: other) != nil {
            let others = storageAddresses(of: other)
            guard let shared = own.first(where: { others.contains($0) }) else { continue }
            return "\(shared) is the storage address of \(other) as well; correct storageAddress on one of them"
        }
        return nil
    }
}
