// Log lines as JSON, one object to a line, for machines that collect logs: {"level":"info","message":"…","time":"…", and
// the facts of the line under their own names}. Written with one call, so that lines of several threads do not mix.

import Cluster
import Consensus
import FoundationEssentials
import Glibc
import Logging

public struct JSONLog: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level = .info
    private let label: String
    private let write: @Sendable (String) -> Void

    /// - Parameter write: takes a line with its end; nil: the standard error.
    public init(label: String, write: (@Sendable (String) -> Void)? = nil) {
        self.label = label
        self.write = write ?? Self.toStandardError
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let facts = metadata.merging(event.metadata ?? [:]) { _, newer in newer }
        write(Self.line(level: event.level, message: "\(event.message)", label: label, facts: facts, at: Date()))
    }

    /// The names of the line itself win over facts of the same name.
    static func line(
        level: Logger.Level, message: String, label: String, facts: Logger.Metadata, at time: Date
    ) -> String {
        var fields: SortedMap<String, JSONValue> = [:]
        for (name, value) in facts.sorted(by: { $0.key < $1.key }) { fields[name] = .string("\(value)") }
        fields["level"] = .string(level.rawValue)
        fields["logger"] = .string(label)
        fields["message"] = .string(message)
        fields["time"] = .string(
            time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
        // Texts alone are always JSON.
        let bytes = (try? CanonicalJSON.encode(JSONValue.object(fields))) ?? []
        return String(decoding: bytes, as: UTF8.self) + "\n"
    }

    private static func toStandardError(_ line: String) {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            // A log that nobody takes must not stop the member.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
