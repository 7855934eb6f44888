// Makes a guest of a fenced host this host's: the quorum of the Proxmox cluster where it has to be regained, and the
// guest's configuration file. Whose fence makes it right stands in the order; that it still does is asked just before.

import Consensus
import Kinds
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Takes guests over. Every step can be repeated.
struct TakingOver: Sendable {
    let host: ProxmoxHost
    let settings: ProxmoxSettings
    let log: Logger
    let claims: ClaimCheck
    /// What all of it is for.
    let claim: OrderClaim
    /// The hosts without which this one may go on.
    let provenAway: [String]

    /// How often it is looked whether quorum has come.
    static let pause = Duration.milliseconds(250)

    /// Waits until the Proxmox cluster has quorum; lowers the votes it expects if it has none and every other host of it is
    /// proven to be away.
    ///
    /// Only Proxmox's own list says who they are. It may have hosts that this cluster knows nothing of, or nothing any more:
    /// those may be quorate together, and with the votes lowered here its file system would part in two.
    ///
    /// Proxmox notices the loss of a host after six to eight seconds: until then it says that it has quorum, and changes
    /// hang. So a change that fails for want of quorum comes back here.
    func regainQuorum(until deadline: ContinuousClock.Instant, _ attempted: String) async throws(StepFailure) {
        while true {
            let quorum: ProxmoxQuorum
            do throws(ProxmoxError) { quorum = try await host.quorum() } catch { throw StepFailure(error) }
            if quorum.isQuorate { return }
            let others = quorum.nodes.filter { !$0.isLocal }.map(\.name)
            let doubtful = others.filter { !provenAway.contains($0) }
            guard ContinuousClock.now < deadline else {
                let why = doubtful.isEmpty ? "" : ", and \(doubtful.joined(separator: ", ")) may be at work"
                throw StepFailure(
                    ProxmoxError(.noQuorum, attempted: attempted, reason: "the Proxmox cluster has no quorum\(why)"))
            }
            if doubtful.isEmpty { try await lowerVotes(beside: others, attempted) }
            try await Self.wait(attempted)
        }
    }

    private func lowerVotes(beside others: [String], _ attempted: String) async throws(StepFailure) {
        let votes: VoteStatus
        do throws(LocalProgramError) { votes = try await settings.votes.status() } catch { throw StepFailure(error) }
        if votes.isQuorate { return }
        try await claims.confirm(claim, attempted)
        // The last question before it is done: between the order and here lie queues, and a host that is back may be quorate
        // with others before this one sees it.
        try await claims.confirm(.lowerVotes(beside: others), "\(attempted): lower corosync's expected votes")
        do throws(LocalProgramError) { try await settings.votes.expect(votes: max(1, votes.totalVotes)) } catch {
            throw StepFailure(error)
        }
    }

    /// What comes before a taking: regains the quorum, and looks at what the guest needs. Nothing of the guest is touched.
    /// - Throws: a permanent failure when the guest has disks of the dead host; they are not here to be started with.
    func examine(
        _ guest: GuestNumber, from dead: NodeName, until deadline: ContinuousClock.Instant
    ) async throws(StepFailure) {
        let attempted = Self.words(guest, dead)
        try await regainQuorum(until: deadline, attempted)
        let files = settings.files
        let text: String? = try await FileThread.run(settings, attempted) { () throws(GuestFileError) in
            if files.exists(guest, on: settings.node) { return nil }
            return try files.text(of: guest, on: dead)
        }
        if let text {
            let configuration = GuestConfiguration(file: text, guest.kind)
            let storages: [StorageState]
            do throws(ProxmoxError) { storages = try await host.storages() } catch { throw StepFailure(error) }
            let local = configuration.localDisks(storages)
            guard local.isEmpty, configuration.hostDevices.isEmpty else {
                let what = local.map { "\($0.slot) (\($0.volume))" } + configuration.hostDevices
                throw StepFailure(
                    "\(attempted): it needs what \(dead) alone has: \(what.joined(separator: ", ")); "
                        + "it stays with \(dead) until that is back", isPermanent: true)
            }
        }
    }

    private static func words(_ guest: GuestNumber, _ dead: NodeName) -> String { "take \(guest) over from \(dead)" }

    /// Moves the guest's configuration here from a host that is fenced, once it was examined. Whether it is still wanted is asked
    /// just before each thing that is done.
    func take(
        _ guest: GuestNumber, from dead: NodeName, until deadline: ContinuousClock.Instant
    ) async throws(StepFailure) {
        let attempted = Self.words(guest, dead)
        let files = settings.files
        while true {
            try await claims.confirm(claim, attempted)
            try await claims.confirm(.take(from: dead.text), attempted)
            do throws(StepFailure) {
                return try await FileThread.change(
                    settings, attempted,
                    hangs: { [log] in log.warning("\($0)") },
                    { () throws(GuestFileError) in try files.take(guest, from: dead, to: settings.node) })
            } catch {
                guard error.isWantOfQuorum, ContinuousClock.now < deadline else { throw error }
            }
            // Writable again half a second to a second after the votes were lowered.
            try await Self.wait(attempted)
            try await regainQuorum(until: deadline, attempted)
        }
    }

    static func wait(_ attempted: String) async throws(StepFailure) {
        do { try await Task.sleep(for: pause) } catch { throw StepFailure("\(attempted): given up") }
    }
}

/// Calls that may hang while the cluster's file system has no quorum: on a thread that can be left behind.
enum FileThread {
    /// Looks at files. What hangs is left behind: nothing comes of it any more.
    static func run<Result: Sendable>(
        _ settings: ProxmoxSettings, _ attempted: String,
        _ body: @escaping @Sendable () throws(GuestFileError) -> Result
    ) async throws(StepFailure) -> Result {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Result.self)
        let alarm = loop.scheduleTask(in: .nanoseconds(settings.quorumPatience.nanoseconds)) {
            promise.fail(
                StepFailure("\(attempted): \(settings.files.folder) does not answer; see systemctl status pve-cluster"))
        }
        defer { alarm.cancel() }
        NIOThreadPool.singleton.submit { state in
            guard case .active = state else { return promise.fail(CancellationError()) }
            do throws(GuestFileError) { promise.succeed(try body()) } catch { promise.fail(error) }
        }
        return try await result(of: promise, attempted)
    }

    /// Changes files. **Once begun it is waited for, however long it hangs**: left behind it could still happen when quorum
    /// returns, long after everybody was told that it has not, and take a guest's configuration from the host that has
    /// started it meanwhile. Until then whatever stands before the guest waits too.
    /// - Parameter hangs: called once when it has been under way for longer than it should, with words.
    static func change<Result: Sendable>(
        _ settings: ProxmoxSettings, _ attempted: String, hangs: @escaping @Sendable (String) -> Void,
        _ body: @escaping @Sendable () throws(GuestFileError) -> Result
    ) async throws(StepFailure) -> Result {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Result.self)
        let progress = ChangeProgress()
        let alarm = loop.scheduleTask(in: .nanoseconds(settings.quorumPatience.nanoseconds)) {
            let silence = "\(attempted): \(settings.files.folder) does not answer"
            if progress.giveUp() {
                promise.fail(StepFailure("\(silence), and it was not begun; see systemctl status pve-cluster"))
            } else {
                hangs("\(silence), and it may happen yet, so it is waited for; see systemctl status pve-cluster")
            }
        }
        defer { alarm.cancel() }
        NIOThreadPool.singleton.submit { state in
            guard progress.begin() else { return }
            guard case .active = state else { return promise.fail(CancellationError()) }
            do throws(GuestFileError) { promise.succeed(try body()) } catch { promise.fail(error) }
        }
        return try await result(of: promise, attempted)
    }

    private static func result<Result: Sendable>(
        of promise: EventLoopPromise<Result>, _ attempted: String
    ) async throws(StepFailure) -> Result {
        do { return try await promise.futureResult.get() } catch {
            if let error = error as? GuestFileError { throw StepFailure(error) }
            throw error as? StepFailure ?? StepFailure("\(attempted): \(error)")
        }
    }

    /// Either it is begun or it is given up, whichever comes first.
    private final class ChangeProgress: Sendable {
        private let isDecided = Mutex(false)

        func begin() -> Bool { decide() }
        func giveUp() -> Bool { decide() }

        private func decide() -> Bool {
            isDecided.withLock { isDecided in
                defer { isDecided = true }
                return !isDecided
            }
        }
    }
}

/// Why a step was not carried out, from whatever part it came.
struct StepFailure: Error, Hashable, CustomStringConvertible {
    var reason: String
    /// Trying the same again here is of no use.
    var isPermanent = false
    /// It may have been carried out all the same: look before anything else.
    var mayHaveHadEffect = false
    var isWantOfQuorum = false
    /// A little later it may well succeed.
    var isPassing = false
    /// As of `GuestFailure`.
    var hasBegunNothing = false
    /// As of `GuestFailure`.
    var awaitsPerson = false

    var description: String { reason }

    /// As the agent is told of it.
    var told: GuestFailure {
        GuestFailure(
            reason, isPermanent: isPermanent, hasBegunNothing: hasBegunNothing, awaitsPerson: awaitsPerson)
    }

    /// The same, from before anything of the step was done.
    var havingBegunNothing: StepFailure {
        var failure = self
        failure.hasBegunNothing = !mayHaveHadEffect
        return failure
    }

    init(_ reason: String, isPermanent: Bool = false, awaitsPerson: Bool = false) {
        self.reason = reason
        self.isPermanent = isPermanent
        self.awaitsPerson = awaitsPerson
    }

    init(_ error: ProxmoxError) {
        reason = error.description
        mayHaveHadEffect = error.mayHaveHadEffect
        isWantOfQuorum = error.cause == .noQuorum
        isPassing = error.isPassing
        switch error.cause {
        case .missingPrivilege, .forbidden, .unauthorized, .untrusted, .invalid, .absent, .taken, .unsupported,
            .managedByProxmox, .unsafe:
            isPermanent = true
        default: isPermanent = false
        }
    }

    init(_ error: LocalProgramError) {
        reason = error.description
        isPermanent = error.cause == .notStarted
    }

    init(_ error: GuestFileError) {
        reason = error.description
        isPermanent = error.cause == .absent || error.cause == .taken
        isWantOfQuorum = error.cause == .notWritable
        isPassing = error.cause == .notWritable
    }
}
