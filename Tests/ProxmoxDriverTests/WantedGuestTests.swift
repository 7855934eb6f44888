// How a declared guest differs from what Proxmox has, and what can be done about it.

import Consensus
import Cluster
import Testing

@testable import ProxmoxDriver

@Suite struct WantedGuestTests {
    private let machine = GuestNumber(.machine, 120)!

    private func present(_ settings: SortedMapLiteral, _ kind: GuestNumber.Kind = .machine) -> GuestConfiguration {
        GuestConfiguration(kind: kind, digest: "d", settings: .init(settings.map { ($0.key, $0.value) }))
    }
    typealias SortedMapLiteral = KeyValuePairs<String, String>

    @Test func whatMeansTheSameIsNoDifference() {
        let wanted = WantedGuest(
            guest: machine, name: "web",
            settings: [
                "memory": "2048", "tags": "k8s;ha", "agent": "1", "onboot": "0", "description": "made\nby hand",
            ],
            networks: [WantedNetwork(slot: "net0", bridge: "vmbr0", hardwareAddress: "bc:24:11:00:00:01")])
        let found = present([
            "name": "web", "memory": "2048", "tags": "ha,k8s", "agent": "enabled=1,fstrim_cloned_disks=1",
            "description": "made\nby hand\n", "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
        ])
        #expect(wanted.drift(from: found) == [])
    }

    @Test func whatDiffersSaysHowItIsSetRight() {
        let wanted = WantedGuest(
            guest: machine, name: "web", settings: ["cores": "4"],
            disks: [
                WantedDisk(slot: "scsi0", storage: "rbd", bytes: 20 << 30),
                WantedDisk(slot: "scsi1", storage: "rbd", bytes: 5 << 30),
                WantedDisk(slot: "scsi2", storage: "rbd", bytes: 1 << 30),
                WantedDisk(slot: "scsi3", storage: "rbd", bytes: 1 << 30),
            ],
            networks: [WantedNetwork(slot: "net0", bridge: "vmbr1", vlan: 7)])
        let found = present([
            "name": "old", "scsi0": "rbd:vm-120-disk-0,size=10G,discard=on", "scsi2": "local:120/x.raw,size=1G",
            "scsi3": "rbd:vm-120-disk-3,size=2G", "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=3",
        ])
        let drift = wanted.drift(from: found)
        #expect(drift.map(\.setting) == ["cores", "net0", "scsi0", "scsi1", "scsi2", "scsi3"])
        #expect(drift[0].remedy == .set("4"))
        // The hardware address and what is not declared stay.
        #expect(drift[1].remedy == .set("virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1,tag=7"))
        #expect(drift[2].remedy == .grow(bytes: 20 << 30))
        #expect(drift[3].remedy == .add("rbd:5"))
        guard case .none(let moved) = drift[4].remedy, case .none(let shrunk) = drift[5].remedy else {
            Issue.record("a disk is neither moved nor made smaller")
            return
        }
        #expect(moved.contains("move-disk"))
        #expect(shrunk.contains("never made smaller"))
    }

    @Test func aContainersInterfaceKeepsItsAddresses() {
        let wanted = WantedGuest(
            guest: GuestNumber(.container, 200)!, name: "ct",
            networks: [WantedNetwork(slot: "net0", bridge: "vmbr0", address: "dhcp")])
        let found = present(
            ["hostname": "ct", "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:AC:B3:0D,ip=10.77.0.60/24,type=veth"],
            .container)
        #expect(
            wanted.drift(from: found).map(\.remedy)
                == [.set("name=eth0,hwaddr=BC:24:11:AC:B3:0D,bridge=vmbr0,ip=dhcp,type=veth")])
    }

    @Test func disksAndDevicesOfThisHostAreFound() {
        let storages = [
            StorageState(["storage": "rbd", "type": "rbd"])!,
            StorageState(["storage": "local", "type": "dir", "shared": 0])!,
        ]
        let configuration = present([
            "scsi0": "rbd:vm-120-disk-0,size=10G", "scsi1": "local:120/a.qcow2", "scsi2": "/dev/sdb",
            "ide2": "none,media=cdrom", "ide0": "local:iso/debian.iso,media=cdrom", "sata0": "unknown:x",
            "hostpci0": "0000:01:00", "usb0": "host=1234:5678", "usb1": "mapping=key", "scsihw": "virtio-scsi-pci",
            "efidisk0": "rbd:vm-120-disk-1,size=528K",
        ])
        #expect(configuration.localDisks(storages).map(\.slot) == ["ide0", "sata0", "scsi1", "scsi2"])
        #expect(configuration.hostDevices == ["hostpci0", "usb0"])
        #expect(configuration.disks.first { $0.slot == "efidisk0" }?.bytes == 528 << 10)
    }

    @Test func sizesAreReadAndWritten() {
        #expect(DiskSize.bytes("10G") == 10 << 30)
        #expect(DiskSize.bytes("1.5G") == 3 << 29)
        #expect(DiskSize.bytes("512") == 512)
        for text in ["", "G", "-1G", "10X", "9999999999999999999999T", "1e9"] { #expect(DiskSize.bytes(text) == nil) }
        #expect(DiskSize.text(10 << 30) == "10G")
        #expect(DiskSize.text(1 << 40) == "1T")
        #expect(DiskSize.text((10 << 30) + (1 << 20)) == "10241M")
    }
}
