// The status as one screen: what can be lost first, then who leads, who is there, who holds what, what is wrong.

import API

enum StatusText {
    static func render(_ status: StatusDocument, clock: WallClock, style: Style, wide: Bool = false) -> String {
        var lines = [toleranceLine(status.tolerance, style)]
        let leader = status.leader.map { "led by \($0)" } ?? style.bad("no leader known")
        let quorum = status.quorum ? "" : style.bad(", no quorum")
        lines.append("Cluster \(status.cluster), \(leader)\(quorum), revision \(status.revision)")
        if status.read.consistency == .local { lines.append(age(status.read)) }
        lines += ["", "Members"] + members(status.members, style, wide: wide).lines(indent: 2)
        if !status.addresses.isEmpty {
            lines += ["", "Addresses"] + addresses(status.addresses, clock, wide: wide).lines(indent: 2)
        }
        if let workloads = status.workloads, !workloads.isEmpty {
            lines +=
                ["", "Workloads"]
                + WorkloadText.workloads(workloads, status.hosts ?? [], clock, wide: wide).lines(indent: 2)
        }
        if let rotation = status.rotation {
            lines += ["", "Authority"] + rotation.sentences.map { "  \($0)" }
        }
        if !status.degraded.isEmpty {
            lines += ["", style.warning("Degraded")] + status.degraded.map { "  \($0)" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// `You can lose: pve1 yes · pve2 NO (why)`
    static func toleranceLine(_ tolerance: [ToleranceDocument], _ style: Style) -> String {
        guard !tolerance.isEmpty else { return "You can lose: nothing is known yet" }
        let parts = tolerance.map { domain in
            domain.canBeLost
                ? "\(domain.domain) \(style.good("yes"))"
                : "\(domain.domain) \(style.bad("NO")) (\(domain.why.joined(separator: "; ")))"
        }
        return "You can lose: " + parts.joined(separator: " · ")
    }

    static func tolerance(_ tolerance: [ToleranceDocument], _ style: Style) -> String {
        var table = Table(["DOMAIN", "CAN BE LOST", "MEMBERS", "WHY NOT"])
        for domain in tolerance {
            table.add([
                domain.domain, domain.canBeLost ? "yes" : "NO", domain.members.joined(separator: ", "),
                domain.why.first ?? "",
            ])
            for reason in domain.why.dropFirst() { table.add(["", "", "", reason]) }
        }
        return ([toleranceLine(tolerance, style), ""] + table.lines()).joined(separator: "\n") + "\n"
    }

    static func members(_ members: [MemberDocument], _ style: Style, wide: Bool) -> Table {
        var table = Table(
            ["NAME", "KIND", "HOST", "REACHABLE", "ROLE"] + (wide ? ["VERSION", "API", "PEER", "ID"] : []))
        for member in members {
            let role = member.leader ? "leader" : member.voter ? "voter" : "learner"
            let reachable = member.stopping ? "stopping" : member.reachable ? "yes" : "NO"
            table.add(
                [member.name, member.kind, member.host == member.name ? "-" : member.host, reachable, role]
                    + (wide ? [member.version, member.endpoint, member.peerEndpoint, member.id] : []))
        }
        return table
    }

    static func addresses(_ addresses: [AddressDocument], _ clock: WallClock, wide: Bool) -> Table {
        var table = Table(["NAME", "ADDRESS", "HOLDER", "SINCE"] + (wide ? ["PHASE"] : []) + ["EPOCH", "REASON"])
        for address in addresses {
            let holder: String =
                switch address.phase {
                case .vacant: "nobody"
                case .held: address.holder ?? "nobody"
                case .releasing: "\(address.holder ?? "nobody") → \(address.successor ?? "nobody")"
                }
            table.add(
                [address.name, address.address, holder, clock.text(address.sinceMilliseconds)]
                    + (wide ? [address.phase.rawValue] : []) + [String(address.epoch), address.reason])
        }
        return table
    }

    /// What a local answer is worth.
    static func age(_ read: ReadAge) -> String {
        let behind = read.behind == 0 ? "" : ", \(read.behind) log entries behind what it knows of"
        let leader = read.knowsLeader ? "" : "; it knows no leader, so this may be old"
        return "As \(read.member) has it: revision \(read.revision)\(behind)\(leader)"
    }
}
