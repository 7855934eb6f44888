// What the driver does before its first order: open what it needs, put the guard in place, and clean up after an earlier
// process. A process that has just started has no lease, so cleaning means silence first.

import CKernel
import Consensus
import Glibc
import Kinds
import Logging

/// The parts of the driver, ready for use, with nothing held.
struct AddressStart {
    let addresses: InterfaceAddresses
    let announcer: Announcer
    let interfaces: InterfaceWatch
    let kernelGuard: KernelGuard?
    let guardProblem: String?

    init(log: Logger, usesKernelGuard: Bool) throws(AddressDriverError) {
        addresses = try InterfaceAddresses()
        announcer = try Announcer()
        interfaces = try InterfaceWatch()
        let present = try addresses.list()
        var problem: String?
        if usesKernelGuard {
            // The tables come first: from here on a leftover is silent, whatever happens below.
            (kernelGuard, problem) = try Self.makeGuard(
                log: log, interfaces: Self.announcingInterfaces(of: present, announcer))
        } else {
            kernelGuard = nil
            problem = "not used"
        }
        guardProblem = problem
        if let problem {
            log.error(
                """
                leases of addresses are not enforced by the kernel: \(problem). Only the lifetime of an address ends it \
                when this process cannot, in whole seconds; leases shorter than 3.5 s are refused
                """)
        }
        try cleanUp(present, log: log)
    }

    private static func makeGuard(
        log: Logger, interfaces: [Link]
    ) throws(AddressDriverError) -> (KernelGuard?, String?) {
        do throws(AddressDriverError) {
            return (try KernelGuard(log: log, interfaces: interfaces), nil)
        } catch {
            // Without the capability nothing at all would work.
            if error.cause == .notPermitted { throw error }
            return (nil, error.description)
        }
    }

    /// Removes the addresses of an earlier process, then takes them out of the guard; one that cannot be removed stays
    /// under guard.
    private func cleanUp(_ present: [InterfaceAddresses.Entry], log: Logger) throws(AddressDriverError) {
        let watched = try kernelGuard?.watched() ?? []
        var stuck: [IPAddress] = []
        for entry in present where entry.isOurs || (entry.isTemporary && watched.contains(entry.address)) {
            let code = try addresses.remove(entry.address, prefixLength: entry.prefixLength, from: entry.interface)
            if code == 0 {
                log.info("removed \(entry.address), which an earlier process left on interface \(entry.interface)")
                continue
            }
            guard code != EPERM else {
                throw AddressDriverError(attempted: "remove \(entry.address), left by an earlier process", code: code)
            }
            log.error(
                "cannot remove \(entry.address), left by an earlier process: \(AddressDriverError.text(of: code))")
            stuck.append(entry.address)
        }
        let free = watched.filter { !stuck.contains($0) }
        if !free.isEmpty { try kernelGuard?.unwatch(free) }
    }

    /// The Ethernet interfaces that have an IPv4 address of their own: where virtual addresses will go.
    private static func announcingInterfaces(of present: [InterfaceAddresses.Entry], _ announcer: Announcer) -> [Link] {
        var links: [Link] = []
        // Only ARP needs the hook there, and every interface that is up has an IPv6 address of its own.
        for entry in present where !entry.address.isIPv6 && !links.contains(where: { $0.index == entry.interface }) {
            guard let name = KernelGuard.interfaceName(entry.interface) else { continue }
            // The loopback, tunnels and interfaces that are down are not for announcing.
            do throws(AddressDriverError) {
                links.append(try announcer.link(named: name, attempted: "announce"))
            } catch {
                continue
            }
        }
        return links
    }
}
