// The control socket: one JSON object per line, one line back. Whoever may open the socket's file may give any order.

import Foundation
import NIOCore
import NIOPosix

/// Serves orders for a host.
public enum ControlSocket {
    /// The longest order, in bytes.
    static let mostLine = 1 << 18

    /// Takes orders until the task is cancelled.
    /// - Throws: when the socket cannot be made.
    public static func run(path: String, host: HostProcess) async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    group.addTask { try? await serve(connection, host) }
                }
            }
        }
    }

    private static func serve(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ host: HostProcess) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var waiting: [UInt8] = []
            for try await part in inbound {
                waiting.append(contentsOf: part.readableBytesView)
                guard waiting.count <= mostLine else { return }
                while let end = waiting.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = String(decoding: waiting[..<end], as: UTF8.self)
                    waiting.removeSubrange(...end)
                    let reply: JSON
                    do { reply = await host.control(try JSON(text: line)) } catch {
                        reply = ["error": .string("no JSON: \(error)")]
                    }
                    try await outbound.write(ByteBuffer(string: reply.serialized + "\n"))
                }
            }
        }
    }

    /// Gives one order to a host's socket and waits for the reply.
    /// - Throws: `ControlError` when nobody listens there.
    public static func ask(path: String, _ order: JSON) throws -> JSON {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw ControlError(description: "socket: errno \(errno)") }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw ControlError(description: "the socket's path is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            throw ControlError(description: "no emulator at \(path): \(String(cString: strerror(errno)))")
        }
        let line = Array((order.serialized + "\n").utf8)
        guard write(descriptor, line, line.count) == line.count else {
            throw ControlError(description: "the emulator at \(path) took no order: errno \(errno)")
        }
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while reply.last != UInt8(ascii: "\n") {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { throw ControlError(description: "the emulator at \(path) went away") }
            reply.append(contentsOf: buffer[0..<count])
        }
        return try JSON(text: String(decoding: reply, as: UTF8.self))
    }
}
