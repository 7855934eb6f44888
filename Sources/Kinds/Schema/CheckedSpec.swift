// Reading a spec that has been checked against its schema and had its defaults filled in. What the schema promises is
// not checked again in words: a field of another type here is a mistake in our own code, not in anybody's manifest.

import Cluster
import Consensus

/// A map of a checked spec.
struct CheckedSpec {
    private let fields: SortedMap<String, JSONValue>

    init(_ value: JSONValue) {
        guard let fields = value.object else { preconditionFailure("a checked spec is a map") }
        self.fields = fields
    }

    func has(_ name: String) -> Bool { fields.contains(name) }

    func optionalText(_ name: String) -> String? { fields[name]?.string }

    func optionalInteger(_ name: String) -> Int64? { fields[name]?.int }
    func optionalTruth(_ name: String) -> Bool? { fields[name]?.bool }

    func text(_ name: String) -> String { promised(fields[name]?.string, name) }
    func integer(_ name: String) -> Int64 { promised(fields[name]?.int, name) }
    func duration(_ name: String) -> Interval { promised(fields[name]?.string.flatMap(DurationText.parse), name) }
    func map(_ name: String) -> CheckedSpec { CheckedSpec(promised(fields[name], name)) }
    func maps(_ name: String) -> [CheckedSpec] { promised(fields[name]?.array, name).map(CheckedSpec.init) }
    func texts(_ name: String) -> [String] { promised(fields[name]?.array, name).map { promised($0.string, name) } }

    private func promised<Value>(_ value: Value?, _ name: String) -> Value {
        guard let value else { preconditionFailure("the schema promises the field \(name)") }
        return value
    }
}
