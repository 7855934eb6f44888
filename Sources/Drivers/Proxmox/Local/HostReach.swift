// What the driver must be able to see and change beside the API, looked at before it takes part: every process of this host,
// and the cluster's files. A service that is shut into less than that would take a machine that runs for one that is gone,
// and could take no guest over. Looks only; asks nothing that can hang.

import Glibc

extension MachineProcesses {
    /// Why some processes of this host are out of sight; nil: all can be seen.
    ///
    /// The first process is there as long as the host is, and belongs to root. Where it cannot be seen, /proc hides what
    /// belongs to others (proc(5), `hidepid`), and from a process without CAP_SYS_PTRACE machines as well.
    public func blindness() -> String? {
        if let line = FileText.read("\(processes)/1/cmdline", most: 65_536), !line.isEmpty { return nil }
        return "\(processes) does not show the first process of this host, so it hides others too: a machine that runs "
            + "here would be taken for one that has ended"
    }
}

extension ProxmoxSettings {
    /// What helps against all of it.
    public static let reachAdvice =
        "install -D -m 0644 /usr/share/holdfast/proxmox.conf /etc/systemd/system/holdfast.service.d/proxmox.conf && "
        + "systemctl daemon-reload && systemctl restart holdfast"

    /// What of this host is out of the driver's reach; empty: nothing. Without it no guest may be run from here.
    /// - Parameter user: whom this process runs as.
    public func outOfReach(user: UInt32 = geteuid()) -> [String] {
        var found: [String] = []
        if let blindness = machines.blindness() { found.append(blindness) }
        if Glibc.access(files.folder, F_OK) != 0 {
            found.append("\(files.folder) is not there: \(SystemText.of(errno))")
        } else if files.folder == GuestFiles().folder, Self.isMountedReadOnly(files.folder) {
            // Of a stand-in it says nothing: one that has no quorum may be mounted so for the time being.
            found.append("\(files.folder) can only be read by this service: no guest could be taken over")
        }
        // Its own rights: root may write there, and nobody else, whoever owns the files of a stand-in.
        if files.folder == GuestFiles().folder, user != 0 {
            found.append("the agent does not run as root, who alone may write to \(files.folder) and run pvecm and qm")
        }
        return found
    }

    /// Whether it is so by its mount, which stays; without quorum it refuses changes too, and that passes.
    static func isMountedReadOnly(_ folder: String) -> Bool {
        guard let mounts = FileText.read("/proc/self/mountinfo", most: 4_194_304) else { return false }
        var best = ""
        var isReadOnly = false
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 5 else { continue }
            let place = String(fields[4])
            guard folder == place || place == "/" || folder.hasPrefix(place + "/"), place.utf8.count >= best.utf8.count
            else { continue }
            // Of mounts on one place the last one is in force.
            best = place
            isReadOnly = fields[5].split(separator: ",").contains("ro")
        }
        return isReadOnly
    }
}
