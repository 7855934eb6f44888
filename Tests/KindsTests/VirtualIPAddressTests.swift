// The addresses of a VirtualIP as people write them: one or several, on which interface, in which VLAN.

import Cluster
import Consensus
import Testing

@testable import Kinds

@Suite struct VirtualIPAddressTests {
    private func spec(_ fields: SortedMap<String, JSONValue>) -> Declaration {
        var fields = fields
        fields["candidates"] = [["member": "pve1"]]
        return declaration("VirtualIP", .object(fields))
    }

    private func said(_ fields: SortedMap<String, JSONValue>) -> [String] {
        KindRegistry.problems(in: spec(fields)).map { "\($0)".replacing("VirtualIP/a: ", with: "") }
    }

    @Test func severalAddressesAreReadInAscendingOrder() throws {
        let read = try VirtualIPSpec(
            spec([
                "addresses": [
                    ["address": "192.168.1.99/24"], ["address": "fd00::99/64", "interface": "eth1"],
                    ["address": "10.0.20.9/24", "interface": "vmbr0", "vlan": 20, "createVLAN": true],
                ],
                "interface": "vmbr1",
            ]))
        var tagged = VirtualAddress(address: "10.0.20.9", prefixLength: 24, interface: "vmbr0.20")
        tagged.createdVLAN = VirtualAddress.VLAN(parent: "vmbr0", number: 20)
        #expect(
            read.addresses == [
                tagged, VirtualAddress(address: "192.168.1.99", prefixLength: 24, interface: "vmbr1"),
                VirtualAddress(address: "fd00::99", prefixLength: 64, interface: "eth1"),
            ])
        #expect(read.addressText == "10.0.20.9 192.168.1.99 fd00::99")
    }

    /// Otherwise a manifest that is merely written in another order would take the addresses down.
    @Test func theOrderOfAddressesIsNotAPartOfWhatIsHeld() throws {
        let (one, other): (JSONValue, JSONValue) = (["address": "192.168.1.99/24"], ["address": "fd00::99/64"])
        let forth = try VirtualIPSpec(spec(["addresses": .array([one, other])]))
        let back = try VirtualIPSpec(spec(["addresses": .array([other, one])]))
        #expect(forth == back)
    }

    @Test func aVLANIsAnInterface() throws {
        let read = try VirtualIPSpec(spec(["address": "10.0.20.9/24", "interface": "vmbr0", "vlan": 20]))
        #expect(read.addresses == [VirtualAddress(address: "10.0.20.9", prefixLength: 24, interface: "vmbr0.20")])
    }

    @Test func whatCannotBeMeantIsSaid() {
        let addresses = "an IP address with its prefix length, such as 192.168.1.99/24 or fd00::99/64"
        #expect(
            said(["address": "fe80::1/64"]) == [
                "spec.address: found a link-local address, which every network has anew, fe80::1/64, expected \(addresses)"
            ])
        #expect(
            said(["address": "FD00:0::99/64"]) == [
                "spec.address: found another spelling than that of RFC 5952, FD00:0::99/64, expected \(addresses); did you mean fd00::99/64?"
            ])
        #expect(
            said(["addresses": ["192.168.1.99/24"]]) == [
                #"spec.addresses[0]: found the text "192.168.1.99/24", expected a map with the fields address, interface, vlan, createVLAN; did you mean {address: 192.168.1.99/24}?"#
            ])
        #expect(
            said(["address": "192.168.1.99/24", "addresses": [["address": "fd00::99/64"]]]) == [
                "spec: found address and addresses, expected only address or addresses"
            ])
        #expect(
            said(["addresses": [["address": "fd00::99/64"], ["address": "fd00::99/65"]]]) == [
                "spec.addresses[1].address: found fd00::99 again, expected each address once; addresses[0] is it already"
            ])
        #expect(
            said(["address": "10.0.20.9/24", "vlan": 20]) == [
                "spec.vlan: found no `interface` beside it, expected the interface that carries the VLAN, such as interface: vmbr0"
            ])
        #expect(
            said(["addresses": [["address": "10.0.20.9/24", "interface": "enp129s0f0np0", "vlan": 4_094]]]) == [
                "spec.addresses[0].vlan: found the interface name enp129s0f0np0.4094, expected a name of at most 15 characters, which is all Linux allows"
            ])
        #expect(
            said(["address": "10.0.20.9/24", "interface": "vmbr0", "createVLAN": true]) == [
                "spec.createVLAN: found no `vlan` beside it, expected the number of the VLAN to make, such as vlan: 20"
            ])
    }
}
