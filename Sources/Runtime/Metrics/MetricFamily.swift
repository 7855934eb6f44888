// Measurements as values, and their text form for Prometheus (exposition format 0.0.4,
// https://prometheus.io/docs/instrumenting/exposition_formats). Names follow its conventions: base units, the unit last,
// `_total` on counters. Measures nothing itself.

/// One metric with all its series.
public struct MetricFamily: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        case counter, gauge, histogram
    }

    public struct Sample: Hashable, Sendable {
        /// `_bucket`, `_sum`, `_count` of a histogram; otherwise empty.
        public var suffix: String
        /// In the order they are written.
        public var labels: [Label]
        public var value: Double
    }

    public struct Label: Hashable, Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public let name: String
    public let help: String
    public let kind: Kind
    public private(set) var samples: [Sample] = []

    public init(_ kind: Kind, _ name: String, _ help: String) {
        self.kind = kind
        self.name = name
        self.help = help
    }

    /// A family of one series without labels.
    public init(_ kind: Kind, _ name: String, _ help: String, value: Double) {
        self.init(kind, name, help)
        add(value)
    }

    public mutating func add(_ value: Double, _ labels: Label...) {
        samples.append(Sample(suffix: "", labels: labels, value: value))
    }

    /// Adds the series of a histogram.
    public mutating func add(_ histogram: DurationHistogram.Reading, _ labels: Label...) {
        precondition(kind == .histogram, "only a histogram has buckets")
        var below: UInt64 = 0
        for (bound, count) in zip(DurationHistogram.boundsSeconds, histogram.counts) {
            below += count
            samples.append(
                Sample(
                    suffix: "_bucket", labels: labels + [Label("le", Self.text(bound))], value: Double(below)))
        }
        samples.append(
            Sample(suffix: "_bucket", labels: labels + [Label("le", "+Inf")], value: Double(histogram.count)))
        samples.append(Sample(suffix: "_sum", labels: labels, value: histogram.sumSeconds))
        samples.append(Sample(suffix: "_count", labels: labels, value: Double(histogram.count)))
    }

    /// The page of these families. A family without a series is left out.
    public static func page(_ families: [MetricFamily]) -> String {
        var page = ""
        for family in families where !family.samples.isEmpty {
            page += "# HELP \(family.name) \(escaped(family.help, quotes: false))\n"
            page += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                page += family.name + sample.suffix
                if !sample.labels.isEmpty {
                    let labels = sample.labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
                    page += "{" + labels.joined(separator: ",") + "}"
                }
                page += " \(text(sample.value))\n"
            }
        }
        return page
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.append(character)
            }
        }
        return escaped
    }

    /// Whole numbers without a fraction, so that counters read as such.
    static func text(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
        return "\(value)"
    }
}
