// Documents as JSON and YAML, always with their fields in the same order.

import API
import Cluster
import FoundationEssentials
import Manifests

enum Encoded {
    static func json(_ value: some Encodable, pretty: Bool = true) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted] : [.sortedKeys, .withoutEscapingSlashes]
        // Documents are made of text and finite numbers, which always encode.
        guard let data = try? encoder.encode(value) else { return "" }
        return String(decoding: data, as: UTF8.self) + (pretty ? "\n" : "")
    }

    static func yaml(_ value: some Encodable) -> String {
        guard let bytes = try? CanonicalJSON.encode(value),
            let json = try? CanonicalJSON.decode(JSONValue.self, from: bytes)
        else { return "" }
        return ManifestWriter.yaml(json)
    }

    /// A manifest, its fields in the order of its kind.
    static func manifest(_ resource: ResourceDocument) -> String { ManifestWriter.yaml(resource.declaration) }
}
