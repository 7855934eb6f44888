// Waiting with an end.

/// Runs `work`, and gives up when it takes longer than `limit`. The work is cancelled then, and has to heed that.
/// - Throws: what `work` throws, or `late`.
package func withDeadline<Result: Sendable>(
    _ limit: Duration, orThrow late: any Error, _ work: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let result = first else { throw late }
        return result
    }
}
