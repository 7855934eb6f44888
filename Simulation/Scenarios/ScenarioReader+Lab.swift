// The lab of a scenario: machines, addresses, what wires and disks are like, and the clients.

import Cluster
import Consensus
import Kinds
import SimulationWorld

extension ScenarioReader {
    // MARK: Machines

    mutating func readMachines(hosts: ScenarioNode?, members: ScenarioNode?, in document: ScenarioNode) {
        guard let hosts else {
            return missing("hosts", "the physical hosts, like {pve1: {}, pve2: {}}", from: document)
        }
        var waiting: [(member: Plan.Member, node: ScenarioNode, at: String)] = []
        for field in machineEntries(of: hosts, at: "hosts") {
            let path = "hosts.\(field.name)"
            let known = ["power", "memory", "cores", "drift", "version", "joins"]
            let inner = fields(of: field.value, at: path, known: known)
            var member = Plan.Member(name: field.name, kind: .host)
            if let node = inner["memory"] { member.memory = bytes(node, at: "\(path).memory") ?? member.memory }
            if let node = inner["cores"] {
                member.cores = number(node, at: "\(path).cores", in: 1...4_096) ?? member.cores
            }
            add(member, inner, field, path)
        }
        if plan.members.isEmpty { wrong(hosts, "hosts", expected: "at least one host") }
        if plan.members.first?.joinsLater == true {
            wrong(hosts, "hosts", expected: "a first host that is there from the start: it founds the cluster")
        }
        for field in members.map({ machineEntries(of: $0, at: "members") }) ?? [] {
            let path = "members.\(field.name)"
            let inner = fields(
                of: field.value, at: path, known: ["kind", "host", "workload", "power", "drift", "version", "joins"])
            let kinds = MemberKind.allCases.map(\.rawValue)
            guard let node = inner["kind"] else {
                missing("kind", Excerpt.choices(kinds), from: field.value)
                continue
            }
            guard let kind = name(node, at: "\(path).kind", among: kinds, "a kind").flatMap(MemberKind.init) else {
                continue
            }
            var member = Plan.Member(name: field.name, kind: kind)
            if kind == .guest {
                guard let host = inner["host"] else {
                    missing("host", "the host it runs on", from: field.value)
                    continue
                }
                member.host = text(host, at: "\(path).host") ?? ""
                if let node = inner["workload"] { member.workload = text(node, at: "\(path).workload") ?? "" }
                waiting.append((member, host, "\(path).host"))
            } else if kind == .witness, let host = inner["host"] {
                member.host = text(host, at: "\(path).host") ?? ""
                waiting.append((member, host, "\(path).host"))
                if inner["joins"] == nil {
                    wrong(host, "\(path).host", expected: "`joins: later` beside it: such a witness is not let in")
                }
            } else if let host = inner["host"] {
                wrong(host, "\(path).host", expected: "no host: only a guest or a witness runs on one")
            }
            add(member, inner, field, path)
        }
        // A guest may be declared before its host.
        for each in waiting {
            let hosts = plan.members.filter { $0.kind == .host }.map(\.name)
            _ = name(each.node, at: each.at, among: hosts, "a host")
        }
        if plan.members.count > Self.mostMachines {
            wrong(hosts, "hosts", expected: "at most \(Self.mostMachines) machines in all")
        }
    }

    /// A map of names, or a plain list of them.
    private mutating func machineEntries(of node: ScenarioNode, at path: String) -> [ScenarioField] {
        guard case .list(let nodes, _) = node else { return entries(of: node, at: path) }
        return nodes.compactMap { each in
            guard let name = text(each, at: path) else { return nil }
            return ScenarioField(name: name, line: each.line, value: .text("", line: each.line))
        }
    }

    private mutating func add(
        _ member: Plan.Member, _ fields: SortedMap<String, ScenarioNode>, _ field: ScenarioField, _ path: String
    ) {
        var member = member
        checkName(field, path)
        if plan.members.contains(where: { $0.name == member.name }) {
            errors.append(
                ScenarioError(
                    file: file, line: field.line, field: path, found: "a second machine of this name",
                    expected: "each name once among hosts and members"))
            return
        }
        if let node = fields["drift"] {
            member.driftPartsPerMillion = rate(node, at: "\(path).drift") ?? 0
        }
        if let node = fields["version"] { member.version = text(node, at: "\(path).version") ?? member.version }
        if let node = fields["joins"] {
            member.joinsLater = name(node, at: "\(path).joins", among: ["later"], "later, or no such field") != nil
        }
        if let node = fields["power"],
            let power = name(node, at: "\(path).power", among: ["on", "off"], "whether it has power"), power == "off"
        {
            plan.timeline.append(Plan.Moment(at: 0, action: .powerOff(member.name), line: node.line))
        }
        plan.members.append(member)
    }

    /// The product's own rule for names; and `nobody` is a word of expectations.
    private mutating func checkName(_ field: ScenarioField, _ path: String) {
        guard !TextForm.name.accepts(field.name) || field.name == "nobody" else { return }
        errors.append(
            ScenarioError(
                file: file, line: field.line, field: path, found: Excerpt.quoted(field.name),
                expected: TextForm.name.expected + ", and not nobody",
                suggestion: TextForm.name.suggestion(for: field.name)))
    }

    mutating func rate(_ node: ScenarioNode, at path: String) -> Int64? {
        guard case .text(let text, _) = node, let rate = Quantity.partsPerMillion(text), rate.magnitude <= 100_000
        else {
            wrong(node, path, expected: Argument.rate.expected)
            return nil
        }
        return rate
    }

    /// A guest's agent may run in one of the workloads, which is declared further down, and on the host of that.
    mutating func checkCarried(members: ScenarioNode?) {
        guard let members else { return }
        for member in plan.members where !member.workload.isEmpty {
            let path = "members.\(member.name).workload"
            let place = ScenarioNode.text(member.workload, line: members.line)
            guard name(place, at: path, among: plan.workloads.map(\.name), "a workload") != nil else { continue }
            let workload = plan.workloads.first { $0.name == member.workload }
            if workload?.host != member.host { wrong(place, path, expected: "one on \(member.host), like its member") }
        }
    }

    var machineNames: [String] { plan.members.map(\.name) }

    // MARK: Addresses

    mutating func readAddresses(_ node: ScenarioNode?) {
        guard let node else { return }
        for field in entries(of: node, at: "addresses") {
            let path = "addresses.\(field.name)"
            checkName(field, path)
            let inner = fields(of: field.value, at: path, known: ["candidates", "address", "preempt", "follow"])
            guard let candidates = inner["candidates"] else {
                missing("candidates", "the members that may hold it, the preferred one first", from: field.value)
                continue
            }
            let able = plan.members.filter { $0.kind != .witness }.map(\.name)
            var address = Plan.Address(
                name: field.name, address: "192.168.1.\(100 + plan.addresses.count)",
                candidates: names(candidates, at: "\(path).candidates", among: able, "a machine that is no witness"))
            if let node = inner["address"] {
                let text = text(node, at: "\(path).address") ?? ""
                if TextForm.ipInterface.objection(to: text + "/24") != nil
                    || !TextForm.ipInterface.accepts(text + "/24")
                {
                    wrong(node, "\(path).address", expected: TextForm.ipv4Address.expected)
                }
                address.address = text
            }
            if let node = inner["preempt"] {
                address.preempt =
                    name(node, at: "\(path).preempt", among: ["never", "always"], "when it goes back") ?? "never"
            }
            if let node = inner["follow"] {
                address.follows =
                    name(node, at: "\(path).follow", among: ["health"], "health, or no such field") != nil
            }
            plan.addresses.append(address)
        }
    }

    // MARK: Conditions

    mutating func readConditions(_ top: SortedMap<String, ScenarioNode>) {
        if let node = top["clients"] {
            let inner = fields(of: node, at: "clients", known: ["count", "think", "keys"])
            if let node = inner["count"] {
                plan.clients.count = Int(number(node, at: "clients.count", in: 0...64) ?? 0)
            }
            if let node = inner["keys"] {
                plan.clients.keys = Int(number(node, at: "clients.keys", in: 1...1_000) ?? 1)
            }
            if let node = inner["think"] {
                plan.clients.think = length(node, at: "clients.think", in: 4...Self.mostLength) ?? plan.clients.think
            }
        }
        if let node = top["wires"] {
            let inner = fields(of: node, at: "wires", known: ["delay", "loss", "copies", "late"])
            readRange(inner["delay"], at: "wires.delay", \.delay)
            readShare(inner["loss"], at: "wires.loss", \.loss)
            readShare(inner["copies"], at: "wires.copies", \.copies)
            readShare(inner["late"], at: "wires.late", \.late)
        }
        if let node = top["disks"] {
            let inner = fields(of: node, at: "disks", known: ["latency"])
            readRange(inner["latency"], at: "disks.latency", \.diskLatency)
        }
        if let node = top["snapshots"] {
            let inner = fields(of: node, at: "snapshots", known: ["every", "chunk"])
            if let node = inner["every"] {
                plan.conditions.snapshotEvery = Int(number(node, at: "snapshots.every", in: 2...1_000_000_000) ?? 2)
            }
            if let node = inner["chunk"] {
                plan.conditions.snapshotChunk = Int(number(node, at: "snapshots.chunk", in: 16...1_048_576) ?? 16)
            }
        }
        if let node = top["certificates"] {
            let inner = fields(of: node, at: "certificates", known: ["life"])
            if let node = inner["life"] {
                plan.conditions.certificateLife =
                    length(node, at: "certificates.life", in: 1...Self.mostLength) ?? plan.conditions.certificateLife
            }
        }
        if let node = top["boot"] {
            let inner = fields(of: node, at: "boot", known: ["hosts", "guests"])
            readRange(inner["hosts"], at: "boot.hosts", \.hostBoot)
            readRange(inner["guests"], at: "boot.guests", \.guestBoot)
        }
        if let node = top["probe"] {
            plan.conditions.probeEvery = length(node, at: "probe", in: 1...Self.mostLength) ?? 0
        }
    }

    private mutating func readRange(
        _ node: ScenarioNode?, at path: String, _ field: WritableKeyPath<Plan.Conditions, ClosedRange<Int64>>
    ) {
        guard let node else { return }
        guard case .text(let text, _) = node, let read = Quantity.lengths(text) else {
            return wrong(node, path, expected: "two lengths of time with .. between them, like 80us..250us")
        }
        plan.conditions[keyPath: field] = read
    }

    private mutating func readShare(
        _ node: ScenarioNode?, at path: String, _ field: WritableKeyPath<Plan.Conditions, Int>
    ) {
        guard let node else { return }
        guard case .text(let text, _) = node, let read = Quantity.share(text) else {
            return wrong(node, path, expected: Argument.share.expected)
        }
        plan.conditions[keyPath: field] = read
    }

    // MARK: Timing

    /// Timings the cluster runs on, by the names the `Cluster` resource uses.
    static let timings: [(name: String, path: WritableKeyPath<Timing, Interval> & Sendable)] = [
        ("heartbeat", \.heartbeat), ("quorumLease", \.quorumLease), ("promise", \.promise),
        ("memberLease", \.memberLease), ("electionTimeoutLeast", \.electionTimeoutLeast),
        ("electionTimeoutMost", \.electionTimeoutMost),
    ]

    mutating func readTiming(_ node: ScenarioNode?) {
        guard let node else { return }
        let inner = fields(of: node, at: "timing", known: Self.timings.map(\.name) + ["drift"])
        for (name, path) in Self.timings {
            guard let node = inner[name] else { continue }
            if let length = length(node, at: "timing.\(name)", in: 1...Self.mostLength) {
                plan.timing[keyPath: path] = Interval(nanoseconds: length)
            }
        }
        if let node = inner["drift"] {
            plan.timing.driftPartsPerMillion = rate(node, at: "timing.drift") ?? plan.timing.driftPartsPerMillion
        }
        if let fault = plan.timing.fault { wrong(node, "timing", expected: fault) }
    }
}
