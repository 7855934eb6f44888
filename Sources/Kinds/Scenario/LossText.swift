// Losses as people write them: `host/pve1`, `vm/gitlab`, `link/pve1:pve2`. Only their form; whether there is such a machine
// is known to whoever has the cluster's state.

import Cluster

/// One thing that can be lost, by its words.
public struct LossText: Hashable, Sendable {
    public enum Subject: String, Hashable, Sendable, CaseIterable {
        case host, member, witness
        /// A virtual machine's process, or a container's.
        case vm, ct
        /// What connects two machines.
        case link
        /// What connects a machine to everybody.
        case network
    }

    public let subject: Subject
    /// For a link two names with a colon between them.
    public let name: String

    public init(_ subject: Subject, _ name: String) {
        self.subject = subject
        self.name = name
    }

    private static let otherWords: [(word: String, subject: Subject)] = [
        ("hosts", .host), ("members", .member), ("virtualmachine", .vm), ("container", .ct), ("systemcontainer", .ct),
        ("lxc", .ct), ("links", .link),
    ]

    /// By what people type, in any letter case.
    public static func subject(called word: String) -> Subject? {
        let word = word.lowercased()
        return Subject(rawValue: word) ?? otherWords.first { $0.word == word }?.subject
    }

    public static let subjects = Subject.allCases.map(\.rawValue)

    /// The word and the name of `host/pve1` or `host:pve1`; nil: there is no separator.
    public static func parts(of text: String) -> (word: String, name: String)? {
        guard let separator = text.firstIndex(where: { $0 == "/" || $0 == ":" }) else { return nil }
        return (String(text[..<separator]), String(text[text.index(after: separator)...]))
    }

    /// The two ends of a link: `pve1:pve2` or `pve1|pve2`.
    public static func ends(of name: String) -> (one: String, other: String)? {
        let ends = name.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "|" }.map(String.init)
        guard ends.count == 2, ends[0] != ends[1], ends.allSatisfy({ !$0.isEmpty }) else { return nil }
        return (ends[0], ends[1])
    }

    /// - Returns: nil for what is no loss.
    public init?(_ text: String) {
        guard let (word, name) = Self.parts(of: text), let subject = Self.subject(called: word), !name.isEmpty else {
            return nil
        }
        if subject == .link, Self.ends(of: name) == nil { return nil }
        self.init(subject, name)
    }

    /// What the text should have been.
    public static let expected = "a loss such as host/pve1, vm/gitlab, link/pve1:pve2 or network/pve1"
}
