// The Witness kind: the small machine whose vote decides when two hosts cannot see each other.
// It describes the machine to people and keeps its address from being given away; members join by token.

import Cluster

/// The spec of a Witness, checked.
public struct WitnessSpec: Hashable, Sendable {
    /// Dotted quad.
    public let address: String
    public let description: String?

    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try Self.schema.checkedSpec(of: declaration)
        address = spec.text("address")
        description = spec.optionalText("description")
    }

    public static let schema = KindSchema(
        kind: "Witness",
        documentation: """
            A small machine apart from the hosts that keeps the log and votes, so that a majority is left when one host \
            is lost. It holds no address, runs nothing, and leads only when nobody else can. Its name is the name of \
            the member that runs on it.
            """,
        spec: ObjectType([
            Field("address", .text(.ipv4Address), .required, "Its own address."),
            Field("description", .text(.prose(mostCharacters: 1_000)), .optional, "What people should know about it."),
        ]),
        example: """
            apiVersion: holdfast/v1
            kind: Witness
            metadata: {name: witness}
            spec:
              address: 192.168.1.108
            """)
}
