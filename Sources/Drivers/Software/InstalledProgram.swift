// The program on this machine's disk that a restart of the agent would run, and which version it is. A package manager
// replaces the file while the agent that was started from it runs on; so the path is taken down when the agent starts.
// Asks the program itself, and nothing of a package manager.

import Consensus
import Glibc
import Subprocess

/// The file this process was started from, whatever has taken its place since.
public struct InstalledProgram: Sendable {
    public let path: String
    /// A program that does not tell its version within this is not asked further.
    static let patience = Duration.seconds(5)

    public enum Answer: Hashable, Sendable {
        case version(String)
        /// Why it could not be asked.
        case unknown(String)
    }

    public init(path: String) { self.path = path }

    /// - Precondition: called before anything can have replaced the file: when the process starts.
    public static func ofThisProcess() -> InstalledProgram? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        let path = buffer[..<count].map { UInt8(bitPattern: $0) }
        return InstalledProgram(path: String(decoding: path, as: UTF8.self))
    }

    /// Runs the program with `version`.
    public func version() async -> Answer {
        do {
            let end = try await withThrowingTaskGroup(of: (TerminationStatus, String).self) { group in
                group.addTask {
                    let end = try await Subprocess.run(
                        .path(.init(path)), arguments: ["version", "--output", "name"],
                        output: .string(limit: 256), error: .discarded)
                    return (end.terminationStatus, end.standardOutput)
                }
                group.addTask {
                    try await Task.sleep(for: Self.patience)
                    throw Silence()
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else { throw CancellationError() }
                return first
            }
            let text = end.1.split(separator: "\n").first.map(String.init) ?? ""
            guard case .exited(0) = end.0, !text.isEmpty else {
                return .unknown("\(path) version ended with \(end.0)")
            }
            return .version(text)
        } catch {
            return .unknown("\(path) cannot be run: \(error)")
        }
    }

    private struct Silence: Error, CustomStringConvertible {
        var description: String { "no answer in \(InstalledProgram.patience)" }
    }
}
