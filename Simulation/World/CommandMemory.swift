// Remembers commands that were read from the log: every member of a world reads the same bytes, and reading them is the
// most expensive thing a step of an agent does.

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
        var key: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { key = (key ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        if let found = known[key], found.bytes == bytes { return found.record }
        let record = AgentSetup.read(bytes)
        if known.count >= Self.most { known = [:] }
        known[key] = Known(bytes: bytes, record: record)
        return record
    }
}
