// The frame around every spec: apiVersion, kind, metadata and spec. A document as a JSON value becomes a declaration,
// and a declaration a document; YAML and the HTTP API both go this way.

import Cluster
import Consensus

/// The frame of a declared document.
public enum DocumentSchema {
    /// The only version there is.
    public static let apiVersion = "holdfast/v1"

    public static let mostLabels = 64

    static let metadata = ObjectType([
        Field("name", .text(.name), .required, "Unique among the resources of its kind."),
        Field(
            "labels", .map(names: .labelName, values: .prose(mostCharacters: 200), most: mostLabels), .optional,
            "Words of your own, to find resources by."),
        Field("environment", .text(.name), .optional, "Which of your environments it belongs to: production, staging."),
    ])

    /// The frame for a kind; without one, for a document whose kind is not known, whose spec is not looked at.
    static func frame(_ kind: KindSchema?) -> ObjectType {
        var fields = [
            Field("apiVersion", .choice([apiVersion]), .required, "The version of the format."),
            Field("kind", .choice(KindRegistry.all.map(\.kind)), .required, "What it is."),
            Field("metadata", .object(metadata), .required, "Its name and what else is said about it."),
        ]
        if let kind {
            let needed = kind.spec.fields.contains { $0.presence == .required }
            fields.append(Field("spec", .object(kind.spec), needed ? .required : .optional, "What it is to be."))
        } else {
            fields.append(Field("spec", .object(ObjectType([])), .optional, "What it is to be."))
        }
        return ObjectType(fields)
    }
}

extension Declaration {
    /// The declaration as a manifest has it: `apiVersion`, `kind`, `metadata` and `spec`.
    public var document: JSONValue {
        var metadata: SortedMap<String, JSONValue> = ["name": .string(name)]
        if !labels.isEmpty {
            metadata["labels"] = .object(SortedMap(labels.pairs.map { ($0, .string($1)) }))
        }
        if let environment { metadata["environment"] = .string(environment) }
        return [
            "apiVersion": .string(DocumentSchema.apiVersion), "kind": .string(kind), "metadata": .object(metadata),
            "spec": spec,
        ]
    }

    /// Reads a document and checks it to the letter. The spec stays as it was written: no defaults are filled in.
    /// - Parameter written: how a number stands in the text the document came from, for error messages.
    public init(document: JSONValue, written: @escaping (FieldPath) -> String? = { _ in nil })
        throws(InvalidDeclaration)
    {
        let problems = KindRegistry.problems(inDocument: document, written: written)
        guard problems.isEmpty, let kind = document["kind"]?.string, let metadata = document["metadata"],
            let name = metadata["name"]?.string
        else { throw InvalidDeclaration(problems) }
        var labels = SortedMap<String, String>()
        for (label, value) in (metadata["labels"]?.object ?? [:]).pairs { labels[label] = value.string }
        self.init(
            kind: kind, name: name, labels: labels, environment: metadata["environment"]?.string,
            spec: document["spec"] ?? .object([:]))
    }
}
