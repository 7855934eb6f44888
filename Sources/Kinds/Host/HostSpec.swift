// The Host kind: a physical machine. Everything on it goes down together.
// It describes the machine to people and keeps its address from being given away; members join by token.

import Cluster

/// The spec of a Host, checked.
public struct HostSpec: Hashable, Sendable {
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
        kind: "Host",
        documentation: """
            A physical machine. Its name is the name of the member that runs on it. Everything on it goes down \
            together, so a host has one vote at most.
            """,
        spec: ObjectType([
            Field("address", .text(.ipv4Address), .required, "Its own address, which stays with the machine."),
            Field("description", .text(.prose(mostCharacters: 1_000)), .optional, "What people should know about it."),
        ]),
        example: """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            """)
}
