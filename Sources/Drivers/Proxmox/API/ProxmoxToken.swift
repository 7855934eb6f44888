// The API token: read from a file that nobody else may read, kept in memory, and shown to nobody.

import Glibc

/// An API token of Proxmox VE: `user@realm!name` and its secret.
public struct ProxmoxToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `user@realm!name`; not secret.
    public let id: String
    private let secret: String

    /// - Throws: when `id` is not `user@realm!name` or the secret is empty or not printable.
    public init(id: String, secret: String) throws(ProxmoxTokenError) {
        guard let mark = id.firstIndex(of: "!"), id[..<mark].contains("@"), id.index(after: mark) < id.endIndex,
            id.utf8.count <= 200, id.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "=") })
        else {
            throw ProxmoxTokenError(what: "\"\(id.prefix(80))\" names no API token; it is written user@realm!name")
        }
        guard !secret.isEmpty, secret.utf8.count <= 200, secret.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw ProxmoxTokenError(what: "the secret of \(id) is empty or not one word")
        }
        self.id = id
        self.secret = secret
    }

    /// Reads `user@realm!name=secret` from the first line of a file that only its owner may read.
    /// - Throws: when the file is not there, not private, or holds something else; never with its content.
    public init(file path: String) throws(ProxmoxTokenError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw ProxmoxTokenError(
                what:
                    "\(path) with the API token cannot be opened: \(SystemText.of(errno)); put user@realm!name=secret "
                    + "into it and run: chmod 600 \(path)")
        }
        defer { close(descriptor) }
        // The open file is asked, not the path, so that nobody can exchange the file between question and reading.
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ProxmoxTokenError(what: "\(path) is not a regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw ProxmoxTokenError(
                what: "\(path) holds an API token and other users may touch it (mode "
                    + "\(String(status.st_mode & 0o777, radix: 8))); run: chmod 600 \(path), and if others could read it "
                    + "for long, make a new token")
        }
        var bytes = [UInt8](repeating: 0, count: 1_024)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0, count < bytes.count else {
            throw ProxmoxTokenError(
                what: "\(path) is empty, too long, or cannot be read; it holds user@realm!name=secret")
        }
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        let line = text.split(separator: "\n").first.map(String.init) ?? ""
        guard let equals = line.firstIndex(of: "=") else {
            throw ProxmoxTokenError(what: "\(path) holds no user@realm!name=secret in its first line")
        }
        try self.init(
            id: String(line[..<equals]),
            secret: String(line[line.index(after: equals)...].filter { !$0.isWhitespace }))
    }

    /// The value of the `Authorization` field. For the request itself and nothing else.
    var authorization: String { "PVEAPIToken=\(id)=\(secret)" }

    public var description: String { id }
    public var debugDescription: String { id }
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

/// Why there is no usable token, and what to do about it.
public struct ProxmoxTokenError: Error, Hashable, Sendable, CustomStringConvertible {
    let what: String
    public var description: String { what }
}

/// The system's text for an error number.
enum SystemText {
    static func of(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
