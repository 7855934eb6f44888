// Changing a guest's configuration. What a running guest cannot take is kept as pending until its next start.

extension Host {
    /// Checks a change before anything is done, as the request's handler does.
    /// - Throws: `APIError`, e.g. for a digest that is no longer right.
    func check(_ change: ConfigurationChange, of guest: GuestID) throws(APIError) {
        let configuration = try configuration(of: guest)
        if let digest = change.digest, digest != configuration.digest {
            throw .died("checksum mismatch (file change by other user?)")
        }
        try requireUnlocked(configuration, guest)
        for (key, value) in change.settings { try checkSetting(key, value) }
        for key in change.deletions where ConfigurationKeys.isDrive(key, guest.kind) {
            if configuration["protection"] == "1" { throw .died("can't remove drive - protection mode enabled") }
        }
    }

    /// What has to be right about one setting before it is accepted.
    func checkSetting(_ key: String, _ value: String) throws(APIError) {
        if key == "sshkeys" {
            let text = PercentText.decode(value)
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                guard SSHKeyLine.isValid(String(line)) else { throw .died("SSH public key validation error") }
            }
        }
        guard ConfigurationKeys.isDrive(key, .qemu) || ConfigurationKeys.isDrive(key, .lxc),
            let drive = Drive(key: key, text: value)
        else { return }
        let storage = try storage(drive.storage)
        guard Double(drive.name) == nil, drive.name != "cloudinit", storage.isFiles else { return }
        guard drive.name.contains("/") else {
            throw .died("unable to parse directory volume name '\(drive.name)'")
        }
    }

    /// Makes a change.
    /// - Throws: `APIError` when /etc/pve cannot be written; what was allocated by then stays, as in Proxmox.
    mutating func apply(_ change: ConfigurationChange, to guest: GuestID) throws(APIError) {
        var configuration = try configuration(of: guest)
        if let description = change.description { configuration.description = description }
        for key in change.reverts {
            configuration.pending[key] = nil
            configuration.pendingDeletions.removeAll { $0 == key }
        }
        for key in change.deletions { delete(key, from: &configuration, guest) }
        for key in change.settings.keys.sorted() {
            guard var value = change.settings[key] else { continue }
            if ConfigurationKeys.isDrive(key, guest.kind) {
                keepAsUnused(key, replacedBy: value, in: &configuration, guest)
                value = try makeDisk(key, value, for: guest, nil).text
            }
            if ConfigurationKeys.numbered(key) == "net[n]" {
                let present = configuration[key].map(PropertyString.init)?.settings.first?.value
                value = withAddress(value, guest.kind, keeping: present)
            }
            if mustWait(key, guest) && configuration[key] != value {
                configuration.pending[key] = value
            } else {
                configuration[key] = value
                configuration.pending[key] = nil
            }
        }
        try store(configuration, of: guest)
    }

    private mutating func withAddress(_ text: String, _ kind: GuestKind, keeping present: String?) -> String {
        let fresh = withAddress(text, kind)
        guard kind == .qemu, PropertyString(text).head != nil, let present else { return fresh }
        var properties = PropertyString(fresh)
        if let first = properties.settings.first { properties.settings[0] = (first.key, present) }
        return properties.text
    }

    private func delete(_ key: String, from configuration: inout GuestConfiguration, _ guest: GuestID) {
        if key == "description" {
            configuration.description = nil
            return
        }
        if mustWait(key, guest), configuration[key] != nil {
            configuration.pendingDeletions = (configuration.pendingDeletions.filter { $0 != key } + [key]).sorted()
            return
        }
        keepAsUnused(key, replacedBy: nil, in: &configuration, guest)
        configuration[key] = nil
    }

    /// A disk taken out of a configuration is kept as "unused" and never removed with it.
    private func keepAsUnused(
        _ key: String, replacedBy text: String?, in configuration: inout GuestConfiguration, _ guest: GuestID
    ) {
        guard ConfigurationKeys.isDrive(key, guest.kind), !key.hasPrefix("unused"), let present = configuration[key],
            let drive = Drive(key: key, text: present), !drive.isCDROM
        else { return }
        if let text, Drive(key: key, text: text)?.volume == drive.volume { return }
        let free = (0..<256).first { configuration["unused\($0)"] == nil } ?? 255
        configuration["unused\(free)"] = drive.volume
    }

    /// Whether a setting of a running guest waits for its next start. Proxmox hotplugs disks, network cards and USB.
    private func mustWait(_ key: String, _ guest: GuestID) -> Bool {
        guard running[guest] != nil, guest.kind == .qemu else { return false }
        switch ConfigurationKeys.numbered(key) {
        case "memory", "cores", "sockets", "cpu", "numa", "machine", "bios", "scsihw", "kvm", "acpi", "vga", "args",
            "ostype", "smbios1", "vmgenid", "agent", "hostpci[n]", "efidisk[n]", "tpmstate[n]", "boot", "vcpus":
            return true
        default: return false
        }
    }

    /// Pending changes take effect when a guest starts.
    mutating func takePending(_ guest: GuestID) throws(APIError) {
        var configuration = try configuration(of: guest)
        guard !configuration.pending.isEmpty || !configuration.pendingDeletions.isEmpty else { return }
        for key in configuration.pendingDeletions { configuration[key] = nil }
        for (key, value) in configuration.pending { configuration[key] = value }
        configuration.pending = [:]
        configuration.pendingDeletions = []
        try store(configuration, of: guest)
    }

    /// "update VM 100: -memory 96"
    func updateLine(_ guest: GuestID, _ change: ConfigurationChange) -> String {
        var parts = change.settings.sorted { $0.key < $1.key }.map { key, value in
            "-\(key) \(key == "cipassword" ? "<hidden>" : value)"
        }
        if !change.deletions.isEmpty { parts.insert("-delete \(change.deletions.joined(separator: ","))", at: 0) }
        return "update \(guest): \(parts.joined(separator: " "))"
    }
}

/// A line of an authorized_keys file.
enum SSHKeyLine {
    /// Whether the key's blob is well-formed: fields with their length in front that fill it exactly (RFC 4253, 6.6).
    static func isValid(_ line: String) -> Bool {
        let parts = line.split(separator: " ").map(String.init)
        guard
            let position = parts.firstIndex(where: {
                $0.hasPrefix("ssh-") || $0.hasPrefix("ecdsa-") || $0.hasPrefix("sk-")
            }),
            position + 1 < parts.count, let blob = Base64.decode(parts[position + 1])
        else { return false }
        var fields: [[UInt8]] = []
        var offset = 0
        while offset + 4 <= blob.count {
            let length = blob[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
            offset += 4
            guard length <= blob.count - offset else { return false }
            fields.append(Array(blob[offset..<offset + length]))
            offset += length
        }
        guard offset == blob.count, fields.count >= 2 else { return false }
        return String(decoding: fields[0], as: UTF8.self) == parts[position]
    }
}
