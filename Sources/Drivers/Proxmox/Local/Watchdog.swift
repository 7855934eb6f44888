// The watchdog: a clock that resets this host when nobody feeds it any more. On Proxmox one program holds the device and
// hands it on over a socket; elsewhere the device is opened directly. Whether to feed is decided elsewhere, at every
// single feeding. Does not measure when the last feeding was.

import CKernel
import Consensus
import Glibc

/// Why the watchdog cannot be armed or fed.
public struct WatchdogError: Error, Hashable, Sendable, CustomStringConvertible {
    public let attempted: String
    public let answer: String
    public let advice: String
    /// What stood behind the connection has ended, and nothing comes of feeding it again: it has to be armed anew.
    public var isGone = false
    public var description: String { "\(attempted): \(answer); \(advice)" }
}

/// Which watchdog.
public enum WatchdogKind: Hashable, Sendable {
    /// Proxmox's `watchdog-mux`. It resets the host 60 s after the last feeding of any client that did not take leave,
    /// and at once stops feeding the device itself when a client's connection ends without leave.
    ///
    /// Another program may be behind the socket that speaks as that one does, and is quicker.
    /// - Parameter delay: from the last feeding to the reset, at most. Whoever says less than is true lets disks have two
    ///   writers. Usually the 60 s for a client, and 10 s of the device behind it.
    case multiplexer(socket: String, delay: Interval = .seconds(70))
    /// The kernel's device, with a time of our own.
    case device(path: String, timeout: Interval)

    public static let ofProxmox = WatchdogKind.multiplexer(socket: "/run/watchdog-mux.sock")

    /// No settings allow a longer delay.
    static let mostDelay = Interval.seconds(3_600)

    /// What an open file is that an earlier process had armed, whatever is configured by now: a connection to the multiplexer, or
    /// a device. Whoever says less than is true lets disks have two writers; so a device's time is the kernel's, which alone
    /// knows what was set, and where nobody says it, it is the most that can be.
    /// - Parameters:
    ///   - delay: with which it was armed, as far as that was kept; nil: it was not.
    ///   - timeout: asks an open device for its time in seconds; 0 or less: it does not say.
    init(
        of descriptor: Int32, armedWith delay: Interval?,
        timeout: (Int32) -> Int32 = { holdfast_watchdog_timeout($0) }
    ) {
        var status = stat()
        let isSocket = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
        let kept = delay ?? Self.mostDelay
        guard !isSocket else {
            self = .multiplexer(socket: "", delay: kept)
            return
        }
        let seconds = timeout(descriptor)
        self = .device(path: "", timeout: seconds > 0 ? .seconds(Int64(seconds)) : kept)
    }

    /// From the last feeding to the reset, at most, as far as the watchdog itself is concerned.
    public var longestDelay: Interval {
        switch self {
        case .multiplexer(_, let delay): delay
        case .device(_, let timeout): timeout
        }
    }
}

/// An armed watchdog. **From here on this host is reset unless `feed` is called again and again, or `release` once.**
/// When the process dies, it resets too, unless another keeps it open: nothing is closed by itself. To be used from one thread at a time.
public struct Watchdog: ~Copyable, Sendable {
    public let kind: WatchdogKind
    private let descriptor: Int32

    /// Arms it.
    public init(_ kind: WatchdogKind) throws(WatchdogError) {
        self.kind = kind
        switch kind {
        case .multiplexer(let path, _): descriptor = try Self.connect(path)
        case .device(let path, let timeout): descriptor = try Self.open(path, timeout)
        }
    }

    /// The one that the process before this one had armed.
    init(adopting descriptor: Int32, _ kind: WatchdogKind) { (self.descriptor, self.kind) = (descriptor, kind) }

    /// For whoever keeps it open over the end of this process.
    var openFile: Int32 { descriptor }

    /// Gives this host another `longestDelay`. Never blocks.
    public borrowing func feed() throws(WatchdogError) {
        try write(0, "feed the watchdog")
    }

    /// Disarms it: a planned farewell.
    public consuming func release() throws(WatchdogError) {
        // The sign of both the kernel's device and the multiplexer for a farewell that is meant.
        let failure: WatchdogError?
        do throws(WatchdogError) {
            try write(UInt8(ascii: "V"), "take leave of the watchdog")
            failure = nil
        } catch { failure = error }
        close(descriptor)
        if let failure { throw failure }
    }

    /// Lets go of one that is gone, without a farewell: what may be left of it resets this host all the same.
    consuming func abandon() { close(descriptor) }

    private borrowing func write(_ byte: UInt8, _ attempted: String) throws(WatchdogError) {
        var byte = byte
        while true {
            let count =
                switch kind {
                // No signal when the other side has gone.
                case .multiplexer:
                    send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                case .device: Glibc.write(descriptor, &byte, 1)
                }
            if count == 1 { return }
            let code = count < 0 ? errno : EIO
            if code == EINTR { continue }
            throw WatchdogError(
                attempted: attempted, answer: SystemText.of(code), advice: "see systemctl status watchdog-mux",
                // A full queue is one that somebody may still read.
                isGone: code != EAGAIN)
        }
    }

    private static func connect(_ path: String) throws(WatchdogError) -> Int32 {
        let attempted = "arm the watchdog at \(path)"
        func failure(_ code: Int32) -> WatchdogError {
            WatchdogError(
                attempted: attempted, answer: SystemText.of(code),
                advice: "see systemctl status watchdog-mux, and run as root")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw failure(ENAMETOOLONG) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure(errno) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw failure(code)
        }
        return descriptor
    }

    private static func open(_ path: String, _ timeout: Interval) throws(WatchdogError) -> Int32 {
        let attempted = "arm the watchdog \(path)"
        let seconds = timeout.milliseconds / 1_000
        guard (1...3_600).contains(seconds) else {
            throw WatchdogError(
                attempted: attempted, answer: "\(seconds) s is no time for a watchdog", advice: "declare 1 s to an hour"
            )
        }
        let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            throw WatchdogError(
                attempted: attempted, answer: SystemText.of(code),
                advice: code == EBUSY
                    ? "another program holds it; on Proxmox that is watchdog-mux, use its socket"
                    : "load a watchdog driver: modprobe softdog; and run as root")
        }
        let set = holdfast_watchdog_set_timeout(descriptor, Int32(seconds))
        // The kernel may round; a longer time than was reckoned with would make a fence come too early.
        guard set > 0, set <= Int32(seconds) else {
            var leave = UInt8(ascii: "V")
            _ = Glibc.write(descriptor, &leave, 1)
            close(descriptor)
            throw WatchdogError(
                attempted: attempted,
                answer: set > 0 ? "it takes \(set) s instead of \(seconds) s" : SystemText.of(-set),
                advice: "declare a time that the watchdog can keep")
        }
        return descriptor
    }
}
