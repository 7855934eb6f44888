// What scenario files can speak of before the product can do it: known by name, so that the answer is which part is not
// there yet, and not that the word is unknown. The one table of it; whoever builds a part takes its rows out here, and
// the index of cases (Simulation/CaseIndex.yaml) then asks for the cases that waited for it.

/// A part of the product, or of the simulated world, that is not built yet.
public enum MissingPart: String, CaseIterable, Hashable, Sendable {
    case authorities

    /// One sentence for a person who asked for it.
    public var sentence: String {
        switch self {
        case .authorities: "DNS and DHCP are not served yet, so there is no authority of which there could be two"
        }
    }

    /// Fields of a scenario that wait, by their path without indices.
    static let fields: [(path: String, part: MissingPart)] = []

    /// Verbs that wait, with what they take.
    static let verbs: [(verb: String, form: String, part: MissingPart)] = []

    /// Promises that wait, as `never` lists them.
    static let promises: [(name: String, part: MissingPart)] = [("doubleAuthority", .authorities)]
}
