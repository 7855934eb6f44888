// When the lab is as it should be: conditions on what `holdfast status` says, waited for between the acts. Nothing here
// changes anything.

extension ClusterStatus {
    /// Every member is reachable, and the hosts and the witness vote.
    var isWhole: Bool {
        leader != nil
            && Topology.homelab.members.allSatisfy { node in
                guard let member = members.first(where: { $0.name == node.name }) else { return false }
                let shouldVote = node.kind == .host || node.kind == .witness
                return member.reachable && (member.voter || !shouldVote)
            }
    }

    /// Whether each of `addresses` has a holder.
    func holds(_ addresses: [String]) -> Bool { addresses.allSatisfy { address($0)?.holder != nil } }
}

extension HoldfastClient {
    /// The addresses of the lab's manifests: the Kubernetes API and the DNS.
    static let addresses = ["192.168.1.99", "192.168.1.2"]

    /// Waits until the whole lab is well and every address is held.
    @discardableResult
    func waitUntilWhole(seconds: Int = 90) throws -> ClusterStatus {
        try wait(for: "all members, three voters and both addresses", seconds: seconds) {
            $0.isWhole && $0.holds(Self.addresses)
        }
    }

    /// Who holds `address` now, and the machine whose power it hangs on.
    func holder(of address: String, in status: ClusterStatus) throws -> (member: Node, machine: Node) {
        guard let name = status.address(address)?.holder else { throw LabError("nobody holds \(address)", exitCode: 5) }
        let member = try topology.node(name)
        return (member, try topology.attached(member))
    }
}

/// `--manifests`.
enum Manifests {
    /// - Throws: when there is no such folder.
    static func folder(_ given: String?) throws -> String {
        if let given {
            guard Executables.isDirectory(given) else {
                throw LabError("--manifests \(given): no such folder", exitCode: 3)
            }
            return Executables.absolute(given)
        }
        var places = [Executables.currentDirectory()]
        var parts = try Executables.own().split(separator: "/").dropLast()
        while !parts.isEmpty {
            places.append("/" + parts.joined(separator: "/"))
            parts = parts.dropLast()
        }
        for place in places where Executables.isDirectory("\(place)/deploy/lab") { return "\(place)/deploy/lab" }
        throw LabError(
            "no folder deploy/lab here or above the program; name the lab's manifests with --manifests", exitCode: 3)
    }
}
