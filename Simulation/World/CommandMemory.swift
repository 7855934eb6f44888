// Remembers commands that were written for the log or read from it: every member of a world reads the same bytes, and
// reading them is the most expensive thing a step of an agent does.

import Agent
import Cluster
import Consensus

/// Belongs to one world, which one thread runs; hence no lock.
final class CommandMemory: @unchecked Sendable {
    private struct Known {
        let bytes: [UInt8]
        let record: CommandRecord?
    }

    /// A member that starts anew reads its whole log: worth remembering more than what is on its way.
    private static let most = 4_096
    private var known: SortedMap<UInt64, Known> = [:]

    func read(_ bytes: [UInt8]) -> CommandRecord? {
        let key = Self.key(bytes)
        if let found = known.look(key, { $0.bytes == bytes ? $0 : nil }) ?? nil { return found.record }
        let record = AgentSetup.read(bytes)
        remember(key, bytes, record)
        return record
    }

    func write(_ record: CommandRecord) -> [UInt8]? {
        guard let bytes = AgentSetup.write(record) else { return nil }
        let key = Self.key(bytes)
        // One in sixteen is read from its bytes all the same.
        if key % 16 != 0 { remember(key, bytes, record) }
        return bytes
    }

    private func remember(_ key: UInt64, _ bytes: [UInt8], _ record: CommandRecord?) {
        if known.count >= Self.most { known = [:] }
        known[key] = Known(bytes: bytes, record: record)
    }

    private static func key(_ bytes: [UInt8]) -> UInt64 {
        var key: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { key = (key ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return key ^ key >> 32
    }
}
