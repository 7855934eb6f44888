// Figures of the bench: what was measured, the aims beside it, and the table. Pure.

/// What a case promises.
enum Aim: String, Codable {
    /// Something breaks: at most 500 ms at the median and 700 ms at the 99th percentile.
    case fault
    /// It was asked for: at most 20 ms.
    case planned
    /// Something comes back: nothing is to be seen.
    case heal
    /// Another product, measured for comparison.
    case none

    var words: String {
        switch self {
        case .fault: "≤ 500 / 700"
        case .planned: "≤ 20"
        case .heal: "0"
        case .none: "-"
        }
    }

    /// Whether `figures` keep it; there must never be two owners.
    func isKept(_ figures: Figures, owners: Int) -> Bool {
        switch self {
        case .fault: owners <= 1 && figures.median <= 500 && figures.percentile99 <= 700
        case .planned: owners <= 1 && figures.percentile99 <= 20
        case .heal: owners <= 1 && figures.most == 0
        case .none: true
        }
    }
}

/// A sorted sample, in milliseconds.
struct Figures: Codable, Equatable {
    var count: Int
    var least: Double
    var median: Double
    var percentile99: Double
    var most: Double

    init(_ sample: [Double]) {
        let sorted = sample.sorted()
        count = sorted.count
        least = sorted.first ?? 0
        most = sorted.last ?? 0
        median = Self.rank(sorted, 0.5)
        percentile99 = Self.rank(sorted, 0.99)
    }

    /// Nearest rank: the least value that this share of the sample does not exceed.
    private static func rank(_ sorted: [Double], _ share: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let index = Int((share * Double(sorted.count)).rounded(.up)) - 1
        return sorted[min(max(index, 0), sorted.count - 1)]
    }
}

/// One repetition of a case.
struct Repetition: Codable, Equatable {
    /// The longest silence from the disturbance until things were put right again.
    var gapMilliseconds: Double
    /// The longest silence while things were put right.
    var returnGapMilliseconds: Double
    var ownersAtOnce: Int
    /// What the disturbance hit, for finding patterns.
    var target: String
    /// Whether the leader was hit too; nil where there is no such thing.
    var leaderHit: Bool?
}

/// What came of one case.
struct CaseResult: Encodable, Equatable {
    var system: String
    var name: String
    var aim: Aim
    /// The aim of putting things right; nil when that is no event of its own.
    var returnAim: Aim?
    var repetitions: [Repetition] = []
    /// Repetitions without a figure, each with its reason.
    var failures: [String] = []

    var gap: Figures { Figures(repetitions.map(\.gapMilliseconds)) }
    var returnGap: Figures { Figures(repetitions.map(\.returnGapMilliseconds)) }
    var owners: Int { repetitions.map(\.ownersAtOnce).max() ?? 0 }

    var isKept: Bool {
        failures.isEmpty && !repetitions.isEmpty && aim.isKept(gap, owners: owners)
            && (returnAim?.isKept(returnGap, owners: owners) ?? true)
    }

    private enum Field: String, CodingKey {
        case system, name, aim, returnAim, repetitions, failures, gap, returnGap, ownersAtOnce, kept
    }

    /// With the figures that follow from the repetitions.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Field.self)
        try container.encode(system, forKey: .system)
        try container.encode(name, forKey: .name)
        try container.encode(aim, forKey: .aim)
        try container.encodeIfPresent(returnAim, forKey: .returnAim)
        try container.encode(repetitions, forKey: .repetitions)
        try container.encode(failures, forKey: .failures)
        try container.encode(gap, forKey: .gap)
        try container.encode(returnGap, forKey: .returnGap)
        try container.encode(owners, forKey: .ownersAtOnce)
        if aim != .none { try container.encode(isKept, forKey: .kept) }
    }
}

/// The whole bench.
struct BenchResult: Encodable, Equatable {
    var cases: [CaseResult] = []
    var guests: [GuestCaseResult] = []
    var departures: [DepartureResult] = []
    var rehearsals: [RehearsalResult] = []
    var rests: [RestResult] = []

    var isEmpty: Bool {
        cases.isEmpty && guests.isEmpty && departures.isEmpty && rehearsals.isEmpty && rests.isEmpty
    }
    var isKept: Bool {
        cases.allSatisfy { $0.aim == .none || $0.isKept } && guests.allSatisfy(\.isKept)
            && departures.allSatisfy(\.isKept) && rehearsals.allSatisfy { $0.failures.isEmpty }
            && rests.allSatisfy { $0.failure == nil }
    }

    var table: String {
        var parts: [String] = []
        if !cases.isEmpty { parts.append(addresses) }
        if !guests.isEmpty { parts.append(GuestCaseResult.table(guests) + "\n" + GuestCaseResult.comparison) }
        if !departures.isEmpty { parts.append(DepartureResult.table(departures)) }
        if !rehearsals.isEmpty { parts.append(RehearsalResult.table(rehearsals)) }
        if !rests.isEmpty { parts.append(RestResult.table(rests)) }
        return parts.joined(separator: "\n\n")
    }

    private var addresses: String {
        var table = Table([
            "SYSTEM", "CASE", "N", "MIN ms", "MEDIAN ms", "P99 ms", "MAX ms", "OWNERS", "AIM ms", "KEPT",
        ])
        for result in cases {
            table.add(Self.row(result, name: result.name, result.gap, aim: result.aim))
            guard let aim = result.returnAim else { continue }
            table.add(Self.row(result, name: "\(result.name), its heal", result.returnGap, aim: aim))
        }
        return table.text
    }

    private static func row(_ result: CaseResult, name: String, _ figures: Figures, aim: Aim) -> [String] {
        let kept =
            aim == .none ? "-" : (result.failures.isEmpty && aim.isKept(figures, owners: result.owners) ? "yes" : "NO")
        let count = result.failures.isEmpty ? "\(figures.count)" : "\(figures.count) (\(result.failures.count) failed)"
        let numbers = [figures.least, figures.median, figures.percentile99, figures.most].map(ProbeReport.rounded)
        return [result.system, name, count] + numbers + ["\(result.owners)", aim.words, kept]
    }
}
