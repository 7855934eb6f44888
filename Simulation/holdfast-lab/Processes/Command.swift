// Running a program to its end: input in, output out, a deadline over all. Output is kept up to a bound; what exceeds it
// is read and thrown away.

import CKernel
import Glibc

/// A program, its arguments, and where it runs.
struct Command {
    /// The program's absolute path, then its arguments.
    var arguments: [String]
    var namespaces: Namespaces = .own
    /// At most 64 KiB, what a pipe takes without a reader.
    var input: String = ""
    var additionalEnvironment: [String: String] = [:]
    /// After this many milliseconds it is killed.
    var deadlineMilliseconds: Int = 10_000
    /// Bytes of each output stream that are kept.
    static let outputBound = 4 << 20

    init(_ arguments: [String]) { self.arguments = arguments }

    struct Result {
        /// nil when it was killed at the deadline.
        var ending: Ending?
        var output: String
        var errors: String
        var milliseconds: Double

        var succeeded: Bool { ending == .exited(0) }
        /// What it said last, for an error line.
        var complaint: String {
            let lines = (errors.isEmpty ? output : errors).split(separator: "\n")
            let said = lines.suffix(3).joined(separator: "; ")
            if ending == nil {
                return said.isEmpty ? "no end before the deadline" : "no end before the deadline: \(said)"
            }
            return said.isEmpty ? "\(ending.map { "\($0)" } ?? "")" : said
        }
    }

    /// Runs it. - Throws: when it cannot be started; a failure of the program itself is in the result.
    func run() throws -> Result {
        let began = lab_boot_clock()
        let deadline = Deadline.after(milliseconds: deadlineMilliseconds)
        let (child, streams) = try start()
        var kept: [[UInt8]] = [[], []]
        var open = Set(streams.map(\.number))
        let descriptorOfChild = child.readinessDescriptor
        while !open.isEmpty {
            let ready = waitReadable(Array(open) + [descriptorOfChild], until: deadline)
            if ready.isEmpty { break }
            let ended = ready.contains(descriptorOfChild)
            for (index, stream) in streams.enumerated() where ready.contains(stream.number) {
                guard let bytes = readAvailable(stream.number) else {
                    open.remove(stream.number)
                    continue
                }
                kept[index] += bytes.prefix(Self.outputBound - kept[index].count)
            }
            // A grandchild may keep the streams open for ever; what the program itself wrote has been read.
            if ended && ready.count == 1 { break }
        }
        let ending = child.wait(until: deadline)
        if ending == nil {
            child.signal(SIGKILL)
            _ = child.wait(until: .after(milliseconds: 2_000))
        }
        return Result(
            ending: ending, output: String(decoding: kept[0], as: UTF8.self),
            errors: String(decoding: kept[1], as: UTF8.self),
            milliseconds: Double(lab_boot_clock() - began) / 1_000_000)
    }

    /// Runs it and answers its output. - Throws: also when it fails, with what it said.
    @discardableResult
    func output(of attempted: String) throws -> String {
        let result = try run()
        guard result.succeeded else {
            let text = "\(attempted): \(result.complaint)"
            throw result.ending == nil ? LabError.timedOut(text) : LabError(text)
        }
        return result.output
    }

    private func start() throws -> (ChildProcess, [Descriptor]) {
        let toChild = try makePipe()
        let fromChild = try makePipe()
        let complaints = try makePipe()
        let child = try ChildProcess(
            arguments, in: namespaces, input: .descriptor(toChild.reading), output: .descriptor(fromChild.writing),
            errors: .descriptor(complaints.writing), additionalEnvironment: additionalEnvironment)
        precondition(input.utf8.count <= 65536)
        if !input.isEmpty { try toChild.writing.write(input) }
        return (child, [fromChild.reading, complaints.reading])
    }
}
