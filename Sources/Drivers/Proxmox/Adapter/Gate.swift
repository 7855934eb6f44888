// Lets a bounded number of steps into Proxmox at one time: its API is served by three workers, and a failover of fifty
// guests at once would make all of them slower than one after the other.

import Synchronization

/// A counting gate; who came first is let in first.
final class Gate: Sendable {
    private struct State {
        var free: Int
        var waiting: [(ticket: UInt64, continuation: CheckedContinuation<Void, any Error>)] = []
        var lastTicket: UInt64 = 0
        /// Tickets whose owners gave up before they stood in the line.
        var cancelled: Set<UInt64> = []
    }
    private let state: Mutex<State>

    init(width: Int) { state = Mutex(State(free: width)) }

    /// Runs `body` inside the gate.
    /// - Throws: `CancellationError` when the task ended while it waited.
    func pass<Result>(_ body: () async -> Result) async throws -> Result {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Bool? = state.withLock { state in
                    if state.cancelled.remove(ticket) != nil { return false }
                    guard state.free == 0 else {
                        state.free -= 1
                        return true
                    }
                    state.waiting.append((ticket, continuation))
                    return nil
                }
                switch outcome {
                case .some(true): continuation.resume()
                case .some(false): continuation.resume(throwing: CancellationError())
                case .none: break
                }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                guard let place = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                    state.cancelled.insert(ticket)
                    return nil as CheckedContinuation<Void, any Error>?
                }
                return state.waiting.remove(at: place).continuation
            }
            waiting?.resume(throwing: CancellationError())
        }
        defer { leave(ticket) }
        return await body()
    }

    private func leave(_ ticket: UInt64) {
        let next = state.withLock { state in
            state.cancelled.remove(ticket)
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil as CheckedContinuation<Void, any Error>?
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume()
    }
}
