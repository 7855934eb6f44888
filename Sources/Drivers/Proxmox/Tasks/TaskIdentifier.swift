// The name Proxmox gives to work it does in the background. Holds where it runs and what it is; says nothing of how far
// it is.

/// `UPID:node:pid:pstart:starttime:type:id:user:`, with numbers in hexadecimal.
public struct TaskIdentifier: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public let node: String
    public let process: UInt32
    /// When it started, in seconds since 1970, by the clock of its node.
    public let startedSeconds: UInt32
    /// `qmstart`, `vzdump`, ...
    public let type: String
    /// Mostly the number of the guest.
    public let subject: String
    public let user: String

    /// nil when it is no such name.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 9, parts[0] == "UPID", parts[8].isEmpty, text.utf8.count <= 400,
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "/") }),
            NodeName(String(parts[1])) != nil, parts[2].count == 8, let process = UInt32(parts[2], radix: 16),
            (8...9).contains(parts[3].count), UInt64(parts[3], radix: 16) != nil,
            parts[4].count == 8, let started = UInt32(parts[4], radix: 16), !parts[5].isEmpty, !parts[7].isEmpty
        else { return nil }
        self.text = text
        node = String(parts[1])
        self.process = process
        startedSeconds = started
        type = String(parts[5])
        subject = String(parts[6])
        user = String(parts[7])
    }

    /// Work handed to Proxmox's own high availability. It ends well before anything has happened.
    public var belongsToProxmoxHA: Bool {
        ["hastart", "hastop", "hashutdown", "hamigrate", "harelocate", "ha-manager"].contains(type)
    }

    public var description: String { text }
}

/// The name of a host in Proxmox: a host name without dots.
public struct NodeName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// nil when it is no host name.
    public init?(_ text: String) {
        let isFit = text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isFit, (1...63).contains(text.utf8.count), text.first != "-", text.last != "-" else { return nil }
        self.text = text
    }

    public var description: String { text }
    public static func < (left: NodeName, right: NodeName) -> Bool { left.text < right.text }
}
