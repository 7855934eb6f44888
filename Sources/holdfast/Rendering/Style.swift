// Colour, where the terminal has it. Without it the text is the same.

struct Style: Sendable {
    var colour: Bool

    static let plain = Style(colour: false)

    func good(_ text: String) -> String { paint("32", text) }
    func bad(_ text: String) -> String { paint("31;1", text) }
    func warning(_ text: String) -> String { paint("33", text) }
    func faint(_ text: String) -> String { paint("2", text) }
    func bold(_ text: String) -> String { paint("1", text) }

    /// Select Graphic Rendition (ECMA-48, 8.3.117).
    private func paint(_ code: String, _ text: String) -> String {
        colour && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
