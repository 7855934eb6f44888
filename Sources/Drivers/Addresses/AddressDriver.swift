// The address driver: takes orders from the deciding half and makes the kernel follow them, on a thread of its own.
// DESIGN.md in this folder has the invariant, the kernel objects and the crash windows.

import Cluster
import Consensus
import Glibc
import Kinds
import Logging

/// Holds this member's virtual addresses. Safe to use from any thread; orders are carried out one after another, in the
/// sequence they were given.
public final class AddressDriver: Sendable {
    /// Whether the kernel itself ends every lease in time, also when this process is dead or stopped. When it does not
    /// (no nftables), only the lifetime of the address ends it, in whole seconds; leases shorter than 3.5 s are refused.
    public let guardIsEnforced: Bool
    /// Why the guard is not enforced; nil when it is.
    public let guardProblem: String?

    /// Why the kernel does not enforce that announcements by ARP end with the lease; nil when it does.
    public let announcementProblem: String?
    /// Why no IPv6 address can be held under a lease here; nil when one can.
    public let problemWithIPv6: String?
    /// The interfaces that the addresses of this member go on, or would.
    public var interfaces: [AddressInterface] { inUse.all }

    private let inUse: AddressInterfaces
    private let log: Logger
    private let mailbox: OrderMailbox
    /// How long `shutDown` waits.
    private static let shutDownLimitMilliseconds: Int32 = 2_000

    /// Silences and removes what an earlier process left, puts the kernel's guard in place (this starts `nft`, for some
    /// ten milliseconds), and starts the thread.
    ///
    /// - Parameters:
    ///   - stateDirectory: where a lock keeps a second process from serving the same addresses; made if missing.
    ///   - report: called on the driver's thread; must not block.
    /// - Throws: when the process lacks CAP_NET_ADMIN or CAP_NET_RAW, or another process holds the lock.
    public convenience init(
        log: Logger, stateDirectory: String, report: @escaping @Sendable (RoleReport) -> Void
    ) throws(AddressDriverError) {
        try self.init(log: log, stateDirectory: stateDirectory, usesKernelGuard: true, report: report)
    }

    /// `usesKernelGuard` false: as on a kernel without nftables.
    init(
        log: Logger, stateDirectory: String, usesKernelGuard: Bool, report: @escaping @Sendable (RoleReport) -> Void
    ) throws(AddressDriverError) {
        let lock = try ProcessLock(directory: stateDirectory)
        let start = try AddressStart(log: log, usesKernelGuard: usesKernelGuard)
        let holder = AddressHolder(
            log: log, addresses: start.addresses, announcer: start.announcer, interfaces: start.interfaces,
            kernelGuard: start.kernelGuard, report: report)
        guardIsEnforced = start.kernelGuard != nil
        guardProblem = start.guardProblem
        announcementProblem = start.kernelGuard?.problemWithEgress
        problemWithIPv6 = start.kernelGuard?.problemWithIPv6
        inUse = holder.watching.inUse
        self.log = log
        mailbox = try OrderMailbox()
        try AddressThread(holder: holder, mailbox: mailbox, log: log, lock: lock).start()
    }

    deinit { mailbox.post(.stop) }

    /// Hands over an order and returns at once. At most 1,024 orders wait; see OrderQueue for what gives way.
    public func carryOut(_ order: AddressOrder) {
        guard let discarded = mailbox.post(order) else { return }
        log.error("too many address orders are waiting, or the driver is shut down; discarded: \(discarded)")
    }

    /// From now on tells, by `RoleReport.place`, when these addresses could not be held here as things stand, and when they
    /// could again. Returns at once.
    public func standReady(for places: SortedMap<ResourceKey, [VirtualAddress]>) { mailbox.post(places) }

    /// Falls silent and removes every address; when it returns, this has been done, or 2 s have passed. Orders after it
    /// are not carried out.
    public func shutDown() {
        mailbox.post(.stop)
        if !mailbox.finished.wait(milliseconds: Self.shutDownLimitMilliseconds) {
            log.error("the address thread did not end in 2 s; the kernel ends what is held with its lease")
        }
    }

    /// Leaves everything in the kernel as it is, as a process does that is killed. For tests.
    func abandon() {
        mailbox.post(.abandon)
        _ = mailbox.finished.wait(milliseconds: Self.shutDownLimitMilliseconds)
    }
}
