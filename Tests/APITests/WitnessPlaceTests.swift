// A witness that runs on a host of the cluster: who notices, and that it is not let in.

@testable import API
import Cluster
import Consensus
import Crypto
import Foundation
import Testing

@testable import Runtime
@testable import holdfast

@Suite(.timeLimit(.minutes(1))) struct WitnessPlaceTests {
    private static let machine = "6f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f"
    private static let boot = "0d9f2b1e-5a43-4c0e-8f55-1e2d3c4b5a69"

    private func answer(_ lab: Lab, _ token: JoinTokenText, _ place: MachinePlace) async throws -> (Int, String) {
        var desk = try lab.desk()
        desk.carrier = { place, _ in place.machine == Self.machine ? "pve2" : nil }
        var applicant = JoinApplicant(
            name: "second", address: "10.0.0.9", peerPort: 7_000, apiPort: 7_443, version: "0.1.0")
        applicant.place = place
        let request = try JoinRequest(token: token, applicant: applicant, key: P256.Signing.PrivateKey())
        let answer = await desk.join(try CanonicalJSON.encode(request))
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    @Test func aWitnessInAGuestOfAHostIsRefused() async throws {
        let lab = try Lab.make(founded: true)
        func token(_ kind: MemberKind) -> JoinTokenText {
            let token = JoinTokenText(
                trust: lab.authority.trust, endpoints: [Endpoint(host: "127.0.0.1", port: 1)], kind: kind)
            lab.agent.apply(.createToken(token.replicated(expiresMilliseconds: .max)))
            return token
        }
        let witness = token(.witness)
        let (status, words) = try await answer(lab, witness, MachinePlace(machine: Self.machine))
        #expect(status == 403)
        #expect(words.contains("second runs on pve2") && words.contains("--kind guest"), "\(words)")
        #expect(lab.agent.state.member(named: "second") == nil)
        // A host may stand on a machine of any kind; nothing is asked about it, and nothing of it is kept.
        let host = try await answer(lab, token(.host), MachinePlace(machine: Self.machine))
        #expect(host.0 == 200, "\(host.1)")
        #expect(lab.agent.state.member(named: "second")?.machine == nil)
        let other = try Lab.make(founded: true)
        let token2 = JoinTokenText(
            trust: other.authority.trust, endpoints: [Endpoint(host: "127.0.0.1", port: 1)], kind: .witness)
        other.agent.apply(.createToken(token2.replicated(expiresMilliseconds: .max)))
        let elsewhere = "7f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f"
        let apart = try await answer(other, token2, MachinePlace(machine: elsewhere.uppercased()))
        #expect(apart.0 == 200, "\(apart.1)")
        #expect(other.agent.state.member(named: "second")?.machine == elsewhere)
    }

    /// A container has the boot of the host that it runs on.
    @Test func aContainerIsKnownByItsHostsBoot() async throws {
        let lab = try Lab.make(founded: true)
        var place = WitnessPlace(member: "pve1", hypervisor: nil)
        place.boot = Self.boot
        #expect(await place.carrier(of: MachinePlace(boot: Self.boot), in: lab.agent.state) == "pve1")
        #expect(await place.carrier(of: MachinePlace(boot: Self.machine), in: lab.agent.state) == nil)
        #expect(await place.carrier(of: MachinePlace(machine: Self.machine), in: lab.agent.state) == nil)
        // A member that is a container itself cannot tell.
        place.boot = nil
        #expect(await place.carrier(of: MachinePlace(boot: Self.boot), in: lab.agent.state) == nil)
    }

    @Test func aMachineSaysWhatItIs() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "place-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        func write(_ path: String, _ text: String) throws {
            let file = URL(filePath: root + path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        #expect(MachinePlace.here(root: root) == MachinePlace())
        try write("/sys/class/dmi/id/product_uuid", Self.machine.uppercased() + "\n")
        try write("/proc/sys/kernel/random/boot_id", Self.boot + "\n")
        try write("/proc/1/environ", "HOME=/\0TERM=linux\0")
        #expect(MachinePlace.here(root: root) == MachinePlace(machine: Self.machine))
        #expect(MachinePlace.ownBoot(root: root) == Self.boot)
        for mark in ["/proc/1/environ", "/run/systemd/container", "/.dockerenv", "/run/.containerenv"] {
            try write(mark, "HOME=/\0container=lxc\0")
            #expect(MachinePlace.here(root: root) == MachinePlace(machine: Self.machine, boot: Self.boot), "\(mark)")
            #expect(MachinePlace.ownBoot(root: root) == nil)
            try FileManager.default.removeItem(atPath: root + mark)
        }
        for garbage in ["", "Not Settable", String(repeating: "0", count: 4_096)] {
            try write("/sys/class/dmi/id/product_uuid", garbage)
            #expect(MachinePlace.here(root: root).machine == nil)
        }
    }
}
