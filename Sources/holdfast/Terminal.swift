// Where a command writes: results to one side, notes to the other. A test puts its own in place.

import Glibc
import Synchronization

struct Terminal: Sendable {
    @TaskLocal static var current = Terminal.standard

    /// A result, with or without an end of line.
    var write: @Sendable (String) -> Void
    /// A line for the person, beside the results.
    var note: @Sendable (String) -> Void
    /// Asks for a line; nil when nobody is there to answer.
    var ask: @Sendable (String) -> String?
    /// What `-f -` reads.
    var standardInput: @Sendable () -> [UInt8]
    /// Whether results go to a screen that shows colours.
    var colour: Bool
    var environment: @Sendable (String) -> String?
    /// Milliseconds since 1970, and such a time as hours and minutes where the person is.
    var clock: WallClock

    func print(_ text: String) { write(text.hasSuffix("\n") ? text : text + "\n") }

    static let standard = Terminal(
        write: { text in Descriptor.write(text, to: STDOUT_FILENO) },
        note: { text in Descriptor.write(text + "\n", to: STDERR_FILENO) },
        ask: { question in
            guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return nil }
            Descriptor.write(question, to: STDERR_FILENO)
            return readLine()
        },
        standardInput: { Descriptor.readAll(STDIN_FILENO) },
        colour: isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR").map { $0.pointee == 0 } ?? true
            && getenv("TERM").map { String(cString: $0) != "dumb" } ?? true,
        environment: { name in getenv(name).map { String(cString: $0) } }, clock: .system)
}

/// Reading and writing whole texts on file descriptors.
private enum Descriptor {
    static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            // A reader that went away (`| head`) ends the output, not the command with an error.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Bounded like a request body is: more could not be sent anyway.
    static func readAll(_ descriptor: Int32) -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while all.count < 16 * 1024 * 1024 {
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            all += chunk[..<count]
        }
        return all
    }
}
