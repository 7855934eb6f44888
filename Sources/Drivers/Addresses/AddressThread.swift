// The thread that carries out address orders. It has real-time priority when the process may have that, because a lease
// of some hundred milliseconds has to be renewed in time on a busy host too. It sleeps until an order comes, something
// is due, or another machine uses one of our addresses.

import CKernel
import Consensus
import Glibc
import Logging

/// Everything the thread owns.
final class AddressThread {
    private let holder: AddressHolder
    private let mailbox: OrderMailbox
    private let log: Logger
    private let lock: ProcessLock
    /// Above everything that has no real-time priority, below the kernel's own threads.
    private static let priority: Int32 = 40

    init(holder: AddressHolder, mailbox: OrderMailbox, log: Logger, lock: ProcessLock) {
        self.holder = holder
        self.mailbox = mailbox
        self.log = log
        self.lock = lock
    }

    /// Starts it; from now on nothing else touches what it owns.
    func start() throws(AddressDriverError) {
        let owned = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<AddressThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, owned.toOpaque())
        guard code == 0 else {
            owned.release()
            throw AddressDriverError(
                attempted: "start the address thread", code: code, advice: "raise the limit of threads")
        }
        pthread_detach(thread)
    }

    private func run() {
        _ = holdfast_name_thread("addresses")
        let code = holdfast_real_time(Self.priority)
        if code != 0 {
            log.notice(
                """
                the address thread runs without real-time priority (\(AddressDriverError.text(of: -code))): on an overloaded \
                host it may miss renewals; give the service LimitRTPRIO=50 or CAP_SYS_NICE
                """)
        }
        while true {
            waitForWork()
            let (orders, places, wish) = mailbox.take()
            if wish == .abandon { break }
            if let places { holder.standReady(for: places) }
            orders.forEach(holder.carryOut)
            holder.heedInterfaces()
            holder.passTime()
            holder.heedConflicts()
            if wish == .stop {
                holder.dropEverything()
                holder.leaveNoTrace()
                break
            }
        }
        lock.release()
        mailbox.finished.signal()
    }

    private func waitForWork() {
        var descriptors = [
            pollfd(fd: mailbox.arrived.descriptor, events: Int16(POLLIN), revents: 0)
        ]
        for other in holder.announcer.descriptors + [holder.interfaces.descriptor] {
            descriptors.append(pollfd(fd: other, events: Int16(POLLIN), revents: 0))
        }
        // Rounded up, so that what is due then is due indeed.
        let left = holder.nextDue.map { ($0 - BootClock.now() + .nanoseconds(999_999)).milliseconds }
        _ = poll(&descriptors, nfds_t(descriptors.count), left.map { Int32(clamping: Swift.max(0, $0)) } ?? -1)
    }
}

/// Keeps a second process from serving the addresses of this host. The kernel gives it back when the process ends.
final class ProcessLock {
    private var descriptor: Int32

    init(directory: String) throws(AddressDriverError) {
        let path = directory + "/addresses.lock"
        let attempted = "lock \(path)"
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw AddressDriverError(
                attempted: "make \(directory)", code: errno, capability: "write permission there",
                advice: "make its parent directory")
        }
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw AddressDriverError(
                attempted: attempted, code: errno, capability: "write permission there",
                advice: "see that it is a directory")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK else { throw AddressDriverError(attempted: attempted, code: code) }
            throw AddressDriverError(
                .alreadyRunning, attempted: attempted, answer: "another process holds it",
                advice: "stop the other agent (`systemctl status holdfast`)")
        }
    }

    deinit { release() }

    func release() {
        guard descriptor >= 0 else { return }
        // Not by closing alone: a child between fork and exec has the same lock for a moment.
        flock(descriptor, LOCK_UN)
        close(descriptor)
        descriptor = -1
    }
}
