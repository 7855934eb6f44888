// Under which address the disks of guests here are open in Ceph, as a stand-in for `rbd` tells it.

import Cluster
import Consensus
import Logging
import Testing

@testable import ProxmoxDriver

@Suite(.timeLimit(.minutes(2))) struct ClientSeekerTests {
    private func machine(_ number: Int) throws -> MachineProcess {
        MachineProcess(guest: try #require(GuestNumber(.machine, number)), process: 4_711, started: 1)
    }

    /// A stand-in whose answers are the lines of a file, one for each call.
    private func rbd(_ proxmox: SmallProxmox, _ answers: [String]) -> CephFence {
        let folder = proxmox.folder
        _ = folder.write("answers", answers.joined(separator: "\n") + "\n")
        let script = """
            #!/bin/sh
            echo "$@" >> \(folder.path)/rbd-calls
            sed -n "$(wc -l < \(folder.path)/rbd-calls)p" \(folder.path)/answers

            """
        return CephFence(rbd: LocalProgram(folder.write("rbd", script, mode: 0o700), limit: .seconds(20)))
    }

    private func calls(_ proxmox: SmallProxmox) -> [Substring] {
        (FileText.read("\(proxmox.folder.path)/rbd-calls", most: 4_096) ?? "").split(separator: "\n")
    }

    @Test func theAddressOfThisHostsClientIsLearned() async throws {
        let proxmox = try await SmallProxmox()
        proxmox.put(120, on: "pve1", "name: web\nscsi0: rbd:vm-120-disk-0,size=10G")
        // As Ceph 16 prints it, with the client of a host that the guest is being moved from.
        let rbd = rbd(
            proxmox,
            [
                #"{"watchers":[{"address":"127.0.0.1:0/169921843","client":4259,"cookie":139790313853504},"#
                    + #"{"address":"198.51.100.9:0/7","client":4260,"cookie":139790313853505}]}"#
            ])
        var seeker = ClientSeeker(host: try proxmox.server.host(), ceph: rbd, log: Logger(label: "test"))
        let found = await seeker.seek([try machine(120)], FoundClients())
        #expect(found.storageAddress == "127.0.0.1")
        #expect(found.clients[120] == ["127.0.0.1:0/169921843"])
        #expect(calls(proxmox) == ["status vms/home/vm-120-disk-0 --format json"])
        // It is known now.
        #expect(await seeker.seek([try machine(120)], found).clients == found.clients)
        #expect(calls(proxmox).count == 1)
    }

    @Test func aMachineThatHasNotOpenedItsDisksYetIsAskedAboutAgain() async throws {
        let proxmox = try await SmallProxmox()
        proxmox.put(120, on: "pve1", "name: web\nscsi0: rbd:vm-120-disk-0,size=10G")
        let rbd = rbd(
            proxmox, [#"{"watchers":[]}"#, #"{"watchers":[{"address":"127.0.0.1:0/5","client":1,"cookie":1}]}"#])
        var seeker = ClientSeeker(host: try proxmox.server.host(), ceph: rbd, log: Logger(label: "test"))
        let early = await seeker.seek([try machine(120)], FoundClients())
        #expect(early.storageAddress == "")
        #expect(await seeker.seek([try machine(120)], early).storageAddress == "127.0.0.1")
    }

    @Test func aMachineWithoutDisksInCephIsAskedAboutOnce() async throws {
        let proxmox = try await SmallProxmox()
        proxmox.put(121, on: "pve1", "name: db\nscsi0: local:121/vm-121-disk-0.raw,size=1G")
        var seeker = ClientSeeker(host: try proxmox.server.host(), ceph: rbd(proxmox, []), log: Logger(label: "test"))
        let found = await seeker.seek([try machine(121)], FoundClients())
        #expect(found.clients[121] == [])
        #expect(calls(proxmox) == [])
    }
}
