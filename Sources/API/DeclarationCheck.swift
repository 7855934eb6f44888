// What is checked of declarations before they are proposed: whatever client sent them, a spec that makes no sense to
// its kind never reaches the log.

import Cluster
import Consensus

extension API {
    /// Most resources one request may declare.
    static let mostDeclarations = 2_000

    /// The declarations, when they are all valid together with what the cluster has.
    /// - Throws: `APIFailure` with `invalid` and everything that is wrong.
    func checked(_ documents: [ResourceDocument], against state: ClusterState) throws -> [Declaration] {
        guard documents.count <= Self.mostDeclarations else {
            throw APIFailure(.badRequest, "one request declares at most \(Self.mostDeclarations) resources")
        }
        var problems: [String] = []
        var seen = SortedMap<ResourceKey, Bool>()
        for document in documents {
            let declaration = document.declaration
            if let version = document.apiVersion, version != ResourceDocument.version {
                problems.append("\(declaration.key): apiVersion is \(version); this cluster understands \(ResourceDocument.version)")
            }
            if !Self.isName(declaration.name) {
                problems.append(
                    "\(declaration.key): a name has 1 to 63 lower-case letters, digits and hyphens, and begins and ends with one of the former")
            }
            if seen.contains(declaration.key) { problems.append("\(declaration.key) is declared twice") }
            seen[declaration.key] = true
        }
        guard problems.isEmpty else {
            throw APIFailure(
                .invalid, "\(problems.count) of what was declared is not valid", next: "see the fields: holdfast explain KIND",
                problems: problems)
        }
        return documents.map(\.declaration)
    }

    /// A DNS label (RFC 1123, 2.1).
    private static func isName(_ text: String) -> Bool {
        func isLetterOrDigit(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isLetterOrDigit(first) && isLetterOrDigit(last)
            && text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }
    }
}
