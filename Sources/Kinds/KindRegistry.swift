// Every kind there is. A new kind is a folder beside this file and one line in `all`.
// Checks here concern one resource alone; what holds between resources is in CrossCheck.

import Cluster

/// The kinds this version knows.
public enum KindRegistry {
    /// In the order people read about them.
    public static let all: [KindSchema] = [
        ClusterSpec.schema,
        HostSpec.schema,
        WitnessSpec.schema,
        VirtualIPSpec.schema,
        WorkloadSpec.machineSchema,
        WorkloadSpec.containerSchema,
        StoragePoolSpec.schema,
        PlacementRuleSpec.schema,
        FencePolicySpec.schema,
        ScenarioSpec.schema,
    ]

    /// By the name manifests use, to the letter.
    public static func schema(of kind: String) -> KindSchema? { all.first { $0.kind == kind } }

    /// By what people type: in any letter case, in the plural, or by its short name.
    public static func schema(called name: String) -> KindSchema? {
        let wanted = name.lowercased()
        return all.first { schema in
            let names = ([schema.kind] + schema.otherNames).map { $0.lowercased() }
            return names.contains { wanted == $0 || wanted == $0 + "s" || wanted == $0 + "es" }
        }
    }

    /// The known kind that a mistyped one was probably meant to be.
    public static func nearest(to name: String) -> String? { Nearest.match(name, among: all.map(\.kind)) }

    /// Everything that is wrong with a declaration taken alone; empty when it is sound.
    public static func problems(in declaration: Declaration) -> [Problem] {
        problems(inDocument: declaration.document)
    }

    /// The declaration, checked, with all defaults filled in.
    /// - Throws: everything that is wrong with it.
    public static func filled(_ declaration: Declaration) throws(InvalidDeclaration) -> Declaration {
        let problems = problems(in: declaration)
        guard problems.isEmpty, let schema = schema(of: declaration.kind) else { throw InvalidDeclaration(problems) }
        var filled = declaration
        filled.spec = schema.spec.filled(declaration.spec)
        return filled
    }

    /// Everything that is wrong with a document, as it was written.
    /// - Parameter written: how a number stands in the text the document came from.
    static func problems(
        inDocument document: JSONValue, written: @escaping (FieldPath) -> String? = { _ in nil }
    ) -> [Problem] {
        let resource = ResourceKey(
            kind: document["kind"]?.string ?? "", name: document["metadata"]?["name"]?.string ?? "")
        let schema = schema(of: resource.kind)
        var check = FieldCheck(resource, unknownFields: .refused, written: written)
        var framed = document
        if schema == nil, var fields = document.object {
            // Nobody can say what the spec of an unknown kind should be.
            fields["spec"] = nil
            framed = .object(fields)
        }
        check.check(framed, as: .object(DocumentSchema.frame(schema)), at: .root)
        guard check.problems.isEmpty, let schema else { return check.problems }
        return schema.check(resource, schema.spec.filled(document["spec"] ?? .object([:])))
    }
}

extension KindSchema {
    /// The declaration's spec, checked, with its defaults filled in. Fields nobody knows are passed over, because a
    /// newer version may have stored them.
    func checkedSpec(of declaration: Declaration) throws(InvalidDeclaration) -> CheckedSpec {
        guard declaration.kind == kind else {
            throw InvalidDeclaration([
                Problem(
                    declaration.key, at: FieldPath.root.field("kind"),
                    found: Excerpt.phrase(.string(declaration.kind)), expected: kind)
            ])
        }
        var check = FieldCheck(declaration.key, unknownFields: .ignored)
        check.check(declaration.spec, as: .object(spec), at: .spec)
        guard check.problems.isEmpty else { throw InvalidDeclaration(check.problems) }
        let filled = spec.filled(declaration.spec)
        let problems = self.check(declaration.key, filled)
        guard problems.isEmpty else { throw InvalidDeclaration(problems) }
        return CheckedSpec(filled)
    }
}
