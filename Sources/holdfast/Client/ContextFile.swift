// The file that tells the CLI which clusters there are and how to reach them. It holds private keys, so it is written
// for its owner alone.

import FoundationEssentials
import Glibc
import Yams

/// `$HOLDFAST_CONFIG`, or `~/.config/holdfast/config.yaml`.
struct ContextFile: Codable, Hashable, Sendable {
    /// The name of the context that commands use when none is named.
    var current: String?
    var contexts: [ClusterContext] = []
}

/// How to reach one cluster.
struct ClusterContext: Codable, Hashable, Sendable {
    var name: String
    /// `address:port` of any members, as a person or the founding wrote them.
    var endpoints: [String]
    /// PEM of the cluster's authority: the only one that is trusted.
    var authority: String
    /// PEM of this person's certificate and of its key.
    var certificate: String
    var key: String
    /// `address:port` of the members as the cluster has told them (see `KnownMembers`); not of the file.
    /// Nil: only `endpoints` are to be asked.
    var members: [String]?

    private enum CodingKeys: CodingKey { case name, endpoints, authority, certificate, key }
}

extension ClusterContext {
    /// Whom to ask, in this order.
    var places: [String] { endpoints + (members ?? []).filter { !endpoints.contains($0) } }
}

extension ContextFile {
    static func path(_ environment: (String) -> String?) -> String {
        if let path = environment("HOLDFAST_CONFIG"), !path.isEmpty { return path }
        return (environment("HOME") ?? "/root") + "/.config/holdfast/config.yaml"
    }

    /// Reads the file; an absent one is empty.
    /// - Throws: `CommandFailure` when it cannot be read or understood.
    static func load(path: String, note: (String) -> Void) throws -> ContextFile {
        var attributes = stat()
        guard stat(path, &attributes) == 0 else {
            if errno == ENOENT { return ContextFile() }
            throw CommandFailure(ExitStatus.error, "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        if attributes.st_mode & 0o077 != 0 {
            note("holdfast: \(path) holds a private key and others may read it; try: chmod 600 \(path)")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(ExitStatus.error, "\(path) cannot be read", next: "ls -l \(path)")
        }
        // An empty file is what `touch` leaves, and says as much as an absent one.
        if String(decoding: data, as: UTF8.self).allSatisfy(\.isWhitespace) { return ContextFile() }
        do {
            return try YAMLDecoder().decode(ContextFile.self, from: data)
        } catch {
            throw CommandFailure(
                ExitStatus.error, "\(path) is not a context file: \(Self.words(for: error))",
                next: "correct it, or move it away and run holdfast cluster init again")
        }
    }

    private static func words(for error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        switch error {
        case .keyNotFound(let key, _): return "\(key.stringValue) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            let place = context.codingPath.map(\.stringValue).joined(separator: ".")
            return "\(place.isEmpty ? "what stands in it" : place) has the wrong type"
        case .dataCorrupted(let context):
            return context.underlyingError.map { "\($0)" } ?? context.debugDescription
        @unknown default: return "it cannot be read"
        }
    }

    /// Writes the file so that it is either the old or the new one, whatever happens, and readable by its owner alone.
    func save(path: String) throws {
        let encoder = YAMLEncoder()
        encoder.options.newLineScalarStyle = .literal
        encoder.options.width = -1
        let bytes: [UInt8]
        do {
            bytes = Array(try encoder.encode(self).utf8)
            let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            if !folder.isEmpty {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            }
        } catch {
            throw CommandFailure(ExitStatus.error, "\(path) cannot be written: \(error)")
        }
        try Self.replace(path, with: bytes)
    }

    static func replace(_ path: String, with bytes: [UInt8]) throws {
        func failure() -> CommandFailure {
            CommandFailure(ExitStatus.error, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        let newer = "\(path).\(getpid())"
        let descriptor = open(newer, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure() }
        let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        let complete = written == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard complete, rename(newer, path) == 0 else {
            let reason = failure()
            unlink(newer)
            throw reason
        }
    }

    /// The context to use.
    /// - Throws: `CommandFailure` when there is none of that name, or none at all.
    func context(named name: String?, path: String) throws -> ClusterContext {
        guard let wanted = name ?? current ?? (contexts.count == 1 ? contexts[0].name : nil) else {
            throw CommandFailure(
                ExitStatus.error,
                contexts.isEmpty ? "\(path) has no context, so there is no cluster to talk to" : "no context is chosen",
                next: contexts.isEmpty
                    ? "holdfast cluster init, or copy the file of another admin" : "holdfast context use NAME")
        }
        guard let context = contexts.first(where: { $0.name == wanted }) else {
            throw CommandFailure(
                ExitStatus.error, "\(path) has no context named \(wanted)", next: "holdfast context list")
        }
        return context
    }

    /// Adds a context, or replaces the one of its name, and chooses it.
    mutating func choose(_ context: ClusterContext) {
        contexts.removeAll { $0.name == context.name }
        contexts.append(context)
        current = context.name
    }
}
