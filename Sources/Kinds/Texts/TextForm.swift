// The forms a text in a spec may have: a name, an address, an interface, and so on. A form knows what it accepts, how
// to say so, and what a near miss was probably meant to be.

/// What a text must look like.
public enum TextForm: Hashable, Sendable {
    /// Any text that is not empty, of at most so many characters, on one line.
    case line(mostCharacters: Int)
    /// Any text of at most so many characters, empty and with line breaks if need be.
    case prose(mostCharacters: Int)
    /// The name of a resource or a member: lower-case letters, digits and inner hyphens, 1 to 63.
    case name
    /// The name of a label: letters and digits, with `-`, `_`, `.` and `/` inside, 1 to 100.
    case labelName
    /// An IPv4 address that a machine can have.
    case ipv4Address
    /// An address of either family that a machine can have, in its one spelling, with the length of its network's prefix.
    case ipInterface
    /// A network interface as Linux names them.
    case networkInterface
    /// `host:port`.
    case endpoint
    /// `host:port/path`, without a scheme.
    case webAddress
    /// An amount of memory or disk: `12Gi`.
    case byteSize
    /// What a resource is called by others: `VirtualMachine/gitlab`.
    case reference

    /// A noun phrase.
    public var expected: String {
        switch self {
        case .line(let most): "a text of 1 to \(most) characters on one line"
        case .prose(let most): "a text of at most \(most) characters"
        case .name:
            "a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit"
        case .labelName:
            "a label of 1 to 100 letters, digits, '-', '_', '.' and '/' that starts and ends with a letter or digit"
        case .ipv4Address: "an IPv4 address, such as 192.168.1.106"
        case .ipInterface: "an IP address with its prefix length, such as 192.168.1.99/24 or fd00::99/64"
        case .networkInterface: "a network interface, such as vmbr0"
        case .endpoint: "host:port, such as 127.0.0.1:6443"
        case .webAddress: "host:port/path without a scheme, such as 127.0.0.1:6443/readyz"
        case .byteSize: "an amount in Mi, Gi or Ti, such as 512Mi or 12Gi"
        case .reference: "a kind and a name, such as VirtualMachine/gitlab"
        }
    }

    /// Two or three words for the table of a kind's fields.
    public var summary: String {
        switch self {
        case .line, .prose: "text"
        case .name: "name"
        case .labelName: "label"
        case .ipv4Address: "IPv4 address"
        case .ipInterface: "IP address/prefix length"
        case .networkInterface: "network interface"
        case .endpoint: "host:port"
        case .webAddress: "host:port/path"
        case .byteSize: "amount"
        case .reference: "kind/name"
        }
    }

    public func accepts(_ text: String) -> Bool {
        switch self {
        case .line(let most):
            !text.isEmpty && text.unicodeScalars.count <= most && !text.unicodeScalars.contains { $0.value < 0x20 }
        case .prose(let most): text.unicodeScalars.count <= most && !text.unicodeScalars.contains { $0.value == 0 }
        case .name: Self.isName(text)
        case .labelName: Self.isLabelName(text)
        case .ipv4Address: IPv4Address(text).map { $0.unusable == nil } ?? false
        case .ipInterface: IPInterface(text).map { $0.objection == nil && $0.description == text } ?? false
        case .networkInterface: Self.isNetworkInterface(text)
        case .endpoint: Endpoint(text) != nil
        case .webAddress: WebAddress(text) != nil
        case .byteSize: ByteSize.parse(text) != nil
        case .reference: Self.reference(text) != nil
        }
    }

    /// Why a text of the right form is still refused: a network's own address, a loopback address.
    public func objection(to text: String) -> String? {
        switch self {
        case .ipv4Address: return IPv4Address(text)?.unusable
        case .ipInterface:
            guard let interface = IPInterface(text) else { return nil }
            if let objection = interface.objection { return objection }
            return interface.description == text ? nil : "another spelling than that of RFC 5952"
        default: return nil
        }
    }

    /// What was probably meant by a text that is refused; always a text that is accepted.
    public func suggestion(for text: String) -> String? {
        let trimmed = Self.trimmed(text)
        let guesses: [String]
        switch self {
        case .line, .prose: guesses = []
        case .name, .labelName: guesses = [Self.nameGuess(trimmed)]
        case .ipv4Address: guesses = [trimmed, Self.withoutPrefixLength(trimmed), Self.withoutLeadingZeros(trimmed)]
        case .ipInterface: guesses = Self.interfaceGuesses(trimmed)
        case .networkInterface: guesses = [trimmed]
        case .byteSize: guesses = [trimmed, Self.sizeGuess(trimmed)]
        case .reference: guesses = [trimmed, "VirtualMachine/" + trimmed]
        case .endpoint, .webAddress: guesses = [trimmed, Self.withoutScheme(trimmed), "127.0.0.1:" + trimmed]
        }
        return guesses.first { $0 != text && accepts($0) }
    }

    // MARK: Forms

    /// `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`, as a label in a host name (RFC 1123).
    static func isName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), let first = bytes.first, let last = bytes.last else { return false }
        return CharacterClass.isLowercaseOrDigit(first) && CharacterClass.isLowercaseOrDigit(last)
            && bytes.allSatisfy { CharacterClass.isLowercaseOrDigit($0) || $0 == UInt8(ascii: "-") }
    }

    /// Kind and name; the kind is not looked up.
    static func reference(_ text: String) -> (kind: String, name: String)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, (1...63).contains(parts[0].utf8.count),
            parts[0].utf8.allSatisfy({ CharacterClass.isLetterOrDigit($0) }), isName(parts[1])
        else { return nil }
        return (parts[0], parts[1])
    }

    static func isLabelName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...100).contains(bytes.count), let first = bytes.first, let last = bytes.last else { return false }
        return CharacterClass.isLetterOrDigit(first) && CharacterClass.isLetterOrDigit(last)
            && bytes.allSatisfy { CharacterClass.isLetterOrDigit($0) || "-_./".utf8.contains($0) }
    }

    /// What the kernel accepts: 1 to 15 bytes, no slash, no colon, no white space, not `.` or `..`.
    static func isNetworkInterface(_ text: String) -> Bool {
        guard (1...15).contains(text.utf8.count), text != ".", text != ".." else { return false }
        return text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"/:".utf8.contains($0) }
    }

    // MARK: Guesses

    private static func trimmed(_ text: String) -> String {
        let inner = text.drop { $0.isWhitespace }
        guard let last = inner.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(inner[...last])
    }

    /// `12G`, `12GB` and `12 GiB` are probably 12Gi.
    private static func sizeGuess(_ text: String) -> String {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard let unit = text.dropFirst(digits.count).first(where: { !$0.isWhitespace }) else { return "" }
        return "\(digits)\(unit.uppercased())i"
    }

    private static func nameGuess(_ text: String) -> String {
        let letters = text.lowercased().map { $0.isWhitespace || $0 == "_" || $0 == "." ? "-" : $0 }
        return String(letters)
    }

    private static func interfaceGuesses(_ text: String) -> [String] {
        guard text.contains(":") else { return [text, text + "/24", withoutLeadingZeros(text)] }
        // A zone says which interface is meant, for which there is a field.
        let unzoned = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            .map { $0.prefix { $0 != "%" } }.joined(separator: "/")
        return [unzoned, unzoned + "/64"].compactMap { IPInterface($0)?.description }
    }

    private static func withoutPrefixLength(_ text: String) -> String {
        String(text.prefix { $0 != "/" })
    }

    private static func withoutLeadingZeros(_ text: String) -> String {
        let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let quad = halves.first else { return text }
        let parts = quad.split(separator: ".", omittingEmptySubsequences: false).map { part in
            let digits = part.drop { $0 == "0" }
            return digits.isEmpty && !part.isEmpty ? "0" : String(digits)
        }
        return ([parts.joined(separator: ".")] + halves.dropFirst().map(String.init)).joined(separator: "/")
    }

    private static func withoutScheme(_ text: String) -> String {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return text }
        return String(text[text.index(colon, offsetBy: 3)...])
    }
}
