// How long corosync takes to go on without a host that has lost power, by its configuration: until then nothing can be
// written to /etc/pve, and no guest taken over. Measured with real ones by Simulation/Corosync.

/// The times of a corosync.conf.
public struct CorosyncTimes: Hashable, Sendable {
    /// Without the token for so long, a host is taken for gone, in milliseconds; of three hosts and more, with the coefficient.
    public let token: Int
    /// And the others then agree for so long before they go on.
    public let consensus: Int
    /// How often the QDevice is asked; nil: there is none.
    public let device: Int?

    /// What corosync has where its configuration says nothing; corosync.conf(5), corosync-qdevice(8).
    public static let usual = (token: 3_000, coefficient: 650, device: 10_000)

    /// From the loss of a host until the others go on, at most, in milliseconds.
    ///
    /// With a QDevice they wait for its vote as well, and its server gives none before the lost host's connection has ended:
    /// one and a half times eight tenths of the device's time-out.
    public var pause: Int { max(token + consensus, (device ?? 0) * 12 / 10) }

    /// - Returns: nil where the text has no section `totem`, which every corosync.conf has.
    public init?(_ text: String) {
        var sections: [String] = []
        var totem: [String: Int]?
        var hosts = 0
        var device: Int?
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop { $0 == " " || $0 == "\t" }
            if line.first == "#" { continue }
            if let brace = line.firstIndex(of: "{") {
                sections.append(String(line[..<brace]).lowercased().filter { $0 != " " && $0 != "\t" })
                switch sections {
                case ["totem"]: totem = totem ?? [:]
                case ["nodelist", "node"]: hosts += 1
                case ["quorum", "device"]: device = Self.usual.device
                default: break
                }
            } else if line.first == "}" {
                _ = sections.popLast()
            } else if let colon = line.firstIndex(of: ":") {
                let key = line[..<colon].filter { $0 != " " && $0 != "\t" }
                guard let value = Self.number(line[line.index(after: colon)...]) else { continue }
                switch (sections, key) {
                case (["totem"], _): totem?[key] = value
                case (["quorum", "device"], "timeout"): device = value
                default: break
                }
            }
        }
        guard let totem else { return nil }
        let coefficient = totem["token_coefficient"] ?? Self.usual.coefficient
        token = (totem["token"] ?? Self.usual.token) + max(0, hosts - 2) * coefficient
        consensus = totem["consensus"] ?? token * 12 / 10
        self.device = device
    }

    /// Milliseconds, no more than a day of them.
    private static func number(_ text: Substring) -> Int? {
        Int(text.filter { $0 != " " && $0 != "\t" && $0 != "\r" }).flatMap { (0...86_400_000).contains($0) ? $0 : nil }
    }
}

extension ProxmoxSettings {
    static let mostOfConfiguration = 65_536

    /// Of this host's Proxmox cluster; nil: it is in none, or its configuration cannot be read.
    func corosyncTimes() -> CorosyncTimes? {
        // Proxmox copies the cluster's file to where corosync reads it; a stand-in for /etc/pve has only the one.
        let folder = files.folder == GuestFiles().folder ? "/etc/corosync" : files.folder
        return FileText.read("\(folder)/corosync.conf", most: Self.mostOfConfiguration).flatMap { CorosyncTimes($0) }
    }
}
