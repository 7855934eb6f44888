// What the service manager that started this process is told: that it is ready, alive, or about to stop
// (systemd's sd_notify(3) protocol: datagrams of KEY=VALUE lines to the socket that NOTIFY_SOCKET names).
//
// It also keeps an open file over a restart of this process, and hands it to the next one.
//
// Relies on: nothing; without NOTIFY_SOCKET nobody asked, and nothing is sent.
// Does not: fail anything. A message that cannot be sent is reported to the caller, who logs it; signs of life go on.

import CKernel
import Glibc
import Logging
import NIOCore
import Synchronization

public struct ServiceManager: Sendable {
    /// A path, or a name in the abstract namespace that begins with "@".
    private let socket: String
    /// How long the manager waits for a sign of life before it ends the process; nil: it does not wait for any.
    public let watchdog: Duration?

    /// Nil when no service manager wants to be told, or what it asks for is not a socket.
    /// - Parameter environment: NOTIFY_SOCKET, WATCHDOG_USEC (microseconds) and WATCHDOG_PID as sd_notify(3) and
    ///   sd_watchdog_enabled(3) define them.
    public init?(environment: [String: String], process: Int32 = getpid()) {
        guard let socket = environment["NOTIFY_SOCKET"], socket.first == "/" || socket.first == "@",
            socket.utf8.count > 1, socket.utf8.count < Self.mostPathBytes
        else { return nil }
        self.socket = socket
        let isForUs = environment["WATCHDOG_PID"].map { $0 == "\(process)" } ?? true
        if isForUs, let text = environment["WATCHDOG_USEC"], let microseconds = Int64(text), microseconds > 0 {
            watchdog = .microseconds(microseconds)
        } else {
            watchdog = nil
        }
    }

    public static var current: ServiceManager? {
        var environment: [String: String] = [:]
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        return ServiceManager(environment: environment)
    }

    public enum Message: Sendable {
        case ready(status: String)
        case alive
        case stopping
    }

    /// - Returns: why it could not be sent; nil when it was.
    public func tell(_ message: Message) -> String? {
        let text =
            switch message {
            case .ready(let status): "READY=1\nSTATUS=\(status.split(separator: "\n").joined(separator: " "))"
            case .alive: "WATCHDOG=1"
            case .stopping: "STOPPING=1"
            }
        if case .ready = message { return send(Array(text.utf8), waitingSeconds: Self.readySeconds) }
        return send(Array(text.utf8), waitingSeconds: 0)
    }

    /// Said once, and waited for by whoever starts this process, so it waits for room in turn; a manager that is busy for
    /// so long has other worries.
    private static let readySeconds = 5

    /// Tells the manager on this loop, thrice within its patience, that the process is alive: where the loop hangs, the
    /// process is ended and started anew. Nil when nobody waits for it.
    ///
    /// A sign that cannot be sent is left out and the next one is tried: the manager may be busy for a moment and its queue
    /// full, which is no reason to let it end a process that is well.
    public func proveLife(on eventLoop: any EventLoop, log: Logger) -> RepeatedTask? {
        guard let watchdog else { return nil }
        let first = FirstFailure()
        return eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: TimeAmount(watchdog / 3)) { _ in
            guard let failure = tell(.alive) else { return first.isOver(log) }
            first.note(failure, log)
        }
    }

    /// Keeps the log to one line for each time that the manager cannot be told.
    private final class FirstFailure: Sendable {
        private let isFailing = Atomic(false)

        func note(_ failure: String, _ log: Logger) {
            guard !isFailing.exchange(true, ordering: .relaxed) else { return }
            log.warning("the service manager cannot be told that this agent is alive; trying on: \(failure)")
        }

        func isOver(_ log: Logger) {
            guard isFailing.exchange(false, ordering: .relaxed) else { return }
            log.notice("the service manager is told again that this agent is alive")
        }
    }

    // MARK: What outlives this process

    /// Has the manager keep an open file under a name until it is told to forget it, also while this process ends and is
    /// started anew (`FDSTORE=1`; FileDescriptorStoreMax= in the unit). What was kept under the name before is kept beside it.
    /// - Returns: why it could not be handed over; nil when it was.
    public func keep(_ descriptor: Int32, as name: String) -> String? {
        let text = Array("FDSTORE=1\nFDNAME=\(name)".utf8)
        return reach { socket, address, length in
            let result = holdfast_send_with_descriptor(socket, address, length, text, text.count, descriptor)
            return result == 0 ? nil : Self.words(-result)
        }
    }

    /// Has the manager close all that it keeps under a name.
    /// - Returns: why it could not be told; nil when it was.
    public func forget(_ name: String) -> String? {
        send(Array("FDSTOREREMOVE=1\nFDNAME=\(name)".utf8), waitingSeconds: 0)
    }

    /// The open file that the manager kept for this process under a name that is wanted, and that name; nil: there is none. It
    /// is the caller's from here on. To be asked for once.
    /// - Parameter environment: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES as sd_listen_fds(3) defines them.
    public static func kept(
        where isWanted: (String) -> Bool, environment: [String: String], process: Int32 = getpid()
    ) -> (descriptor: Int32, name: String)? {
        // Descriptors handed over begin after the three standard ones. More than a unit may store are a mistake.
        guard environment["LISTEN_PID"] == "\(process)", let count = environment["LISTEN_FDS"].flatMap({ Int($0) }),
            (1...1_024).contains(count)
        else { return nil }
        let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
            .map(String.init)
        // The last of several is the newest.
        guard let place = names.prefix(count).lastIndex(where: isWanted) else { return nil }
        let descriptor = Int32(3 + place)
        // No program that this one starts may have it.
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { return nil }
        return (descriptor, names[place])
    }

    /// The same, of this process.
    public static func kept(where isWanted: (String) -> Bool) -> (descriptor: Int32, name: String)? {
        var environment: [String: String] = [:]
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        return kept(where: isWanted, environment: environment)
    }

    /// What `sun_path` takes, with the zero that ends a path.
    private static let mostPathBytes = 108

    /// - Parameter seconds: how long to wait for room in the manager's queue; zero: not at all.
    private func send(_ bytes: [UInt8], waitingSeconds seconds: Int) -> String? {
        reach { descriptor, address, length in
            var patience = timeval(tv_sec: seconds, tv_usec: 0)
            // Refused, it waits for longer and is not lost.
            _ = setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            let flags = Int32(MSG_NOSIGNAL) | (seconds == 0 ? Int32(MSG_DONTWAIT) : 0)
            let sent = sendto(descriptor, bytes, bytes.count, flags, address, length)
            return sent == bytes.count ? nil : Self.words(errno)
        }
    }

    /// Calls with a socket of its own and the manager's address.
    private func reach(_ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> String?) -> String? {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return Self.words(errno) }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(socket.utf8)
        if path.first == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        // An abstract name is exactly as long as it is said to be.
        let length = MemoryLayout<sa_family_t>.size + path.count + (path[0] == 0 ? 0 : 1)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(descriptor, $0, socklen_t(length)) }
        }
    }

    private static func words(_ error: Int32) -> String { String(cString: strerror(error)) }
}
