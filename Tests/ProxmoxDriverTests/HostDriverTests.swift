// A driver that may not take part: what it does about the watchdog that the process before it left armed, and that it is let in
// once everything is within reach.

import Cluster
import Consensus
import Glibc
import Kinds
import Logging
import Synchronization
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)

@Suite(.timeLimit(.minutes(1))) struct HostDriverTests {
    private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// One end is the watchdog that was left armed, the other one what stands behind it.
    private struct Armed {
        let kept: Int32
        let behind: Int32
        /// What it was kept under.
        let name: String

        init(_ name: String = "watchdog-70000") throws {
            self.name = name
            var ends: [Int32] = [0, 0]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            (kept, behind) = (ends[0], ends[1])
        }

        var store: WatchdogStore {
            WatchdogStore(
                inherited: WatchdogStore.Kept(kept, as: name), keep: { _, _ in nil }, forget: { _ in nil })
        }

        /// What it has heard.
        func heard(_ count: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 9, count: count)
            let length = recv(behind, &bytes, count, Int32(MSG_DONTWAIT))
            return Array(bytes.prefix(max(0, length)))
        }
    }

    private struct Bench {
        let driver: HostDriver
        let reports: AsyncStream<GuestReport>
        let fences: AsyncStream<FenceReport>
    }

    private func bench(
        _ store: WatchdogStore?, _ settings: @escaping @Sendable () throws -> ProxmoxSettings
    ) -> Bench {
        let (reports, reporting) = AsyncStream<GuestReport>.makeStream()
        let (fences, fencing) = AsyncStream<FenceReport>.makeStream()
        let log = log
        let keeper = WatchdogKeeper(nil, log: log, store: store) { Instant(nanoseconds: 1_000) }
        let driver = HostDriver(
            settings: settings, log: log, keeper: keeper, report: { reporting.yield($0) },
            reportFence: { fencing.yield($0) }, pause: .milliseconds(20)
        ) { settings, keeper in
            try ProxmoxNode(
                settings, log: log, declaration: { _ in nil }, claim: { _ in .holds },
                report: { reporting.yield($0) }, reportFence: { fencing.yield($0) }, watchdog: keeper)
        }
        return Bench(driver: driver, reports: reports, fences: fences)
    }

    /// By the UUID that Proxmox wrote into its configuration, on whichever host of the Proxmox cluster it is.
    @Test func aMachineIsFoundAmongTheGuests() async throws {
        let proxmox = try await SmallProxmox()
        let web = "6F1D2C9A-0b7e-4d52-9c57-0a1b2c3d4e5f"
        proxmox.put(120, on: "pve1", "name: web\nsmbios1: uuid=\(web),manufacturer=QUJD,base64=1")
        // What it had when a snapshot was taken is not what it has.
        let snapshot = "[before]\nsmbios1: uuid=00000000-0b7e-4d52-9c57-0a1b2c3d4e5f"
        proxmox.put(121, on: "pve2", "name: db\nsmbios1: uuid=7f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f\n\n\(snapshot)")
        proxmox.put(122, on: "pve2", "name: smbios1\nsmbios1:\n\u{0}\u{1}")
        let settings = try proxmox.settings()
        let driver = bench(nil) { settings }.driver
        #expect(driver.refusal == nil)
        let here = await driver.guest(ofMachine: "6f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f")
        #expect(here == HostDriver.FoundGuest(name: "vm:120", node: "pve1", isHere: true))
        let there = await driver.guest(ofMachine: "7f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f")
        #expect(there == HostDriver.FoundGuest(name: "vm:121", node: "pve2", isHere: false))
        #expect(await driver.guest(ofMachine: "00000000-0b7e-4d52-9c57-0a1b2c3d4e5f") == nil)
        #expect(await driver.guest(ofMachine: "") == nil)
        var lost = settings
        lost.files = GuestFiles(folder: "\(proxmox.folder.path)/nowhere")
        let elsewhere = lost
        #expect(await bench(nil) { elsewhere }.driver.guest(ofMachine: "7f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f") == nil)
    }

    private let feed = WatchdogOrder.feed(until: Instant(nanoseconds: 2_000), timeout: .seconds(70))

    /// /etc/pve is away for a moment just when the agent was started anew; or nobody can read how to reach Proxmox at all.
    @Test(arguments: [true, false])
    func aWatchdogThatWasLeftArmedIsFedAndReleasedWhereTheDriverIsRefused(isReadable: Bool) async throws {
        let proxmox = try await SmallProxmox()
        var settings = try proxmox.settings()
        settings.files = GuestFiles(folder: "\(proxmox.folder.path)/nowhere")
        let unreachable = settings
        let armed = try Armed()
        defer { close(armed.behind) }
        let bench = bench(armed.store) {
            guard isReadable else {
                throw ProxmoxSettingsError(file: "f", field: "", found: "it cannot be read", expected: "settings")
            }
            return unreachable
        }
        #expect(bench.driver.refusal != nil)
        #expect(bench.driver.carryOut(feed)?.failure == nil)
        #expect(armed.heard(2) == [0])
        #expect(bench.driver.carryOut(.close) == nil)
        #expect(armed.heard(2) == [UInt8(ascii: "V")])
        #expect(bench.driver.carryOut(feed)?.failure != nil, "there is none any more")
    }

    /// Nobody can read how to reach Proxmox, or it says less by now: what is armed resets this host when it was armed to.
    @Test(arguments: [true, false])
    func theTimeThatIsToldOfARefusedDriverIsThatOfTheWatchdogThatWasLeftArmed(isReadable: Bool) async throws {
        let proxmox = try await SmallProxmox()
        var settings = try proxmox.settings()
        settings.files = GuestFiles(folder: "\(proxmox.folder.path)/nowhere")
        settings.watchdog = .multiplexer(socket: "/nonexistent", delay: .seconds(15))
        let shorter = settings
        let armed = try Armed("watchdog-300000")
        defer { close(armed.behind) }
        let bench = bench(armed.store) {
            guard isReadable else {
                throw ProxmoxSettingsError(file: "f", field: "", found: "it cannot be read", expected: "settings")
            }
            return shorter
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await bench.driver.serve() }
            defer { group.cancelAll() }
            var reports = bench.reports.makeAsyncIterator()
            guard case .refused(_, 300_000, _) = await reports.next() else {
                Issue.record("it was told otherwise")
                return
            }
        }
        #expect(bench.driver.carryOut(.close) == nil)
    }

    @Test func whatIsOrderedOfARefusedDriverFailsInWords() async throws {
        let bench = bench(nil) {
            throw ProxmoxSettingsError(file: "f", field: "", found: "it cannot be read", expected: "settings")
        }
        var reports = bench.reports.makeAsyncIterator()
        bench.driver.carryOut(.destroy(web, epoch: 3))
        guard case .failed(web, 3, .destroy, let failure) = await reports.next() else {
            Issue.record("nothing was ended")
            return
        }
        #expect(failure.reason.contains("cannot be read"))
        var fences = bench.fences.makeAsyncIterator()
        let order = FenceOrder.blocklist(host: "pve2", epoch: 7, addresses: ["10.77.0.2"])
        bench.driver.carryOut(order)
        guard case .failed(order, let reason) = await fences.next() else {
            Issue.record("nothing was barred")
            return
        }
        #expect(reason.contains("cannot be read"))
    }

    @Test func aDriverIsLetInOnceEverythingIsWithinReach() async throws {
        let proxmox = try await SmallProxmox()
        proxmox.put(120, on: "pve1", "name: web")
        let seen = try proxmox.settings()
        let isHidden = Mutex(true)
        let armed = try Armed()
        defer { close(armed.behind) }
        let bench = bench(armed.store) {
            var settings = seen
            if isHidden.withLock({ $0 }) { settings.machines.processes = "\(seen.machines.processes)-hidden" }
            return settings
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await bench.driver.serve() }
            defer { group.cancelAll() }
            var reports = bench.reports.makeAsyncIterator()
            guard case .refused(_, 70_000, let reason) = await reports.next() else {
                Issue.record("it may not take part")
                return
            }
            #expect(reason.contains("hides others too"))
            bench.driver.carryOut(.watch([web]))
            isHidden.withLock { $0 = false }
            var (isKnown, seen) = (false, [GuestObservation]())
            while !isKnown || seen.isEmpty, let report = await reports.next() {
                if case .host = report { isKnown = true }
                if case .observed(let all) = report { seen = all }
            }
            #expect(seen.map(\.guest) == [web] && seen.first?.state == .stopped)
            #expect(bench.driver.refusal == nil)
            #expect(bench.driver.carryOut(feed)?.failure == nil, "the watchdog goes on")
        }
        #expect(armed.heard(1) == [0])
    }
}
