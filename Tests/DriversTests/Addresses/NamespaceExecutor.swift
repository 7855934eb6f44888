// Runs a test's task on one thread that has a network namespace of its own, so that every socket the test opens, and
// every thread and program it starts, lives in that namespace.

import CKernel
import Foundation
import Synchronization
import Testing

/// Executes jobs on one dedicated thread, in order.
final class NamespaceExecutor: TaskExecutor {
    private struct Content {
        var jobs: [UnownedJob] = []
        var isStopped = false
    }

    private let content = Mutex(Content())
    private let arrived = DispatchSemaphore(value: 0)

    init() {
        let thread = Thread { [self] in run() }
        thread.name = "namespace"
        thread.stackSize = 4 << 20
        thread.start()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        content.withLock { $0.jobs.append(unowned) }
        arrived.signal()
    }

    /// Ends the thread, and with it the namespace, after the jobs that are waiting.
    func stop() {
        content.withLock { $0.isStopped = true }
        arrived.signal()
    }

    private func run() {
        while true {
            arrived.wait()
            let (job, isOver) = content.withLock { content in
                (content.jobs.isEmpty ? nil : content.jobs.removeFirst(), content.isStopped)
            }
            if let job {
                job.runSynchronously(on: asUnownedTaskExecutor())
            } else if isOver {
                return
            }
        }
    }
}

/// Whether this process may make network namespaces: as root, or inside `unshare --user --map-root-user`.
let canMakeNetworks: Bool = {
    let allowed = Mutex(false)
    let tried = DispatchSemaphore(value: 0)
    // On a thread of its own, which takes the namespace with it when it ends.
    let thread = Thread {
        allowed.withLock { $0 = holdfast_unshare_network() == 0 }
        tried.signal()
    }
    thread.start()
    tried.wait()
    return allowed.withLock { $0 } && FileManager.default.isExecutableFile(atPath: "/usr/sbin/nft")
}()

let needsNetworks: Comment =
    "needs network namespaces, nft and iproute2: run as root, or inside `unshare --user --map-root-user`"
