// The settings a guest's configuration may have, with their types: the parameters of the create and config endpoints.
// From the API description of 8.4.1 and 9.1.6. "[n]" stands for a number.

/// What kind of value a setting or a parameter takes.
enum ValueType: Hashable, Sendable {
    case string
    case integer
    case number
    case boolean
    case choice([String])
    case list
}

enum ConfigurationKeys {
    static func type(_ key: String, _ kind: GuestKind, _ release: Release) -> ValueType? {
        let template = numbered(key)
        let table = kind == .qemu ? qemu : lxc
        if let type = table[template] ?? table[key] { return type }
        return release == .nine ? (kind == .qemu ? qemuNine : lxcNine)[key] : nil
    }

    /// "net0" as "net[n]".
    static func numbered(_ key: String) -> String {
        let stem = key.prefix { !$0.isNumber }
        guard stem.count < key.count, key.dropFirst(stem.count).allSatisfy(\.isNumber) else { return key }
        return "\(stem)[n]"
    }

    /// Whether a setting names an image.
    static func isDrive(_ key: String, _ kind: GuestKind) -> Bool {
        switch kind {
        case .qemu:
            ["ide[n]", "sata[n]", "scsi[n]", "virtio[n]", "efidisk[n]", "tpmstate[n]", "unused[n]"].contains(
                numbered(key))
        case .lxc: key == "rootfs" || ["mp[n]", "unused[n]"].contains(numbered(key))
        }
    }

    /// The privilege that a change of a setting takes. PVE::API2::Qemu::check_vm_modify_config_perm.
    static func privilege(_ key: String, _ kind: GuestKind) -> String {
        if isDrive(key, kind) { return "VM.Config.Disk" }
        switch numbered(key) {
        case "sockets", "cores", "cpu", "cpulimit", "cpuunits", "vcpus", "numa", "numa[n]", "smp", "affinity",
            "allow-ksm":
            return "VM.Config.CPU"
        case "memory", "balloon", "shares", "swap": return "VM.Config.Memory"
        case "net[n]", "nameserver", "searchdomain", "hostname": return "VM.Config.Network"
        case "ipconfig[n]", "ciuser", "cipassword", "sshkeys", "cicustom", "citype", "ciupgrade":
            return "VM.Config.Cloudinit"
        case "acpi", "hotplug", "kvm", "machine", "scsihw", "smbios1", "tablet", "vga", "watchdog", "audio0", "bios",
            "serial[n]", "usb[n]", "hostpci[n]", "parallel[n]", "rng[n]", "args":
            return "VM.Config.HWType"
        case "cdrom": return "VM.Config.CDROM"
        default: return "VM.Config.Options"
        }
    }

    private static let qemu: [String: ValueType] = {
        var table: [String: ValueType] = [:]
        for key in [
            "affinity", "agent", "amd-sev", "args", "audio0", "boot", "bootdisk", "cdrom", "cicustom", "cipassword",
            "ciuser", "cpu", "description", "efidisk0", "hookscript", "hostpci[n]", "hotplug", "ide[n]", "ipconfig[n]",
            "ivshmem", "keyboard", "lock", "machine", "memory", "name", "nameserver", "net[n]", "numa[n]", "ostype",
            "parallel[n]", "rng0", "sata[n]", "scsi[n]", "searchdomain", "serial[n]", "smbios1", "spice_enhancements",
            "sshkeys", "startdate", "startup", "tags", "tpmstate0", "unused[n]", "usb[n]", "vga", "virtio[n]",
            "virtiofs[n]", "vmgenid", "vmstatestorage", "watchdog",
        ] { table[key] = .string }
        for key in [
            "acpi", "autostart", "ciupgrade", "freeze", "keephugepages", "kvm", "localtime", "numa", "onboot",
            "protection", "reboot", "tablet", "tdf", "template",
        ] { table[key] = .boolean }
        for key in [
            "balloon", "cores", "cpuunits", "migrate_speed", "shares", "smp", "sockets", "vcpus",
        ] { table[key] = .integer }
        for key in ["cpulimit", "migrate_downtime"] { table[key] = .number }
        table["arch"] = .choice(["x86_64", "aarch64"])
        table["bios"] = .choice(["seabios", "ovmf"])
        table["citype"] = .choice(["configdrive2", "nocloud", "opennebula"])
        table["hugepages"] = .choice(["any", "2", "1024"])
        table["scsihw"] = .choice([
            "lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi",
        ])
        return table
    }()

    private static let qemuNine: [String: ValueType] = ["allow-ksm": .boolean, "intel-tdx": .string]

    private static let lxc: [String: ValueType] = {
        var table: [String: ValueType] = [:]
        for key in [
            "description", "dev[n]", "features", "hookscript", "hostname", "lock", "mp[n]", "nameserver", "net[n]",
            "ostype", "rootfs", "searchdomain", "startup", "tags", "timezone", "unused[n]",
        ] { table[key] = .string }
        for key in ["console", "debug", "onboot", "protection", "template", "unprivileged"] { table[key] = .boolean }
        for key in ["cores", "cpuunits", "memory", "swap", "tty"] { table[key] = .integer }
        table["cpulimit"] = .number
        table["arch"] = .choice(["amd64", "i386", "arm64", "armhf", "riscv32", "riscv64"])
        table["cmode"] = .choice(["shell", "console", "tty"])
        return table
    }()

    private static let lxcNine: [String: ValueType] = ["entrypoint": .string, "env": .string]
}
