// Real-time priority and locked memory: who has them, and who must not.

import CKernel
import Glibc
import Logging
import Testing

@testable import Runtime

@Suite struct RealTimeTests {
    private struct Policies: Sendable {
        var own: Int32 = -1
        var child: Int32 = -1
    }

    /// What the heartbeat loop does: claims the priority, and starts a thread later.
    private static func policies() -> Policies {
        final class Box: @unchecked Sendable { var policies = Policies() }
        let box = Box()
        start {
            RealTime.claim(log: Logger(label: "test"))
            box.policies.own = sched_getscheduler(0)
            start { box.policies.child = sched_getscheduler(0) }
        }
        return box.policies
    }

    /// Runs `work` on a thread of its own and waits for its end.
    private static func start(_ work: @escaping () -> Void) {
        final class Work {
            let run: () -> Void
            init(_ run: @escaping () -> Void) { self.run = run }
        }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(Work(work)).toOpaque())
        precondition(code == 0, "no thread could be started")
        pthread_join(thread, nil)
    }

    private static let resetOnFork: Int32 = 0x4000_0000

    @Test func whatTheLoopStartsIsOrdinaryAgain() {
        let policies = Self.policies()
        guard policies.own & ~Self.resetOnFork == SCHED_RR else {
            // Without the right to it there is nothing to pass on.
            #expect(policies.own == SCHED_OTHER && policies.child == SCHED_OTHER)
            return
        }
        #expect(policies.own & Self.resetOnFork != 0)
        #expect(policies.child == SCHED_OTHER)
    }

    /// The test goes on with code that was just forgotten.
    @Test func codeThatWasForgottenIsTakenInAgain() {
        #expect(holdfast_forget_code() == 0)
        #expect(RealTime.mayLock(limitBytes: .max, capabilities: 0))
    }

    @Test(
        arguments: [
            (.max, 0, true), (.max, .max, true), (8 << 20, 1 << 14, true), (8 << 20, 0, false), (0, ~(1 << 14), false),
        ] as [(UInt64, UInt64, Bool)])
    func memoryIsLockedOnlyWhereNoLimitCanBeMet(_ limit: UInt64, _ capabilities: UInt64, _ may: Bool) {
        #expect(RealTime.mayLock(limitBytes: limit, capabilities: capabilities) == may)
    }
}
