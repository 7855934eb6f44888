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
    /// What LXC gave to a container.
    private static let drawn = "1c8e3a2f-6b54-4d1f-9a66-2f3e4d5c6b7a"

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

    /// A container of Docker or Podman has the boot of the host that it runs on.
    @Test func aContainerIsKnownByItsHostsBoot() async throws {
        let lab = try Lab.make(founded: true)
        var place = WitnessPlace(member: "pve1", hypervisor: nil)
        place.boot = Self.boot
        place.containers = { Set<String>() }
        #expect(await place.carrier(of: MachinePlace(boot: Self.boot), in: lab.agent.state) == "pve1")
        #expect(await place.carrier(of: MachinePlace(boot: Self.machine), in: lab.agent.state) == nil)
        #expect(await place.carrier(of: MachinePlace(machine: Self.machine), in: lab.agent.state) == nil)
        // One with the right to it reads the UUID of this very machine.
        place.machine = Self.machine
        #expect(await place.carrier(of: MachinePlace(machine: Self.machine), in: lab.agent.state) == "pve1")
        // A member that is a container itself cannot tell.
        place.boot = nil
        #expect(await place.carrier(of: MachinePlace(machine: Self.machine), in: lab.agent.state) == nil)
        #expect(await place.carrier(of: MachinePlace(boot: Self.boot), in: lab.agent.state) == nil)
    }

    /// LXC gives a container a boot of its own, and the host finds it there.
    @Test func aContainerWithABootOfItsOwnIsKnownToItsHost() async throws {
        let lab = try Lab.make(founded: true)
        var place = WitnessPlace(member: "pve1", hypervisor: nil)
        let drawn: Set<String> = [Self.drawn]
        place.boot = Self.boot
        place.containers = { drawn }
        #expect(await place.carrier(of: MachinePlace(boot: Self.drawn), in: lab.agent.state) == "pve1")
        #expect(await place.carrier(of: MachinePlace(boot: Self.machine), in: lab.agent.state) == nil)
        // Whoever joined through another host is named by its own, and nobody else is.
        var members = lab.agent.state.members.values
        #expect(await place.witnessesHere(members) == [])
        for index in members.indices { members[index].machine = Self.drawn }
        #expect(await place.witnessesHere(members) == ["witness in a container of this host"])
        for index in members.indices { members[index].machine = Self.boot }
        #expect(await place.witnessesHere(members) == ["witness in a container of this host"])
        for index in members.indices { members[index].machine = Self.machine }
        #expect(await place.witnessesHere(members) == [])
        place.boot = nil
        for index in members.indices { members[index].machine = Self.drawn }
        #expect(await place.witnessesHere(members) == [])
    }

    @Test func theClusterKeepsTheBootOfAContainer() async throws {
        let lab = try Lab.make(founded: true)
        let token = JoinTokenText(
            trust: lab.authority.trust, endpoints: [Endpoint(host: "127.0.0.1", port: 1)], kind: .witness)
        lab.agent.apply(.createToken(token.replicated(expiresMilliseconds: .max)))
        let (status, words) = try await answer(lab, token, MachinePlace(boot: Self.drawn.uppercased()))
        #expect(status == 200, "\(words)")
        #expect(lab.agent.state.member(named: "second")?.machine == Self.drawn)
    }

    /// The boot that a container tells is that of its present start.
    @Test func aContainerTellsItsBootAnewAtEachStart() {
        var settings = MemberSettings(
            cluster: ClusterID(rawValue: 1), member: MemberID(rawValue: 2), name: "witness", kind: .witness,
            address: "10.0.0.9", peerPort: 1, apiPort: 2)
        settings.machine = Self.boot
        #expect(settings.record(version: "1", on: MachinePlace(boot: Self.drawn)).machine == Self.drawn)
        #expect(settings.record(version: "1", on: MachinePlace()).machine == Self.boot)
        // One in a guest, which may read what its hypervisor's hosts know it by.
        let inGuest = MachinePlace(machine: Self.machine, boot: Self.drawn)
        #expect(settings.record(version: "1", on: inGuest).machine == Self.machine)
        settings.kind = .host
        settings.machine = nil
        #expect(settings.record(version: "1", on: MachinePlace(boot: Self.drawn)).machine == nil)
    }

    @Test func aHostSeesTheBootsOfItsContainers() throws {
        let tree = FileTree()
        defer { tree.remove() }
        let bootFile = "proc/sys/kernel/random/boot_id"
        /// - Parameter numbers: in this namespace of processes, and in those below it.
        func process(_ numbers: String, boot: String?) throws -> String {
            let own = numbers.split(separator: "\t")[0]
            let process = "/proc/\(own)"
            try tree.write("\(process)/status", "Name:\tinit\nPid:\t9\nNSpid:\t\(numbers)\nThreads:\t1\n")
            if let boot { try tree.write("\(process)/root/\(bootFile)", boot) }
            return tree.root + process + "/root/"
        }
        #expect(ContainerBoots.here(root: tree.root) == [])
        let nested = "2d7f4b3e-7c65-4e2a-8b77-3a4f5e6d7c8b"
        _ = try process("1", boot: Self.boot)
        _ = try process("200\t1", boot: Self.drawn.uppercased() + "\n")
        _ = try process("300\t40\t1", boot: nested + "\n")
        // What is not the first of its container tells nothing more; what has gone, or is no id, tells nothing.
        _ = try process("201\t7", boot: Self.machine)
        _ = try process("202\t11", boot: Self.machine)
        _ = try process("400\t1", boot: nil)
        _ = try process("401\t1", boot: "")
        _ = try process("402\t1", boot: String(repeating: "0", count: 4_096))
        try tree.write("/proc/403/root/\(bootFile)", Self.machine)
        try tree.write("/proc/self/status", "NSpid:\t9\t1\n")
        try tree.write("/proc/self/root/\(bootFile)", Self.machine)
        #expect(ContainerBoots.here(root: tree.root) == [Self.drawn, nested])
        // What a container's root has put there is neither followed nor opened.
        try tree.write("/outside/sys/kernel/random/boot_id", Self.machine)
        let files = FileManager.default
        let folderLink = try process("500\t1", boot: nil)
        try files.createDirectory(atPath: folderLink, withIntermediateDirectories: true)
        try files.createSymbolicLink(atPath: folderLink + "proc", withDestinationPath: tree.root + "/outside")
        let fileLink = try process("501\t1", boot: Self.machine)
        try files.removeItem(atPath: fileLink + bootFile)
        try files.createSymbolicLink(
            atPath: fileLink + bootFile, withDestinationPath: tree.root + "/outside/sys/kernel/random/boot_id")
        let pipe = try process("502\t1", boot: Self.machine)
        try files.removeItem(atPath: pipe + bootFile)
        #expect(mkfifo(pipe + bootFile, 0o600) == 0)
        let folder = try process("503\t1", boot: Self.machine)
        try files.removeItem(atPath: folder + bootFile)
        try files.createDirectory(atPath: folder + bootFile, withIntermediateDirectories: true)
        #expect(ContainerBoots.here(root: tree.root) == [Self.drawn, nested])
    }

    @Test func aMachineSaysWhatItIs() throws {
        let tree = FileTree()
        defer { tree.remove() }
        let (root, write) = (tree.root, tree.write)
        #expect(MachinePlace.here(root: root) == MachinePlace())
        try write("/sys/class/dmi/id/product_uuid", Self.machine.uppercased() + "\n")
        try write("/proc/sys/kernel/random/boot_id", Self.boot + "\n")
        try write("/proc/1/environ", "HOME=/\0TERM=linux\0")
        #expect(MachinePlace.here(root: root) == MachinePlace(machine: Self.machine))
        #expect(MachinePlace.ownBoot(root: root) == Self.boot)
        for mark in ["/proc/1/environ", "/run/systemd/container", "/.dockerenv", "/run/.containerenv"] {
            try write(mark, "HOME=/\0container=lxc\0")
            // The firmware that a container can read is that of the machine below it, which may be a guest.
            let place = MachinePlace(machine: Self.machine, boot: Self.boot)
            #expect(MachinePlace.here(root: root) == place && place.kept == Self.machine, "\(mark)")
            #expect(MachinePlace.ownBoot(root: root) == nil)
            try FileManager.default.removeItem(atPath: root + mark)
        }
        for garbage in ["", "Not Settable", String(repeating: "0", count: 4_096)] {
            try write("/sys/class/dmi/id/product_uuid", garbage)
            #expect(MachinePlace.here(root: root).machine == nil)
        }
    }
}

/// Files as a machine has them, in a folder.
private struct FileTree {
    let root = FileManager.default.temporaryDirectory.appending(path: "place-\(UUID().uuidString)").path

    func write(_ path: String, _ text: String) throws {
        let file = URL(filePath: root + path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func remove() { try? FileManager.default.removeItem(atPath: root) }
}
