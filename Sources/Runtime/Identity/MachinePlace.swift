// On what a machine runs, as far as it can be told by comparing: a virtual machine has the UUID that its hypervisor gave it,
// and a container has the boot of its host, or one that LXC gave it, which its host can look up (ContainerBoots). None is a
// secret, and none proves anything against somebody who lies; it is for the person who did not think of it.

import FoundationEssentials

/// What tells a machine from others, as it is read on it.
public struct MachinePlace: Hashable, Sendable, Codable {
    /// The UUID in the firmware's tables (SMBIOS, system information; QEMU's `-smbios type=1,uuid=`), in lower case. Nil: only
    /// root may read it, or there is none. A container that may read it tells of the machine that it runs on, which may be a
    /// guest.
    public var machine: String?
    /// Of a container: the id of this boot (random(4), /proc/sys/kernel/random/boot_id). It is the kernel's own, which the
    /// container shares with its host, or one that LXC drew when it started the container. Nil on a machine that is none,
    /// and where it cannot be read.
    public var boot: String?

    public init(machine: String? = nil, boot: String? = nil) { (self.machine, self.boot) = (machine, boot) }

    /// What the cluster keeps of it, in one word. A container that may read the firmware's UUID runs in a guest or on a machine
    /// that has it; another one is found by its boot.
    public var kept: String? { machine ?? boot }

    /// Of the machine that this process runs on.
    public static func here(root: String = "") -> MachinePlace {
        MachinePlace(
            machine: uuid(in: root + "/sys/class/dmi/id/product_uuid"),
            boot: isContainer(root) ? uuid(in: root + "/proc/sys/kernel/random/boot_id") : nil)
    }

    /// The boot of this machine when it has a kernel of its own; nil: it is a container itself.
    public static func ownBoot(root: String = "") -> String? {
        isContainer(root) ? nil : uuid(in: root + "/proc/sys/kernel/random/boot_id")
    }

    /// By the marks that systemd (sd_booted, CONTAINER_INTERFACE), Docker and Podman leave, and by the variable that LXC gives
    /// to the first process.
    private static func isContainer(_ root: String) -> Bool {
        let marks = ["/run/systemd/container", "/.dockerenv", "/run/.containerenv"]
        if marks.contains(where: { FileManager.default.fileExists(atPath: root + $0) }) { return true }
        let first = FileManager.default.contents(atPath: root + "/proc/1/environ") ?? Data()
        return first.split(separator: 0).contains { $0.starts(with: Data("container=".utf8)) }
    }

    private static func uuid(in file: String) -> String? {
        guard let data = FileManager.default.contents(atPath: file), data.count <= 256 else { return nil }
        return uuid(String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace })
    }

    /// As one writes it; nil when it is none.
    static func uuid(_ text: String) -> String? { UUID(uuidString: text)?.uuidString.lowercased() }
}
