// What must hold between resources.
// Every rule is shown to refuse and, in the lab that fits together, to accept.

import Cluster
import Testing

@testable import Kinds

@Suite struct CrossCheckTests {
    private func address(_ name: String, _ address: String, candidate: String = "pve1") -> Declaration {
        declaration(
            "VirtualIP", name, ["address": .string(address), "candidates": [["member": .string(candidate)]]])
    }
    private func host(_ name: String, _ address: String) -> Declaration {
        declaration("Host", name, ["address": .string(address)])
    }
    private func witness(_ name: String, _ address: String) -> Declaration {
        declaration("Witness", name, ["address": .string(address)])
    }
    private func said(_ declared: [Declaration], _ existing: [Declaration] = []) -> [String] {
        KindRegistry.crossCheck(declared, against: existing).map(\.description)
    }

    @Test func whatFitsTogetherIsAccepted() {
        let lab = [
            declaration("Cluster", "home", [:]), host("pve1", "192.168.1.106"), host("pve2", "192.168.1.107"),
            witness("witness", "192.168.1.108"), address("dns", "192.168.1.2/24"),
            address("kube-api", "192.168.1.99/24"),
        ]
        #expect(said(lab) == [])
        #expect(said(lab, lab) == [])
        #expect(said([], lab) == [])
    }

    @Test func twoVirtualIPsCannotShareAnAddress() {
        let wanted =
            "VirtualIP/b: spec.address: found the address 192.168.1.2, expected an address of its own: VirtualIP/a has this one"
        #expect(said([address("a", "192.168.1.2/24"), address("b", "192.168.1.2/25")]) == [wanted])
        #expect(said([address("b", "192.168.1.2/25")], [address("a", "192.168.1.2/24")]) == [wanted])
    }

    @Test func addressesOfAGroupAreNobodyElsesEither() {
        let group = declaration(
            "VirtualIP", "b",
            [
                "addresses": [["address": "fd00::99/64"], ["address": "192.168.1.2/24"]],
                "candidates": [["member": "pve1"]],
            ])
        #expect(
            said([group], [address("a", "192.168.1.2/24")]) == [
                "VirtualIP/b: spec.addresses[1].address: found the address 192.168.1.2, expected an address of its own: VirtualIP/a has this one"
            ])
        #expect(said([address("c", "fd00::99/64")], [group]).count == 1)
        #expect(said([group], [group]) == [])
    }

    @Test func aVirtualIPCannotBeAMachinesOwnAddress() {
        #expect(
            said([address("a", "192.168.1.106/24")], [host("pve1", "192.168.1.106")]) == [
                "VirtualIP/a: spec.address: found the address 192.168.1.106, expected an address of its own: Host/pve1 has this one"
            ])
        #expect(said([host("pve1", "192.168.1.2")], [address("a", "192.168.1.2/24")]).count == 1)
    }

    @Test func addressesMayBeSwappedInOneChange() {
        let before = [address("a", "192.168.1.2/24"), address("b", "192.168.1.3/24")]
        #expect(said([address("a", "192.168.1.3/24"), address("b", "192.168.1.2/24")], before) == [])
    }

    @Test func thereIsOneCluster() {
        let home = declaration("Cluster", "home", [:])
        let other = declaration("Cluster", "other", [:])
        let wanted =
            "Cluster/other: metadata.name: found a second Cluster, expected only one, and Cluster/home is there already; did you mean home?"
        #expect(said([home, other]) == [wanted])
        #expect(said([other], [home]) == [wanted])
    }

    @Test func aNameStandsForOneMember() {
        #expect(
            said([witness("pve1", "192.168.1.108")], [host("pve1", "192.168.1.106")]) == [
                "Witness/pve1: metadata.name: found the name pve1, expected a name of its own: Host/pve1 has this one"
            ])
    }

    @Test func aWitnessHoldsNoAddress() {
        let virtualIP = address("a", "192.168.1.2/24", candidate: "witness")
        let witness = witness("witness", "192.168.1.108")
        #expect(
            said([virtualIP], [witness]) == [
                "VirtualIP/a: spec.candidates[0].member: found the witness witness, expected a host or a guest: a witness holds no address"
            ])
        #expect(
            said([witness], [virtualIP]) == [
                "Witness/witness: metadata.name: found the name witness, expected a name that is no candidate: VirtualIP/a names it, and a witness holds no address"
            ])
    }

    @Test func aResourceIsDeclaredOnce() {
        #expect(
            said([host("pve1", "192.168.1.106"), host("pve1", "192.168.1.107")]) == [
                "Host/pve1: metadata.name: found Host/pve1 a second time, expected each resource once"
            ])
    }

    @Test func whatIsNotSoundByItselfIsPassedOver() {
        #expect(said([address("a", "nonsense"), address("b", "nonsense")]) == [])
    }
}
