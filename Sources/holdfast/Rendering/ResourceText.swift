// Resources as tables, and one resource with all there is to say about it.

import API
import Cluster

enum ResourceText {
    static func table(_ resources: [ResourceDocument], clock: WallClock, wide: Bool) -> String {
        guard !resources.isEmpty else { return "" }
        var table = Table(["NAME", "SYNC", "HEALTH", "PLACEMENT"] + (wide ? ["EPOCH", "GENERATION", "REASON"] : []))
        for resource in resources {
            let status = resource.status
            let placement = status?.placement
            table.add(
                [
                    "\(resource.kind)/\(resource.metadata.name)", status?.sync.rawValue ?? "-",
                    status?.health.rawValue ?? "-", placement?.member ?? "-",
                ]
                    + (wide
                        ? [
                            placement.map { String($0.epoch) } ?? "-",
                            resource.metadata.generation.map(String.init) ?? "-", placement?.reason ?? "",
                        ] : []))
        }
        return table.lines().joined(separator: "\n") + "\n"
    }

    /// Declaration, state, why it is there, and the last events about it.
    static func description(
        _ resource: ResourceDocument, why: WhyDocument?, events: [ClusterEvent], clock: WallClock, style: Style
    ) -> String {
        var lines = [style.bold("\(resource.kind)/\(resource.metadata.name)")]
        if let environment = resource.metadata.environment { lines.append("Environment: \(environment)") }
        if let labels = resource.metadata.labels, !labels.isEmpty {
            lines.append("Labels: " + labels.pairs.map { "\($0)=\($1)" }.joined(separator: ", "))
        }
        if let generation = resource.metadata.generation, let modified = resource.metadata.modified {
            lines.append("Declared: \(generation) times, last at revision \(modified)")
        }
        if let status = resource.status {
            lines.append("Sync: \(status.sync.rawValue)   Health: \(status.health.rawValue)")
            if let placement = status.placement {
                lines.append("Placement: \(placement.member), epoch \(placement.epoch)")
            }
            lines += status.conditions.map { "Condition: \($0.type): \($0.message)" }
        }
        lines += ["", "Spec"] + Encoded.yaml(resource.spec).split(separator: "\n").map { "  \($0)" }
        if let why {
            lines +=
                ["", "Why"]
                + WhyText.render(why, clock: clock, style: style).split(separator: "\n").map { "  \($0)" }
        }
        if !events.isEmpty {
            lines +=
                ["", "Last events"]
                + WhyText.events(events, clock: clock, wide: false).split(separator: "\n").map { "  \($0)" }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
