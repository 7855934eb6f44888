// Runs one program of this host, with a limit on its time and its output. For what an API token may not do: corosync's
// expected votes, Ceph, a fence command. Starts no shell.

import Consensus
import Subprocess

/// Why a program did not do what it was started for.
public struct LocalProgramError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Cause: Hashable, Sendable {
        /// It is not there, or cannot be started.
        case notStarted
        /// It ended by itself with something else than 0.
        case failed(status: Int32)
        /// It was ended because it took too long: what it did so far is not known.
        case tooLong
        /// It succeeded and said something that cannot be understood.
        case unreadable
    }

    public let cause: Cause
    public let attempted: String
    /// What it said, or what the system said about it; one line.
    public let answer: String
    public let advice: String

    public init(_ cause: Cause, attempted: String, answer: String, advice: String) {
        (self.cause, self.attempted, self.answer, self.advice) = (cause, attempted, answer, advice)
    }

    /// Whether what it was started for may have happened all the same.
    public var mayHaveHadEffect: Bool {
        switch cause {
        case .notStarted: false
        case .failed, .tooLong, .unreadable: true
        }
    }
    public var description: String { "\(attempted): \(answer); \(advice)" }
}

/// A program and how long it may take.
public struct LocalProgram: Hashable, Sendable {
    /// With a slash it is a path, otherwise it is looked for as a shell does.
    public var path: String
    public var limit: Interval

    public init(_ path: String, limit: Interval = .seconds(10)) {
        self.path = path
        self.limit = limit
    }

    static let mostOutputBytes = 4_194_304

    /// Runs it to its end.
    /// - Parameter success: the statuses it ends with when it did what it was started for.
    /// - Returns: what it wrote to standard output.
    func run(
        _ arguments: [String], attempted: String, advice: String, success: [Int32] = [0]
    ) async throws(LocalProgramError) -> String {
        var options = PlatformOptions()
        // A session of its own, so that what the program started ends with it.
        options.createSession = true
        options.teardownSequence = [
            .gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: .milliseconds(500))
        ]
        let platformOptions = options
        do {
            let end = try await withThrowingTaskGroup(of: (TerminationStatus, String, String)?.self) { group in
                group.addTask {
                    let end = try await Subprocess.run(
                        path.contains("/") ? .path(.init(path)) : .name(path), arguments: Arguments(arguments),
                        environment: .inherit.updating(["LC_ALL": "C"]), platformOptions: platformOptions,
                        output: .string(limit: Self.mostOutputBytes), error: .string(limit: 65_536))
                    return (end.terminationStatus, end.standardOutput, end.standardError)
                }
                group.addTask {
                    try await Task.sleep(for: .nanoseconds(limit.nanoseconds))
                    return nil
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else { throw CancellationError() }
                return first
            }
            guard let (status, output, errors) = end else {
                throw LocalProgramError(
                    .tooLong, attempted: attempted, answer: "\(path) had not ended after \(limit.milliseconds) ms",
                    advice: advice)
            }
            let said = ProxmoxError.oneLine(errors.isEmpty ? output : errors)
            switch status {
            case .exited(let code) where success.contains(code): return output
            case .exited(let code):
                throw LocalProgramError(
                    .failed(status: code), attempted: attempted,
                    answer: said.isEmpty ? "\(path) ended with status \(code)" : said, advice: advice)
            case .signaled(let signal):
                throw LocalProgramError(
                    .failed(status: 128 + signal), attempted: attempted,
                    answer: "\(path) was killed by signal \(signal)",
                    advice: advice)
            }
        } catch let error as LocalProgramError {
            throw error
        } catch {
            throw LocalProgramError(
                .notStarted, attempted: attempted, answer: ProxmoxError.oneLine("\(path): \(error)"), advice: advice)
        }
    }
}
