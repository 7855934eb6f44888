// Declarations and Proxmox's configurations, there and back.

import Cluster
import Consensus
import Kinds
import Testing

@testable import ProxmoxDriver

@Suite struct AdoptionTests {
    private let machine = GuestNumber(.machine, 120)!
    private let configuration = GuestConfiguration(
        kind: .machine, digest: "d",
        settings: [
            "name": "GitLab.lab", "cores": "2", "sockets": "2", "memory": "2048", "agent": "1",
            "scsi0": "rbd:vm-120-disk-0,size=80G", "efidisk0": "rbd:vm-120-disk-1,size=528K",
            "ide2": "rbd:vm-120-cloudinit,media=cdrom", "scsi5": "/dev/sdb",
            "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=7,firewall=1",
        ])

    @Test func aGuestThatIsThereIsDeclaredAsItIs() throws {
        let declaration = GuestAdoption.declaration(of: machine, named: "GitLab.lab", isRunning: true, configuration)
        #expect(declaration.kind == "VirtualMachine")
        #expect(declaration.name == "gitlab-lab")
        #expect(
            declaration.spec == [
                "desired": "running",
                "disks": [["name": "efidisk0", "pool": "rbd"], ["name": "scsi0", "pool": "rbd", "size": "80Gi"]],
                "proxmox": [
                    "cores": 4, "memory": "2Gi", "networks": [["bridge": "vmbr0", "name": "net0", "tag": 7]],
                    "vmid": 120,
                ],
            ])
        // Kept as it is shown, it changes nothing.
        let declared = try DeclaredGuest(declaration)
        #expect(declared.wanted(over: configuration).drift(from: configuration) == [])
        var odd = configuration.settings
        odd["sockets"] = "3"
        let three = GuestConfiguration(kind: .machine, digest: "d", settings: odd)
        #expect(declared.wanted(over: three).settings == ["cores": "4", "memory": "2048", "sockets": "1"])
    }

    @Test func whatIsDeclaredReachesProxmox() throws {
        let declared = try DeclaredGuest(
            Declaration(
                kind: "VirtualMachine", name: "db",
                spec: [
                    "proxmox": [
                        "vmid": 130, "cores": 2, "memory": "4Gi", "template": "9000",
                        "cloudInit": [
                            "user": "ops", "sshKeys": ["ssh-ed25519 AAAA/+ a@b"], "address": "10.0.0.5/24",
                            "gateway": "10.0.0.1",
                        ],
                    ], "disks": [["name": "scsi0", "pool": "rbd", "size": "20Gi"]],
                ]))
        #expect(declared.origin == .copy(of: GuestNumber(.machine, 9_000)!, full: true, storage: "rbd"))
        #expect(declared.wanted.disks == [WantedDisk(slot: "scsi0", storage: "rbd", bytes: 20 << 30)])
        #expect(declared.wanted.settings == ["cores": "2", "memory": "4096"])
        // Only one that is being made is told what a first start needs.
        let unfinished = GuestConfiguration(
            kind: .machine, digest: "d", settings: ["description": DeclaredGuest.unfinished])
        let first = declared.wanted(over: unfinished).settings
        #expect(first["sshkeys"] == "ssh-ed25519%20AAAA%2F%2B%20a%40b%0A")
        #expect(first["ipconfig0"] == "ip=10.0.0.5/24,gw=10.0.0.1")
        #expect(first["description"] == "Made by Holdfast")
        let used = GuestConfiguration(kind: .machine, digest: "d", settings: ["description": "mine"])
        #expect(declared.wanted(over: used).settings == ["cores": "2", "memory": "4096"])
    }
}
