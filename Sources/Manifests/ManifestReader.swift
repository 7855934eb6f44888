// Reading manifests: a text, a file, or every file below a directory; several documents in each. All errors are
// collected, so that one run shows everything there is to mend. What holds between resources beyond their names is
// checked by `KindRegistry.crossCheck`, because that depends on what the cluster has already.

import Cluster
import Kinds

/// Reads manifests.
public enum ManifestReader {
    /// A file, or all files that end in `.yaml` or `.yml` in a directory and those below it, in the order of their
    /// paths. Entries whose names begin with a dot are passed over; symbolic links are followed.
    /// - Throws: everything that is wrong.
    public static func read(path: String) throws(ManifestErrors) -> [LocatedDeclaration] { try read(paths: [path]) }

    /// Several files or directories, as if they were one.
    /// - Throws: everything that is wrong.
    public static func read(paths: [String]) throws(ManifestErrors) -> [LocatedDeclaration] {
        var reading = Reading()
        for path in paths {
            let (files, errors) = ManifestFiles.find(path)
            reading.errors += errors
            for file in files {
                do throws(ManifestError) {
                    reading.add(try ManifestFiles.contents(of: file), file: file)
                } catch {
                    reading.errors.append(error)
                }
            }
        }
        return try reading.result()
    }

    /// - Parameter file: what errors call it; `-` for standard input.
    /// - Throws: everything that is wrong.
    public static func read(text: String, file: String = "-") throws(ManifestErrors) -> [LocatedDeclaration] {
        try read(bytes: Array(text.utf8), file: file)
    }

    /// As `read(text:file:)`, for bytes of which nobody knows yet whether they are text.
    public static func read(bytes: [UInt8], file: String = "-") throws(ManifestErrors) -> [LocatedDeclaration] {
        var reading = Reading()
        reading.add(bytes, file: file)
        return try reading.result()
    }
}

/// What has been read so far.
private struct Reading {
    private var declarations: [LocatedDeclaration] = []
    private var firsts: [ResourceKey: LocatedDeclaration] = [:]
    var errors: [ManifestError] = []

    mutating func add(_ bytes: [UInt8], file: String) {
        if let fault = SourceText.fault(in: bytes) {
            errors.append(ManifestError(file: file, fault))
            return
        }
        let parts = SourceText.parts(of: bytes)
        if parts.isEmpty {
            errors.append(ManifestError(file: file, found: "an empty file", expected: "at least one resource"))
        }
        var nodesLeft = YAMLComposer.mostNodes
        var faultsLeft = YAMLComposer.mostFaults
        for part in parts where errors.count <= ManifestErrors.most {
            let place = TextPlace(line: part.linesBefore + 1, column: 1)
            if part.isBlank {
                errors.append(
                    ManifestError(
                        file: file, place: place, found: "an empty document", expected: "a resource, or no ---"))
                continue
            }
            let (documents, faults) = YAMLComposer.compose(
                part.bytes, linesBefore: part.linesBefore, nodesLeft: &nodesLeft)
            guard faults.isEmpty else {
                errors += faults.map { ManifestError(file: file, $0) }
                faultsLeft -= faults.count
                if nodesLeft == 0 || faultsLeft <= 0 { return }
                continue
            }
            for document in documents { add(document, file: file) }
        }
    }

    private mutating func add(_ document: YAMLNode, file: String) {
        guard let located = DocumentReader.read(document, file: file, errors: &errors) else { return }
        let key = located.declaration.key
        if let first = firsts[key] {
            let problem = Problem(
                key, at: FieldPath.root.field("metadata").field("name"), found: "\(key) a second time",
                expected: "each resource once: it is at \(first.file):\(first.place.line) already")
            errors.append(located.error(for: problem))
            return
        }
        firsts[key] = located
        declarations.append(located)
    }

    func result() throws(ManifestErrors) -> [LocatedDeclaration] {
        guard errors.isEmpty else { throw ManifestErrors(errors) }
        return declarations
    }
}
