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
