// The addresses of a role as one text, which is what the replicated record keeps of them: one address, or several with
// a space between them, in ascending order of the texts. One address has one spelling, so equal texts are equal sets.

/// Reads and writes the text of a role's addresses.
public enum RoleAddresses {
    private static let separator: Character = " "

    /// - Parameter addresses: without prefix lengths, each in its one spelling.
    public static func text(of addresses: [String]) -> String {
        addresses.count == 1 ? addresses[0] : addresses.sorted().joined(separator: String(separator))
    }

    /// The addresses in a text.
    public static func list(_ text: String) -> [String] {
        // Mostly there is one.
        guard text.utf8.contains(0x20) else { return text.isEmpty ? [] : [text] }
        return text.split(separator: separator).map(String.init)
    }

    /// Whether one address is in both texts.
    public static func overlap(_ left: String, _ right: String) -> Bool {
        if left == right { return !left.isEmpty }
        guard left.utf8.contains(0x20) || right.utf8.contains(0x20) else { return false }
        let others = list(right)
        return list(left).contains { others.contains($0) }
    }

    /// The addresses of a VirtualIP's spec, which has either `address` or a list of `addresses`; nil when it has neither.
    static func declared(in spec: JSONValue) -> String? {
        if let one = spec["address"]?.string { return withoutPrefixLength(one) }
        guard let several = spec["addresses"]?.array else { return nil }
        return text(of: several.compactMap { $0["address"]?.string.map(withoutPrefixLength) })
    }

    private static func withoutPrefixLength(_ text: String) -> String { String(text.prefix { $0 != "/" }) }
}
