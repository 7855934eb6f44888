// Starting programs and waiting for them, always with a deadline and with bounded output. Relies on LabSockets for the
// start itself. The process that uses it has one thread; it does not restart or supervise anything.

import CKernel
import Glibc

/// Where a program's standard stream goes.
enum Stream {
    case nothing
    case inherited
    case descriptor(Descriptor)

    fileprivate func number(inherited: Int32) -> Int32 {
        switch self {
        case .nothing: -1
        case .inherited: inherited
        case .descriptor(let descriptor): descriptor.number
        }
    }
}

/// Whose namespaces a program starts in.
enum Namespaces {
    case own
    /// All namespaces of the process behind this descriptor.
    case of(Descriptor)
    /// Its network only; process ids in arguments keep their meaning.
    case network(of: Descriptor)
}

/// How a process ended.
enum Ending: Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(signal: Int32)

    init(status: Int32) {
        self = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: status & 0x7f)
    }

    var description: String {
        switch self {
        case .exited(let code): "exited \(code)"
        case .killed(let signal): "killed by signal \(signal)"
        }
    }
}

/// A program that was started and not yet collected.
final class ChildProcess {
    let identifier: pid_t
    private let descriptor: Descriptor
    private(set) var ending: Ending?

    /// - Parameter arguments: the program's absolute path, then its arguments.
    /// - Throws: when it cannot be started; the error names the step.
    init(
        _ arguments: [String], in namespaces: Namespaces = .own, input: Stream = .nothing, output: Stream = .inherited,
        errors: Stream = .inherited, additionalEnvironment: [String: String] = [:], ownSession: Bool = false
    ) throws {
        guard let executable = arguments.first else { throw LabError("start a program: no program given") }
        var request = lab_spawn()
        request.standard_input = input.number(inherited: 0)
        request.standard_output = output.number(inherited: 1)
        request.standard_error = errors.number(inherited: 2)
        request.own_session = ownSession ? 1 : 0
        switch namespaces {
        case .own: request.join = -1
        case .of(let process): request.join = process.number
        case .network(let process):
            request.join = process.number
            request.join_network_only = 1
        }
        var stage: UnsafePointer<CChar>?
        let result = Self.withStrings(arguments) { argumentList in
            Self.withStrings(Self.environmentList(adding: additionalEnvironment)) { environmentList in
                executable.withCString { path in
                    request.executable = path
                    request.arguments = UnsafePointer(argumentList)
                    request.environment = UnsafePointer(environmentList)
                    return lab_spawn(&request, &stage)
                }
            }
        }
        guard result >= 0 else {
            let step = stage.map { String(cString: $0) } ?? "start"
            throw LabError("start \(arguments.joined(separator: " ")): \(step): \(errorText(-result))")
        }
        identifier = result
        descriptor = try Descriptor(checking: lab_process_descriptor(result), "watch process \(result)")
    }

    private static func environmentList(adding: [String: String]) -> [String] {
        var list: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            let name = String(text.prefix { $0 != "=" })
            if adding[name] == nil { list.append(text) }
            next += 1
        }
        return list + adding.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }

    static func withStrings<Result>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { pointers.forEach { free($0) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a null-terminated list is never empty") }
            return body(base)
        }
    }

    /// Readable once the process has ended.
    var readinessDescriptor: Int32 { descriptor.number }

    /// Collects the process if it has ended.
    @discardableResult
    func poll() -> Ending? {
        if let ending { return ending }
        var status: Int32 = 0
        if waitpid(identifier, &status, WNOHANG) == identifier { ending = Ending(status: status) }
        return ending
    }

    /// Tells that somebody else has collected it.
    func collected(_ ending: Ending) { self.ending = ending }

    /// How it ended, or nil at the deadline.
    func wait(until deadline: Deadline) -> Ending? {
        if let ended = poll() { return ended }
        _ = waitReadable([descriptor.number], until: deadline)
        return poll()
    }

    /// Signals the process itself; nothing when it has ended.
    func signal(_ number: Int32) { if poll() == nil { _ = lab_signal(descriptor.number, number) } }

    /// Signals the process and all that share its process group; only for one started with a session of its own.
    func signalGroup(_ number: Int32) { if poll() == nil { kill(-identifier, number) } }
}
