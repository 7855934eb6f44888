// A network of two hosts on one thread: the thread lives in the namespace of the owner, whose `eth0` is one end of a
// cable; the sockets of the client were opened in the other namespace before the thread moved on. Nothing leaves either.

import CKernel
import Cluster
import Consensus
import Foundation
import Glibc
import Kinds
import Logging
import Synchronization

@testable import Drivers

/// Runs `body` in a fresh network of two hosts.
func onTestNetwork(_ body: @escaping @Sendable (TestNetwork) async throws -> Void) async throws {
    let executor = NamespaceExecutor()
    defer { executor.stop() }
    try await withTaskExecutorPreference(executor) { try await body(TestNetwork()) }
}

struct TestFailure: Error { let what: String }

/// The owner's side is this thread; the client's side is `client`.
final class TestNetwork: Sendable {
    static let virtual = VirtualAddress(address: "10.77.0.99", prefixLength: 24)
    static let role = ResourceKey(kind: "VirtualIP", name: "test")
    static let address = IPv4Address(number: 0x0a4d_0063)
    static let guarded: [IPAddress] = [.v4(address)]
    static let virtualIPv6 = VirtualAddress(address: "fd00:77::99", prefixLength: 64)
    static let addressIPv6 = IPv6Address(high: 0xfd00_0077 << 32, low: 0x99)

    let client: TestClient
    /// A directory for locks, one for each network.
    let directory: String
    private let clientNamespace: Int32

    init() throws {
        guard holdfast_unshare_network() == 0 else { throw TestFailure(what: "no network namespace") }
        client = try TestClient()
        clientNamespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        guard holdfast_unshare_network() == 0 else { throw TestFailure(what: "no network namespace") }
        directory = NSTemporaryDirectory() + "holdfast-addresses-\(UUID().uuidString)"
        let namespace = "/proc/\(getpid())/fd/\(clientNamespace)"
        try run(
            """
            ip link set lo up
            ip link add eth0 type veth peer name c0 netns \(namespace)
            ip link set eth0 up
            ip addr add 10.77.0.1/24 dev eth0
            ip addr add fd00:77::1/64 dev eth0 nodad
            nsenter --net=\(namespace) sh -euc '
                ip link set c0 up
                ip addr add 10.77.0.2/24 dev c0
                ip addr add fd00:77::2/64 dev c0 nodad'
            """)
        try client.plugIn()
        guard client.reachesTheOwner() else { throw TestFailure(what: "the cable carries nothing") }
    }

    deinit {
        close(clientNamespace)
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Runs a shell script on the owner.
    func run(_ script: String) throws {
        let end = try Program.run("/bin/sh", ["-euc", script], input: "", limitSeconds: 60)
        guard end.status == 0 else { throw TestFailure(what: "\(script): \(end.errors)") }
    }

    /// Makes the client know where the address is, so that it sends packets without asking by ARP first.
    func teachClient(_ address: IPAddress = .v4(address)) throws {
        let link = Link(index: Int32(if_nametoindex("eth0")), name: "eth0")
        guard let bytes = try Announcer().hardwareAddress(of: link) else { throw TestFailure(what: "no eth0") }
        let text = bytes.map { String(format: "%02x", $0) }.joined(separator: ":")
        try run(
            "nsenter --net=/proc/\(getpid())/fd/\(clientNamespace) ip neigh replace \(address) lladdr \(text) dev c0 nud permanent"
        )
    }

    func driver(
        _ reports: Reports, log: Logger = quiet, usesKernelGuard: Bool = true
    ) throws -> AddressDriver {
        try AddressDriver(
            log: log, stateDirectory: directory, usesKernelGuard: usesKernelGuard, report: reports.receive)
    }

    /// What is on the owner's interface of the virtual address.
    func presentAddress(_ address: IPAddress = .v4(address)) throws -> InterfaceAddresses.Entry? {
        try InterfaceAddresses().list().first { $0.address == address }
    }

    /// Asks for the address by ARP until it has left the owner's interface. Throws after a minute.
    func waitUntilAbsent() throws {
        let end = BootClock.now() + .seconds(60)
        while try presentAddress() != nil {
            guard BootClock.now() < end else { throw TestFailure(what: "the address is still there") }
            _ = client.isAnswered(withinMilliseconds: 5)
        }
    }

    static func hold(epoch: UInt64 = 1, until: Instant, _ addresses: VirtualAddress...) -> AddressOrder {
        .hold(role: role, addresses: addresses.isEmpty ? [virtual] : addresses, epoch: epoch, until: until)
    }

    static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
}

/// Collects reports and lets a test wait for the next one.
final class Reports: Sendable {
    private let content = Mutex<[RoleReport]>([])
    private let arrived: EventSignal

    init() throws { arrived = try EventSignal(attempted: "collect reports") }

    @Sendable func receive(_ report: RoleReport) {
        content.withLock { $0.append(report) }
        arrived.signal()
    }

    /// The next report, or nil after a minute.
    func next() -> RoleReport? {
        for _ in 0..<100 {
            if let first = content.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return first }
            if arrived.wait(milliseconds: 60_000) { arrived.clear() } else { return nil }
        }
        return nil
    }

    var isEmpty: Bool { content.withLock { $0.isEmpty } }
}

/// Keeps the log lines of a driver.
final class CapturedLog: Sendable {
    private let lines = Mutex<[String]>([])

    var logger: Logger {
        Logger(label: "test") { _ in Handler(log: self) }
    }

    func contains(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }

    private struct Handler: LogHandler {
        let log: CapturedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { log.lines.withLock { $0.append(event.message.description) } }
    }
}
