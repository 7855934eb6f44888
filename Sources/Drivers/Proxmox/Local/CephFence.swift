// Fences a host off its disks through Ceph: its addresses are barred from every image, and the proof of it is the number
// of the map that says so. Through the `ceph` and `rbd` programs, through whatever monitors are left. When it is right to
// do so is decided elsewhere.

import Cluster
import Consensus
import Glibc

/// A client of an image: a QEMU process, as Ceph sees it.
public struct ImageWatcher: Hashable, Comparable, Sendable {
    /// `10.77.0.1`, or `fd00::1`.
    public let address: String
    /// Tells one process from the next at the same address.
    public let nonce: UInt64
    /// With port and nonce, as Ceph writes it.
    public let text: String

    public init?(_ text: String) {
        guard let slash = text.lastIndex(of: "/"), let nonce = UInt64(text[text.index(after: slash)...]),
            let colon = text[..<slash].lastIndex(of: ":")
        else { return nil }
        var address = text[..<colon]
        // `v1:` or `any:` before it says which protocol.
        if let mark = address.firstIndex(of: ":"), ["v1", "v2", "any"].contains(String(address[..<mark])) {
            address = address[address.index(after: mark)...]
        }
        if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
        guard !address.isEmpty else { return nil }
        self.address = String(address)
        self.nonce = nonce
        self.text = text
    }

    public static func < (left: ImageWatcher, right: ImageWatcher) -> Bool { left.text < right.text }
}

/// The proof that a host is fenced off its disks.
public struct BlocklistProof: Hashable, Sendable {
    /// A map with this number bars the addresses; a new writer must have seen one at least as new.
    public let mapEpoch: UInt64
    /// As Ceph has them now.
    public let entries: [String]
    /// The storage daemons at the addresses that this map takes for up.
    public let daemonsUp: [Int64]
}

/// Ceph's commands on this host.
public struct CephFence: Hashable, Sendable {
    public var ceph: LocalProgram
    public var rbd: LocalProgram
    /// Arguments before all others: `--conf`, `--id`, `--keyring`.
    public var options: [String]

    public init(
        ceph: LocalProgram = LocalProgram("/usr/bin/ceph", limit: .seconds(20)),
        rbd: LocalProgram = LocalProgram("/usr/bin/rbd", limit: .seconds(10)), options: [String] = []
    ) {
        (self.ceph, self.rbd, self.options) = (ceph, rbd, options)
    }

    static let advice = "see ceph status: a majority of the monitors must be there, and the key may need more rights"

    /// Bars every client at these addresses, and waits for the map that does.
    /// - Parameter seconds: for how long. Lifting it needs proof that no old client is left, so years are right.
    /// - Throws: when it is not certain to be in force. Asked for again, nothing changes but the time it ends.
    public func fence(addresses: [String], seconds: Int64) async throws(LocalProgramError) -> BlocklistProof {
        let attempted = "bar \(addresses.joined(separator: ", ")) from Ceph's images"
        let canonical = try Self.canonical(addresses, attempted)
        for address in canonical {
            _ = try await ceph.run(
                options + ["osd", "blocklist", "add", Self.entry(address), "\(seconds)"],
                attempted: "bar \(address) from Ceph's images", advice: Self.advice)
        }
        let map = try await map("prove that \(addresses.joined(separator: ", ")) is barred from Ceph's images")
        let missing = canonical.map(Self.entry).filter { !map.barred.contains($0) }
        guard missing.isEmpty else {
            throw LocalProgramError(
                .unreadable, attempted: attempted,
                answer: "the map \(map.epoch) does not bar \(missing.joined(separator: ", "))", advice: Self.advice)
        }
        return BlocklistProof(
            mapEpoch: map.epoch, entries: map.barred,
            daemonsUp: map.daemons.filter { $0.isUp && canonical.contains($0.address) }.map(\.number))
    }

    /// Lifts the bar. **Only after the host has proved that it was started anew and no old machine is left on it**: a
    /// client without exclusive-lock writes again at once.
    /// Of one that is not there nothing is said: Ceph takes that for done.
    public func lift(addresses: [String]) async throws(LocalProgramError) {
        for address in try Self.canonical(addresses, "lift the bar of \(addresses.joined(separator: ", "))") {
            _ = try await ceph.run(
                options + ["osd", "blocklist", "rm", Self.entry(address)], attempted: "lift the bar of \(address)",
                advice: Self.advice)
        }
    }

    /// Whether any client at one of these addresses is barred now.
    public func isBarred(addresses: [String]) async throws(LocalProgramError) -> Bool {
        let attempted = "ask whether \(addresses.joined(separator: ", ")) is barred from Ceph's images"
        let canonical = try Self.canonical(addresses, attempted)
        let map = try await map(attempted)
        return canonical.contains { map.barred.contains(Self.entry($0)) }
    }

    /// Marks storage daemons of a dead host down, so that nobody waits for them. One that lives comes up again by itself.
    /// - Parameter within: what is left of the time in which the order may have an effect. Without any nothing is done.
    public func markDown(_ daemons: [Int64], within: Interval) async throws(LocalProgramError) {
        guard !daemons.isEmpty else { return }
        let attempted = "mark the storage daemons \(daemons) down"
        var ceph = ceph
        ceph.limit = min(ceph.limit, within)
        guard ceph.limit > .zero else {
            throw LocalProgramError(
                .notStarted, attempted: attempted, answer: "the fence took all the time that its order had",
                advice: "they are found to be down by the others: see ceph osd tree")
        }
        _ = try await ceph.run(
            options + ["osd", "down"] + daemons.map { "\($0)" }, attempted: attempted, advice: Self.advice)
    }

    /// Which clients have an image open for writing: recorded while they live, since looking for them after a failure
    /// may name the wrong host.
    /// - Parameter image: `pool/image` or `pool/namespace/image`.
    public func watchers(of image: String) async throws(LocalProgramError) -> [ImageWatcher] {
        let attempted = "ask who has \(image) open"
        let text = try await rbd.run(
            options + ["status", image, "--format", "json"], attempted: attempted, advice: Self.advice)
        guard let data = try? JSONReader.value(Array(text.utf8)), let entries = data["watchers"] else {
            throw unreadable(attempted)
        }
        // A list, or in old versions an object of numbered fields.
        let list = entries.object.map { $0.values } ?? entries.lenientList ?? []
        return list.compactMap { $0["address"]?.lenientText.flatMap(ImageWatcher.init) }.sorted()
    }

    // MARK: The map

    struct Map {
        struct Daemon {
            let number: Int64
            let address: String
            let isUp: Bool
        }
        var epoch: UInt64
        var barred: [String]
        var daemons: [Daemon]
    }

    func map(_ attempted: String) async throws(LocalProgramError) -> Map {
        let text = try await ceph.run(
            options + ["osd", "dump", "--format", "json"], attempted: attempted, advice: Self.advice)
        // `osd blocklist ls` prints two documents glued together; the dump has it all in one.
        guard let data = try? JSONReader.value(Array(text.utf8)),
            let epoch = data["epoch"]?.lenientInt.flatMap(UInt64.init(exactly:)), let barred = data["blocklist"]?.object
        else { throw unreadable(attempted) }
        let daemons = (data["osds"]?.lenientList ?? []).compactMap { entry -> Map.Daemon? in
            guard let number = entry["osd"]?.lenientInt, let text = entry["public_addr"]?.lenientText,
                let place = ImageWatcher(text)
            else { return nil }
            return Map.Daemon(number: number, address: place.address, isUp: entry["up"]?.lenientBool ?? false)
        }
        return Map(epoch: epoch, barred: barred.keys, daemons: daemons)
    }

    private func unreadable(_ attempted: String) -> LocalProgramError {
        LocalProgramError(
            .unreadable, attempted: attempted, answer: "it printed something else than expected", advice: Self.advice)
    }

    /// All ports and all nonces of an address.
    static func entry(_ address: String) -> String {
        address.contains(":") ? "[\(address)]:0/0" : "\(address):0/0"
    }

    /// The addresses in the one way in which Ceph writes them. `FD00:0::1` bars `fd00::1`, and compared letter by letter no
    /// map would ever prove it, nor show that there is something to be lifted.
    private static func canonical(_ addresses: [String], _ attempted: String) throws(LocalProgramError) -> [String] {
        var canonical: [String] = []
        for address in addresses {
            guard let text = StorageAddress.canonical(address) else {
                throw LocalProgramError(
                    .unreadable, attempted: attempted, answer: "\(address) is no IP address",
                    advice: "correct the host's storage address")
            }
            canonical.append(text)
        }
        return canonical
    }
}

/// An address on the storage network as the system, and with it Ceph, writes it.
enum StorageAddress {
    /// nil: it is none. Names are none: whoever answers for a name may be another host when it is fenced.
    static func canonical(_ text: String) -> String? {
        for (family, length) in [(AF_INET, INET_ADDRSTRLEN), (AF_INET6, INET6_ADDRSTRLEN)] {
            // The longer of both kinds of addresses.
            var address = in6_addr()
            guard inet_pton(family, text, &address) == 1 else { continue }
            var written = [CChar](repeating: 0, count: Int(length))
            guard inet_ntop(family, &address, &written, socklen_t(length)) != nil else { continue }
            return String(decoding: written.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        return nil
    }
}
