// The addresses of a VirtualIP as people write them: one `address`, or a list of `addresses`, each with the interface it
// goes on. Says what must hold between these fields, and reads them.

import Cluster
import Consensus

extension VirtualIPSpec {
    /// At most so many addresses are held together: the kernel lets them speak in one transaction.
    static let mostAddresses = 16
    /// What Linux allows for the name of an interface.
    private static let mostInterfaceBytes = 15

    /// Where an address goes; the same fields for one address and for each of several.
    static func placeFields(forAll: Bool) -> [Field] {
        [
            Field(
                "interface", .text(.networkInterface), .optional,
                forAll
                    ? """
                    The network interface to put it on, also a VLAN's such as vmbr0.20. Without it: the one that has an \
                    address in the same network. With `addresses`: for those that name none.
                    """ : "The network interface for this address; without it, that of the VirtualIP."),
            Field(
                "vlan", .integer(least: 1, most: 4_094), .optional,
                "The VLAN on that interface: with `interface: vmbr0`, 20 means the interface vmbr0.20."),
            Field(
                "createVLAN", .truth, .optional,
                """
                true: a candidate that has no such VLAN interface makes one, and keeps it. Without it, such a candidate \
                cannot hold the address and says so.
                """),
        ]
    }

    static let addressFields: [Field] =
        [
            Field(
                "address", .text(.ipInterface), .optional,
                "The address, with the prefix length of the network it is in. No machine may have it as its own."),
            Field(
                "addresses",
                .list(
                    of: .object(
                        ObjectType(
                            [
                                Field(
                                    "address", .text(.ipInterface), .required,
                                    "An address, with the prefix length of the network it is in.")
                            ] + placeFields(forAll: false))),
                    least: 1, most: mostAddresses),
                .optional,
                """
                Instead of `address`: several addresses, of both families if need be, that are held by the same member \
                and move together. If one of them cannot be held, none is.
                """),
        ] + placeFields(forAll: true)

    /// All addresses of a checked spec, in the order they are written.
    static func addresses(of spec: CheckedSpec) -> [VirtualAddress] {
        guard spec.has("addresses") else { return [address(of: spec, place: spec)] }
        return spec.maps("addresses").map { address(of: $0, place: $0.has("interface") ? $0 : spec) }
    }

    private static func address(of entry: CheckedSpec, place: CheckedSpec) -> VirtualAddress {
        guard let interface = IPInterface(entry.text("address")) else {
            preconditionFailure("the schema promises an address")
        }
        var address = VirtualAddress(
            address: interface.address.description, prefixLength: interface.prefixLength,
            interface: place.optionalText("interface"))
        if let parent = address.interface, let number = place.optionalInteger("vlan") {
            address.interface = "\(parent).\(number)"
            if place.optionalTruth("createVLAN") == true {
                address.createdVLAN = VirtualAddress.VLAN(parent: parent, number: Int(number))
            }
        }
        return address
    }

    // MARK: What must hold between the fields

    static func addressProblems(_ resource: ResourceKey, _ spec: CheckedSpec) -> [Problem] {
        var problems = placeProblems(resource, spec, at: .spec)
        guard spec.has("addresses") else { return problems }
        var seen: SortedMap<String, Int> = [:]
        for (position, entry) in spec.maps("addresses").enumerated() {
            let path = FieldPath.spec.field("addresses").index(position)
            problems += placeProblems(resource, entry, at: path)
            let text = entry.text("address")
            let address = String(text.prefix { $0 != "/" })
            if let earlier = seen[address] {
                problems.append(
                    Problem(
                        resource, at: path.field("address"), found: "\(address) again",
                        expected: "each address once; addresses[\(earlier)] is it already"))
            }
            seen[address] = position
        }
        return problems
    }

    private static func placeProblems(_ resource: ResourceKey, _ spec: CheckedSpec, at path: FieldPath) -> [Problem] {
        guard let number = spec.optionalInteger("vlan") else {
            guard spec.has("createVLAN") else { return [] }
            return [
                Problem(
                    resource, at: path.field("createVLAN"), found: "no `vlan` beside it",
                    expected: "the number of the VLAN to make, such as vlan: 20")
            ]
        }
        guard let parent = spec.optionalText("interface") else {
            return [
                Problem(
                    resource, at: path.field("vlan"), found: "no `interface` beside it",
                    expected: "the interface that carries the VLAN, such as interface: vmbr0")
            ]
        }
        let name = "\(parent).\(number)"
        guard name.utf8.count > mostInterfaceBytes else { return [] }
        return [
            Problem(
                resource, at: path.field("vlan"), found: "the interface name \(name)",
                expected: "a name of at most \(mostInterfaceBytes) characters, which is all Linux allows")
        ]
    }
}
