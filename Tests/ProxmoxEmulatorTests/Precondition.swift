// What a cluster was like when a recording began, as its first answers show.

@testable import ProxmoxEmulator

enum Precondition {
    static let secret = "4d3a1c52-8a76-4a1e-9d40-0f5a3a0f8f11"
    static let begin = Moment(seconds: 1_795_437_000)

    static func cluster(for transcript: Transcript) throws -> EmulatedCluster {
        let isTwo = ["t-twonode", "t-misc", "t-noquorum2"].contains(transcript.name) || transcript.release == .nine
        let settings = EmulatedCluster.nodes(isTwo ? 2 : 3, release: transcript.release)
        var cluster = EmulatedCluster(settings: settings, now: begin)
        setUpAccess(&cluster)
        if !["t-lifecycle", "t-auth-errors", "t-twonode", "t-ha"].contains(transcript.name) {
            cluster.install(Host.storageFile, Host.text(of: [.local, sharedStorage(transcript.release)]))
        }
        try setUpGuests(transcript.name, transcript.release, &cluster)
        cluster.advance(milliseconds: 1_000)
        return cluster
    }

    private static func setUpAccess(_ cluster: inout EmulatedCluster) {
        var access = Access()
        access.addUser("root@pam", password: "rootpw123")
        access.addUser("ops@pve", password: "geheim12345")
        access.addToken("ops@pve!agent", secret: secret)
        access.grant("Administrator", to: "ops@pve")
        cluster.install(Host.accessFile, Host.encoded(access))
    }

    private static func sharedStorage(_ release: Release) -> Storage {
        var storage = Storage(
            name: "shared1", type: "dir", isShared: true, content: ["backup", "images", "iso", "snippets"],
            path: "/mnt/shared/store", total: 270_553_174_016)
        storage.used = 26_300_751_872
        if release == .eight { storage.settings["is_mountpoint"] = "0" }
        return storage
    }

    private static let plain = [
        "memory": "64", "kvm": "0", "cpu": "qemu64", "scsihw": "virtio-scsi-pci", "agent": "enabled=1",
        "boot": "order=net0", "net0": "virtio=BC:24:11:AD:D1:05,bridge=vmbr0", "meta": "creation-qemu=7.2.22,ctime=1",
        "vmgenid": "840860b2-a26f-4a68-887f-b2a6f1922f6e",
    ]

    /// A machine without a guest agent, as the recordings of two nodes have it.
    private static func simple(_ name: String, _ disk: String) -> [String: String] {
        var settings = plain
        settings["agent"] = nil
        settings["name"] = name
        settings["boot"] = "order=scsi0;net0"
        settings["scsi0"] = disk + ",size=1G"
        return settings
    }

    private static func web(_ vmid: Int, _ name: String, disk: String, size: String = "2G") -> [String: String] {
        var settings = plain
        settings["name"] = name
        settings["boot"] = "order=scsi0;ide2;net0"
        settings["ide2"] = "shared1:\(vmid)/vm-\(vmid)-cloudinit.qcow2,media=cdrom" + (vmid == 100 ? "" : ",size=4M")
        settings["scsi0"] = "\(disk),size=\(size)"
        settings["ipconfig0"] = "ip=10.77.0.50/24,gw=10.77.0.1"
        settings["ciuser"] = "ops"
        settings["sshkeys"] =
            "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIGZvb2JhcmZvb2JhcmZvb2JhcmZvb2JhcmZvb2JhcmZv%20a%40b%0A"
        settings["tags"] = "k8s;ha"
        settings["onboot"] = "1"
        settings["startup"] = "order=2,up=10"
        return settings
    }

    private static func setUpGuests(_ name: String, _ release: Release, _ cluster: inout EmulatedCluster) throws {
        switch name {
        case "t-lifecycle", "t-lifecycle2":
            if name == "t-lifecycle" || release == .nine {
                try add(&cluster, "pve1", .qemu, 301, ["name": "j1", "memory": "64", "vmgenid": "1"])
            } else {
                try add(&cluster, "pve1", .qemu, 100, plain)
            }
        case "t-noquorum": try setUpWithoutQuorum(&cluster)
        case "t-noquorum2": try setUpWithoutQuorumTwo(&cluster)
        case "t-misc":
            try add(
                &cluster, "pve1", .qemu, 100,
                simple("a", "shared1:100/vm-100-disk-0.qcow2"), isRunning: true
            )
            try add(
                &cluster, "pve1", .lxc, 200,
                [
                    "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:AC:B3:0D,ip=10.77.0.60/24,type=veth",
                    "unprivileged": "1", "ostype": "unmanaged", "swap": "0", "hostname": "ct", "memory": "64",
                    "rootfs": "local:200/subvol-200-disk-0.subvol,size=0T", "arch": "amd64",
                ])
        default: break
        }
        // Machines without a system inside.
        for vmid in [100, 102, 110, 111, 112, 120, 150, 160] { setBehaviour(&cluster, vmid) }
    }

    private static func setBehaviour(_ cluster: inout EmulatedCluster, _ vmid: Int) {
        var behaviour = GuestBehaviour()
        behaviour.obeysShutdown = false
        behaviour.hasAgent = false
        // The recorder's machine had no working KVM.
        if vmid == 160 { behaviour.startFailure = "start failed: QEMU exited with code 1" }
        for name in cluster.names {
            _ = try? cluster.change(name) { host throws(APIError) in host.behaviours[vmid] = behaviour }
        }
    }

    /// Three nodes, of which two have just gone.
    private static func setUpWithoutQuorum(_ cluster: inout EmulatedCluster) throws {
        try add(
            &cluster, "pve1", .qemu, 100, web(100, "web", disk: "shared1:100/vm-100-disk-0.qcow2"), isRunning: true)
        var template = web(110, "copy", disk: "shared1:110/base-110-disk-0.qcow2")
        template["template"] = "1"
        try add(&cluster, "pve1", .qemu, 110, template)
        try add(&cluster, "pve2", .qemu, 111, web(111, "onother", disk: "shared1:111/vm-111-disk-0.qcow2"))
        try add(&cluster, "pve3", .qemu, 112, web(112, "linked", disk: "local:112/vm-112-disk-0.qcow2"))
        cluster.advance(milliseconds: 30_000)
        cluster.powerOff("pve2")
        cluster.powerOff("pve3")
        cluster.advance(milliseconds: 20_000)
    }

    /// Two nodes, of which one has gone.
    private static func setUpWithoutQuorumTwo(_ cluster: inout EmulatedCluster) throws {
        try add(
            &cluster, "pve1", .qemu, 100,
            simple("a", "shared1:100/vm-100-disk-0.qcow2"),
            isRunning: true)
        try add(
            &cluster, "pve1", .qemu, 150,
            ["memory": "64", "boot": "order=scsi0", "scsi0": "local:150/vm-150-disk-0.raw,size=1G"])
        try add(
            &cluster, "pve1", .lxc, 200,
            ["hostname": "ct", "memory": "64", "rootfs": "local:200/vm-200-disk-0.raw,size=1G"],
            isRunning: true)
        try add(
            &cluster, "pve2", .qemu, 111,
            simple("b", "shared1:111/vm-111-disk-0.qcow2"))
        cluster.advance(milliseconds: 1_000)
        cluster.powerOff("pve2")
        cluster.advance(milliseconds: 20_000)
    }

    private static func add(
        _ cluster: inout EmulatedCluster, _ node: String, _ kind: GuestKind, _ vmid: Int, _ settings: [String: String],
        isRunning: Bool = false
    ) throws {
        try cluster.change(node) { host throws(APIError) in
            do { try host.addGuest(GuestID(kind, vmid), settings: settings, isRunning: isRunning) } catch {
                throw .died("\(error)")
            }
            // The recorded guests have a description.
            guard settings["ciuser"] != nil else { return }
            var configuration = try host.configuration(of: GuestID(kind, vmid))
            configuration.description = "made by test"
            host.installEverywhere(GuestID(kind, vmid).path(on: node), configuration.text)
        }
    }
}
