// The lab's unix socket: lines of JSON, at most 1 MiB each, every wait bounded. Knows nothing of what the lines mean.

import CKernel
import FoundationEssentials
import Glibc

/// A unix stream socket on a path.
enum LineSocket {
    static let lineBound = 1 << 20

    static func listen(at path: String) throws -> Descriptor {
        let listening = try open()
        unlink(path)
        try withAddress(path, "listen on \(path)") { bind(listening.number, $0, $1) }
        guard Glibc.listen(listening.number, 16) == 0 else { throw LabError("listen on \(path): \(errorText(errno))") }
        return listening
    }

    /// nil when nobody listens there.
    static func connect(to path: String) throws -> Descriptor? {
        let socket = try open()
        var refused = false
        try withAddress(path, "connect to \(path)") { address, size in
            let result = Glibc.connect(socket.number, address, size)
            if result != 0 && (errno == ENOENT || errno == ECONNREFUSED) {
                refused = true
                return 0
            }
            return result
        }
        return refused ? nil : socket
    }

    /// The next caller.
    static func accept(from listening: Descriptor) throws -> Descriptor {
        try Descriptor(checking: lab_accept(listening.number), "accept a command")
    }

    static func send(_ value: some Encodable, over socket: Descriptor) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try socket.write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n")
    }

    /// - Throws: at the deadline, at the end of the stream, and when the line is not what was expected.
    static func receive<Value: Decodable>(
        _ type: Value.Type, over socket: Descriptor, until deadline: Deadline
    ) throws -> Value {
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n") {
            guard !waitReadable([socket.number], until: deadline).isEmpty else {
                throw LabError.timedOut("the other end of the control socket did not answer in time")
            }
            guard let bytes = readAvailable(socket.number) else {
                throw LabError("the other end of the control socket closed it", exitCode: 5)
            }
            line += bytes
            guard line.count <= lineBound else { throw LabError("a line on the control socket is longer than 1 MiB") }
        }
        do { return try JSONDecoder().decode(type, from: Data(line)) } catch {
            throw LabError("a line on the control socket is not understood: \(error)")
        }
    }

    private static func open() throws -> Descriptor {
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        return try Descriptor(checking: number < 0 ? -errno : number, "open a unix socket")
    }

    private static func withAddress(
        _ path: String, _ attempted: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw LabError("\(attempted): the path is too long for a unix socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw LabError("\(attempted): \(errorText(errno))") }
    }
}
