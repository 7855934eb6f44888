// What scenario files can speak of before the product can do it: known by name, so that the answer is which part is not
// there yet, and not that the word is unknown. The one table of it; whoever builds a part takes its rows out here, and
// the index of cases (Simulation/CaseIndex.yaml) then asks for the cases that waited for it.

/// A part of the product, or of the simulated world, that is not built yet.
public enum MissingPart: String, CaseIterable, Hashable, Sendable {
    case workloads, proxmox, ceph, watchdog, drain, disarm
    case witnessPlace, certificates

    /// One sentence for a person who asked for it.
    public var sentence: String {
        switch self {
        case .workloads: "virtual machines and containers are not managed yet, so there is nothing to run or to move"
        case .proxmox: "the simulated Proxmox is not built yet, so none of its calls can fail"
        case .ceph: "the Ceph fence is not built yet, so no client can be blocklisted"
        case .watchdog: "the watchdog fence is not built yet, so no host resets by itself"
        case .drain: "draining a host is not built yet, because nothing but addresses would leave it"
        case .disarm: "disarming the cluster is not built yet"
        case .witnessPlace: "where a witness runs is not known yet, so one inside a host's own guest is not refused"
        case .certificates: "the simulated members have no certificates; those are tested beside it"
        }
    }

    /// Fields of a scenario that wait, by their path without indices.
    static let fields: [(path: String, part: MissingPart)] = [
        ("workloads", .workloads), ("rules", .workloads), ("policy", .workloads),
        ("hosts.memory", .workloads), ("hosts.cores", .workloads),
        ("expect.recoveries", .workloads), ("expect.resets", .watchdog),
    ]

    /// Verbs that wait, with what they take.
    static let verbs: [(verb: String, form: String, part: MissingPart)] = [
        ("drain", "drain H", .drain),
        ("undrain", "undrain H", .drain), ("disarm", "disarm 30m", .disarm), ("arm", "arm", .disarm),
        ("set", "set W running|stopped|ignored", .workloads), ("move", "move W H", .workloads),
        ("relocate", "relocate W H", .workloads), ("hand-move", "hand-move W H", .workloads),
        ("add", "add W {...}", .workloads), ("delete", "delete W", .workloads),
        ("load", "load W cores=2 memory=4Gi", .workloads), ("fail-api", "fail-api H 30s", .proxmox),
        ("unknown-outcome", "unknown-outcome H", .proxmox), ("lock", "lock W", .proxmox),
        ("unlock", "unlock W", .proxmox), ("blocklist-expire", "blocklist-expire", .ceph),
    ]

    /// Kinds of storage that wait. `local` needs nothing: it has no fence.
    static let storages: [(name: String, part: MissingPart)] = [("ceph", .ceph), ("shared", .watchdog)]

    /// Promises that wait, as `never` lists them.
    static let promises: [(name: String, part: MissingPart)] = [
        ("doubleRun", .workloads), ("doubleWrite", .workloads), ("startBeforeFence", .workloads),
        ("hostReset", .watchdog), ("doubleAuthority", .workloads),
    ]
}
