// A virtual machine's stand-in: a process named `kvm -id N` that has a network card of its own in its host's bridge, answers
// there, and writes to its disk every few milliseconds. It ends with its host, as everything in the host does, and when the
// emulator that started it closes its input. Nothing of it outlives the process.

import ArgumentParser
import CKernel
import Glibc

/// What the emulator starts as `kvm`. Not for people.
struct GuestMachine: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "kvm", shouldDisplay: false)

    @Option(name: .customLong("id", withSingleDash: true)) var vmid: Int
    /// 1: it is taking a running machine over, which writes until its own host ends it.
    @Option var incoming: Int
    @Option var host: String
    /// The host's, as the storage knows its clients.
    @Option var hostAddress: String
    /// The lab's folder.
    @Option(name: .customLong("dir")) var folder: String

    func run() throws {
        guard let guest = LabGuest.guest(vmid) else {
            throw LabError("no guest of the lab has the number \(vmid)")
        }
        let directory = LabDirectory(path: folder)
        let disk = try SharedDisk(guest, directory: directory, hostAddress: hostAddress)
        try disk.hold(waiting: incoming == 1)
        // Before the network: what answers has its disk.
        try disk.write(DiskRecord(host: host, began: disk.began, number: 0, at: lab_boot_clock()))
        try GuestNetwork(guest).plug()
        try live(with: disk, pauseMilliseconds: guest.pauseMilliseconds)
    }

    private func live(with disk: SharedDisk, pauseMilliseconds: Int) throws {
        var number = 0
        while true {
            let ready = waitReadable([STDIN_FILENO], until: .after(milliseconds: pauseMilliseconds))
            if !ready.isEmpty, readAvailable(STDIN_FILENO) == nil { return }
            number += 1
            do {
                try disk.write(DiskRecord(host: host, began: disk.began, number: number, at: lab_boot_clock()))
            } catch is BarredFromDisk {
                // As QEMU with werror=stop: it stands still, answers nobody, and waits to be ended.
                note("kvm \(vmid) on \(host): input/output error; it stands still")
                disk.letGo()
                _ = lab_set_link("eth0", 0)
                while readAvailable(STDIN_FILENO) != nil {}
                return
            }
        }
    }
}

/// The storage does not take this client's writes any more.
struct BarredFromDisk: Error {}

/// A guest's disk on the storage that both hosts reach.
struct SharedDisk {
    /// When this machine opened it.
    let began = lab_boot_clock()
    private let file: Descriptor
    private let lock: Descriptor
    private let held: Descriptor
    private let barred: String
    private let hostAddress: String

    init(_ guest: LabGuest, directory: LabDirectory, hostAddress: String) throws {
        let path = directory.disk(of: guest.name)
        let opened = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        file = try Descriptor(checking: opened < 0 ? -errno : opened, "open \(path)")
        let locked = open(directory.sharedStorage + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        lock = try Descriptor(checking: locked < 0 ? -errno : locked, "open the lock of \(directory.sharedStorage)")
        let holding = open(path, O_RDWR | O_CLOEXEC)
        held = try Descriptor(checking: holding < 0 ? -errno : holding, "open \(path)")
        barred = guest.storage == .ceph ? directory.sharedStorage + ".barred" : ""
        self.hostAddress = hostAddress
    }

    /// Says that this machine has the disk. One that takes another over by a live move waits until that one has ended, as
    /// QEMU's target does. **Any other does not ask**: whether it should have been started is what the disk is to show.
    func hold(waiting: Bool) throws {
        while flock(held.number, waiting ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
            if !waiting && errno == EWOULDBLOCK { return }
            guard errno == EINTR else { throw LabError("hold the disk: \(errorText(errno))") }
        }
    }

    /// A machine that can write no more holds nothing.
    func letGo() { flock(held.number, LOCK_UN) }

    /// Writes a record, unless this host is barred from the storage. The lock is the one under which a host is barred: once
    /// that has succeeded, no write comes through.
    func write(_ record: DiskRecord) throws {
        while flock(lock.number, LOCK_SH) != 0 {
            guard errno == EINTR else { throw LabError("lock the storage: \(errorText(errno))") }
        }
        defer { flock(lock.number, LOCK_UN) }
        if !barred.isEmpty, try isBarred() { throw BarredFromDisk() }
        try file.write(record.line)
    }

    private func isBarred() throws -> Bool {
        let opened = open(barred, O_RDONLY | O_CLOEXEC)
        if opened < 0 && errno == ENOENT { return false }
        let list = try Descriptor(checking: opened < 0 ? -errno : opened, "open \(barred)")
        let text = String(decoding: readAvailable(list.number) ?? [], as: UTF8.self)
        return text.split(separator: "\n").contains { $0 == hostAddress }
    }
}

/// A guest's network card.
struct GuestNetwork {
    let guest: LabGuest

    init(_ guest: LabGuest) { self.guest = guest }

    /// Plugs this process into its host's bridge. The cable ends with the process.
    func plug() throws {
        let ip = try Executables.require("ip")
        let outside = try Descriptor(checking: lab_open_network(), "open the host's network")
        let inside = try Descriptor(checking: lab_new_network(), "make the guest's network")
        // Named after the process: the cable of one that was just killed may take a moment to go.
        let cable = "v\(guest.vmid)p\(getpid())"
        try enter(outside)
        try batch(
            ip,
            [
                "link add \(cable) type veth peer name eth0 address \(guest.hardwareAddress) "
                    + "netns /proc/\(getpid())/fd/\(inside.number)",
                "link set \(cable) master vmbr0", "link set \(cable) up",
            ], "plug \(guest.name) in")
        try enter(inside)
        // Says where it is as soon as its card is up, so that the switch sends nothing to its old place.
        try announce()
        try batch(
            ip, ["link set lo up", "addr add \(guest.address)/24 dev eth0", "link set eth0 up"],
            "give \(guest.name) its address")
    }

    private func enter(_ network: Descriptor) throws {
        let result = lab_enter_network(network.number)
        guard result == 0 else { throw LabError.kernel("enter a network", result) }
    }

    private func announce() throws {
        let path = "/proc/sys/net/ipv4/conf/eth0/arp_notify"
        let opened = open(path, O_WRONLY | O_CLOEXEC)
        try Descriptor(checking: opened < 0 ? -errno : opened, "open \(path)").write("1\n")
    }

    private func batch(_ ip: String, _ lines: [String], _ attempted: String) throws {
        var command = Command([ip, "-batch", "-"])
        command.input = lines.joined(separator: "\n") + "\n"
        try command.output(of: attempted)
    }
}
