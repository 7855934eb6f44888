// What befalls the lab and when: moments, each with one verb or a list of them.

import Cluster
import Consensus
import Kinds
import SimulationWorld

extension ScenarioReader {
    mutating func readTimeline(_ node: ScenarioNode?) {
        guard let node else { return }
        guard case .list(let moments, _) = node else {
            if case .text("", _) = node { return }
            return wrong(node, "timeline", expected: "a list of moments, each like {at: 20s, do: power-off pve1}")
        }
        if moments.count > Self.mostMoments { wrong(node, "timeline", expected: "at most \(Self.mostMoments) moments") }
        for (position, moment) in moments.enumerated() { readMoment(moment, at: "timeline[\(position)]") }
        plan.timeline = plan.timeline.enumerated()
            .sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }

    private mutating func readMoment(_ node: ScenarioNode, at path: String) {
        let inner = fields(of: node, at: path, known: ["at", "do"])
        guard let when = inner["at"] else { return missing("at", "when it happens, like 20s", from: node) }
        guard let what = inner["do"] else { return missing("do", "what happens, like power-off pve1", from: node) }
        guard let at = length(when, at: "\(path).at", in: 0...Self.mostLength) else { return }
        if at >= plan.length {
            wrong(when, "\(path).at", expected: "a moment before the end at \(TimeText.length(plan.length))")
        }
        let verbs: [ScenarioNode]
        if case .list(let nodes, _) = what { verbs = nodes } else { verbs = [what] }
        for verb in verbs {
            guard let action = happening(verb, at: "\(path).do") else { continue }
            plan.timeline.append(Plan.Moment(at: at, action: action, line: verb.line))
        }
    }

    private mutating func happening(_ node: ScenarioNode, at path: String) -> Happening? {
        guard let text = text(node, at: path) else { return nil }
        let words = text.split(separator: " ").map(String.init)
        guard let first = words.first else { return nil }
        if first == "add" { return addition(text, node, path) }
        guard let verb = Verb.named(first) else {
            refuse(first, words, node, path)
            return nil
        }
        let given = Array(words.dropFirst())
        let least = verb.arguments.count - verb.optional
        guard given.count == verb.arguments.count || given.count == least else {
            wrong(node, path, expected: verb.form)
            return nil
        }
        if first == "load", given.count == 3, given[1].prefix(2) == given[2].prefix(2) {
            wrong(node, path, expected: "cores and memory once each: \(verb.form)")
            return nil
        }
        let before = errors.count
        let read = zip(given, verb.arguments).compactMap { word($0, $1, node, path) }
        guard read.count == given.count, errors.count == before else { return nil }
        // Both ends of a wire, or where something goes to: never the same machine twice.
        if ["cut", "heal", "loss", "copies", "late", "delay"].contains(first), given.count >= 2, given[0] == given[1] {
            wrong(node, path, expected: "two different machines: \(verb.form)")
            return nil
        }
        return verb.make(Verb.Words(words: read))
    }

    /// The names that `add` brings in, so that other verbs and rules know them.
    mutating func findAdded(_ timeline: ScenarioNode?) {
        guard case .list(let moments, _)? = timeline else { return }
        for moment in moments {
            guard case .map(let fields, _) = moment, let what = fields.first(where: { $0.name == "do" })?.value else {
                continue
            }
            let verbs: [ScenarioNode]
            if case .list(let nodes, _) = what { verbs = nodes } else { verbs = [what] }
            for case .text(let text, _) in verbs {
                let words = text.split(separator: " ")
                if words.count > 1, words[0] == "add" { addedNames.append(String(words[1])) }
            }
        }
    }

    /// `add vm:103 {host: pve1, desired: running}`
    private mutating func addition(_ text: String, _ node: ScenarioNode, _ path: String) -> Happening? {
        let words = text.split(separator: " ", maxSplits: 2).map(String.init)
        guard words.count == 3, let map = FlowText.map(words[2], line: node.line) else {
            wrong(node, path, expected: "add W {host: H, …}, with the fields of a workload")
            return nil
        }
        return workload(words[1], map, node.line, at: "\(path).\(words[1])").map { .addWorkload($0) }
    }

    private mutating func refuse(_ verb: String, _ words: [String], _ node: ScenarioNode, _ path: String) {
        if let row = MissingPart.verbs.first(where: { $0.verb == verb }) {
            return errors.append(
                ScenarioError(file: file, line: node.line, field: path, row.form, waitsFor: row.part))
        }
        let known = Verb.all.map(\.name)
        errors.append(
            ScenarioError(
                file: file, line: node.line, field: path, found: "the verb \(Excerpt.quoted(verb))",
                expected: Excerpt.choices(known), suggestion: Nearest.match(verb, among: known)))
    }

    private mutating func word(
        _ text: String, _ argument: Argument, _ node: ScenarioNode, _ path: String
    ) -> Word? {
        let place = ScenarioNode.text(text, line: node.line)
        let read: Word?
        switch argument {
        case .machine: return machine(place, path, among: plan.members, "a machine")
        case .guest:
            let guests = plan.members.filter { $0.kind == .guest }.map(\.name)
            return name(place, at: path, among: guests + workloadNames, "a guest").map { .text($0) }
        case .host: return name(place, at: path, among: hostNames, "a host").map { .text($0) }
        case .workload:
            if plan.addresses.contains(where: { $0.name == text }) {
                wrong(place, path, expected: "a workload; for an address there is move-address A M")
                return nil
            }
            return name(place, at: path, among: workloadNames, "a workload").map { .text($0) }
        case .amount:
            let parts = text.split(separator: "=", omittingEmptySubsequences: false)
            let isSound =
                parts.count == 2
                && (parts[0] == "cores" && Quantity.digits(parts[1]).map { (1...512).contains($0) } == true
                    || parts[0] == "memory" && ByteSize.parse(String(parts[1])) != nil)
            read = isSound ? .text(text) : nil
        case .newcomer:
            return machine(
                place, path, among: plan.members.filter(\.joinsLater), "a machine declared with `joins: later`")
        case .address:
            return name(place, at: path, among: plan.addresses.map(\.name), "an address").map { .text($0) }
        case .machines, .machinesOrNobody:
            if argument == .machinesOrNobody, text == "nobody" { return .names([]) }
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            let nodes = parts.map { ScenarioNode.text(String($0), line: node.line) }
            let found = names(.list(nodes, line: node.line), at: path, among: machineNames, "a machine")
            return found.count == nodes.count ? .names(found) : nil
        case .length: read = Quantity.length(text).map { .number($0) }
        case .change: read = Quantity.signedLength(text).map { .number($0) }
        case .share: read = Quantity.share(text).map { .number(Int64($0)) }
        case .rate: return rate(place, at: path).map { .number($0) }
        case .version:
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            read = parts.count == 3 && parts.allSatisfy { Quantity.digits($0) != nil } ? .text(text) : nil
        case .word(let words): read = words.contains(text) ? .text(text) : nil
        }
        if read == nil { wrong(place, path, expected: argument.expected) }
        return read
    }

    private mutating func machine(
        _ node: ScenarioNode, _ path: String, among members: [Plan.Member], _ what: String
    ) -> Word? {
        name(node, at: path, among: members.map(\.name), what).map { .text($0) }
    }
}
