// Where a health check connects to: `127.0.0.1:6443`, and for HTTP with a path: `127.0.0.1:6443/readyz`.
// Only the form is checked; names are looked up by whoever connects.

/// Host and port.
public struct Endpoint: Hashable, Sendable {
    /// An IPv4 address or a host name.
    public let host: String
    /// 1 to 65535.
    public let port: Int

    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, Self.isHost(parts[0]) else { return nil }
        guard (1...5).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(parts[1]), (1...65_535).contains(port)
        else { return nil }
        host = String(parts[0])
        self.port = port
    }

    /// Letters, digits, hyphens and dots, at most 253 characters. What looks like an address must be one.
    private static func isHost(_ text: Substring) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }) {
            return IPv4Address(String(text)) != nil
        }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.utf8.first != UInt8(ascii: "-")
                && label.utf8.last != UInt8(ascii: "-")
                && label.utf8.allSatisfy { CharacterClass.isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }
        }
    }
}

/// Host, optional port, and path, without the scheme.
public struct WebAddress: Hashable, Sendable {
    /// As it was written, ready to stand behind `http://`.
    public let text: String

    public static let mostCharacters = 500

    public init?(_ text: String) {
        guard text.utf8.count <= Self.mostCharacters else { return nil }
        // Printable ASCII only, as in a request line; anything else has to be percent-encoded.
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else { return nil }
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        let authority = text[..<slash]
        let withPort = authority.contains(":") ? String(authority) : "\(authority):80"
        guard Endpoint(withPort) != nil else { return nil }
        self.text = text
    }
}

/// Classes of ASCII characters.
enum CharacterClass {
    static func isLowercaseOrDigit(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    }
    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isLowercaseOrDigit(byte) || (0x41...0x5A).contains(byte)
    }
}
