// One YAML (or JSON) document as a tree with places, for readers of other things than manifests: the same strictness, the
// same bounds and the same words for mistakes. Does not ask what the values mean.

import Kinds

public enum YAMLText {
    /// The one document of a text.
    /// - Parameter file: what errors call it.
    /// - Throws: everything that is wrong with it as YAML, a second document included.
    public static func document(_ bytes: [UInt8], file: String) throws(ManifestErrors) -> YAMLNode {
        if let fault = SourceText.fault(in: bytes) { throw ManifestErrors([ManifestError(file: file, fault)]) }
        var nodesLeft = YAMLComposer.mostNodes
        var documents: [YAMLNode] = []
        var errors: [ManifestError] = []
        for part in SourceText.parts(of: bytes) where !part.isBlank {
            let (found, faults) = YAMLComposer.compose(
                part.bytes, linesBefore: part.linesBefore, nodesLeft: &nodesLeft)
            errors += faults.map { ManifestError(file: file, $0) }
            documents += found
        }
        if !errors.isEmpty { throw ManifestErrors(errors) }
        guard let document = documents.first else {
            throw ManifestErrors([ManifestError(file: file, found: "an empty file", expected: "one document")])
        }
        if documents.count > 1 {
            let second = ManifestError(
                file: file, place: documents[1].place, found: "a second document", expected: "one in each file")
            throw ManifestErrors([second])
        }
        return document
    }

    /// The bytes of a file, refused when it is not an ordinary one or too long.
    public static func contents(of path: String) throws(ManifestErrors) -> [UInt8] {
        do throws(ManifestError) {
            return try ManifestFiles.contents(of: path)
        } catch {
            throw ManifestErrors([error])
        }
    }
}
