// Kinds as people type them: `virtualip`, `VirtualIPs`, `vip` all mean VirtualIP.

import Cluster

public enum KindName {
    private static let short = ["vip": "VirtualIP", "vm": "VirtualMachine", "ct": "SystemContainer"]

    /// Every kind that manifests may have, as it is written.
    public static let known = [
        "Cluster", "Host", "Witness", "VirtualIP", "VirtualMachine", "SystemContainer", "Container", "DNSZone",
        "DHCPSubnet", "CephCluster", "StoragePool", "PlacementRule", "FencePolicy", "Dependency", "Environment",
        "GitSource", "Certificate", "SecretStore", "Tunnel", "PiHole", "KubernetesCluster", "Job", "Schedule",
        "BackupPolicy", "AccessKeys", "Notifier", "Scenario",
    ]

    /// The kind as it is written; what is not known stays as it was typed.
    public static func canonical(_ typed: String) -> String {
        let lower = typed.lowercased()
        if lower == "member" || lower == "members" { return "member" }
        if let kind = short[lower] { return kind }
        return known.first { $0.lowercased() == lower || $0.lowercased() + "s" == lower } ?? typed
    }

    /// As above, and a kind that only the state knows (a newer version declared it) is found too.
    static func canonical(_ typed: String, in state: ClusterState) -> String {
        let kind = canonical(typed)
        if known.contains(kind) || kind == "member" { return kind }
        return state.resources.keys.first { $0.kind.lowercased() == typed.lowercased() }?.kind ?? kind
    }
}
