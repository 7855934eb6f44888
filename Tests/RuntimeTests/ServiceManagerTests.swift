// The words for the service manager, received by a socket of the test's own.

import Glibc
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import Runtime

@Suite struct ServiceManagerTests {
    /// A datagram socket in a folder of its own.
    private final class Listener {
        private let folder = TemporaryFolder()
        let path: String
        let descriptor: Int32

        init(_ name: String) throws {
            path = folder.path + "/" + name
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            try #require(status == 0, "\(String(cString: strerror(errno)))")
        }

        deinit { close(descriptor) }

        /// The next that arrives; nil when nothing does for as long as a test may take.
        func wait() -> String? {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&waiting, 1, 50_000) == 1 ? next() : nil
        }

        /// The same, with the descriptor that came beside it.
        func nextWithDescriptor() -> (String?, Int32?) {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            // A header of 16 bytes, then the descriptor.
            var control = [Int64](repeating: 0, count: 8)
            return bytes.withUnsafeMutableBytes { text in
                control.withUnsafeMutableBytes { beside in
                    var part = iovec(iov_base: text.baseAddress, iov_len: text.count)
                    var message = msghdr()
                    return withUnsafeMutablePointer(to: &part) { part in
                        message.msg_iov = part
                        message.msg_iovlen = 1
                        message.msg_control = beside.baseAddress
                        message.msg_controllen = beside.count
                        let count = recvmsg(descriptor, &message, Int32(MSG_DONTWAIT))
                        guard count >= 0 else { return (nil, nil) }
                        let words = String(decoding: text.prefix(count), as: UTF8.self)
                        guard message.msg_controllen >= 20 else { return (words, nil) }
                        return (words, beside.load(fromByteOffset: 16, as: Int32.self))
                    }
                }
            }
        }

        /// What has arrived; nil when nothing has.
        func next() -> String? {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }

    @Test func aReadyAgentSaysSoInOneLineOfStatus() throws {
        let listener = try Listener("notify")
        let manager = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": listener.path]))
        #expect(manager.tell(.ready(status: "pve1 listens\nREADY=0")) == nil)
        #expect(listener.next() == "READY=1\nSTATUS=pve1 listens READY=0")
        #expect(manager.tell(.alive) == nil)
        #expect(listener.next() == "WATCHDOG=1")
        #expect(manager.tell(.stopping) == nil)
        #expect(listener.next() == "STOPPING=1")
    }

    @Test func whatIsToBeKeptIsHandedOverWithItsName() throws {
        let listener = try Listener("notify")
        let manager = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": listener.path]))
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        #expect(manager.keep(ends[1], as: "watchdog") == nil)
        let (text, descriptor) = listener.nextWithDescriptor()
        #expect(text == "FDSTORE=1\nFDNAME=watchdog")
        let other = try #require(descriptor)
        var byte: UInt8 = 7
        #expect(write(other, &byte, 1) == 1)
        close(other)
        var received: UInt8 = 0
        #expect(read(ends[0], &received, 1) == 1 && received == 7, "it is the same file")
        #expect(manager.forget("watchdog") == nil)
        #expect(listener.next() == "FDSTOREREMOVE=1\nFDNAME=watchdog")
        let gone = ServiceManager(environment: ["NOTIFY_SOCKET": "/nonexistent/notify"])
        #expect(gone?.keep(ends[1], as: "watchdog") != nil)
    }

    @Test func whatWasKeptIsFoundByItsName() throws {
        // The test has no say about which numbers it gets: one that is open, and counted from the first that is handed over.
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        let place = Int(ends[0]) - 3
        try #require((0..<1_000).contains(place))
        let names = Array(repeating: "other", count: place) + ["watchdog-70000"]
        var environment = [
            "LISTEN_PID": "41", "LISTEN_FDS": "\(names.count)", "LISTEN_FDNAMES": names.joined(separator: ":"),
        ]
        func kept(
            _ prefix: String, _ environment: [String: String], process: Int32 = 41
        ) -> (descriptor: Int32, name: String)? {
            ServiceManager.kept(where: { $0.hasPrefix(prefix) }, environment: environment, process: process)
        }
        #expect(kept("watchdog", environment)?.descriptor == ends[0])
        #expect(kept("watchdog", environment)?.name == "watchdog-70000")
        #expect(fcntl(ends[0], F_GETFD) == FD_CLOEXEC)
        #expect(kept("watchdog", environment, process: 42)?.descriptor == nil)
        #expect(kept("nothing", environment)?.descriptor == nil)
        environment["LISTEN_FDS"] = "0"
        #expect(kept("watchdog", environment)?.descriptor == nil)
        #expect(kept("watchdog", [:])?.descriptor == nil)
    }

    @Test func withoutAServiceManagerNobodyIsTold() {
        #expect(ServiceManager(environment: [:]) == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": ""]) == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "vsock:2:1234"]) == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 200)]) == nil)
    }

    @Test func theWatchdogIsFedOnlyByTheProcessItIsMeantFor() {
        let asked = ["NOTIFY_SOCKET": "@holdfast", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "41"]
        #expect(ServiceManager(environment: asked, process: 41)?.watchdog == .seconds(30))
        #expect(ServiceManager(environment: asked, process: 42)?.watchdog == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "@holdfast", "WATCHDOG_USEC": "soon"])?.watchdog == nil)
    }

    @Test func aSocketThatIsGoneIsReportedAndHarmsNothing() throws {
        let manager = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": "/nonexistent/notify"]))
        #expect(manager.tell(.alive) != nil)
    }

    /// PID 1 is busy for a moment, and its queue is full.
    @Test(.timeLimit(.minutes(1))) func signsOfLifeGoOnAfterTheManagersQueueWasFull() async throws {
        let listener = try Listener("notify")
        let manager = try #require(
            ServiceManager(environment: ["NOTIFY_SOCKET": listener.path, "WATCHDOG_USEC": "30000"]))
        while manager.tell(.stopping) == nil {}
        let words = Ledger<String>()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let task = manager.proveLife(on: loop, log: Logger(label: "test", factory: { _ in LedgerLog(ledger: words) }))
        _ = try await words.line("cannot be told that this agent is alive")
        while listener.next() != nil {}
        _ = try await words.line("is told again")
        #expect(listener.wait() == "WATCHDOG=1")
        task?.cancel()
    }
}
