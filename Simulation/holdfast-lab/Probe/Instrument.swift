// A measuring process on a leash: started inside the lab, it tells what it sees line by line and hands in its result
// when the leash is let go. When its owner dies the leash goes too, and it ends.

import FoundationEssentials
import Glibc

/// A running measurement that tells `Event`s.
final class Instrument<Event: Decodable> {
    private let child: ChildProcess
    private var leash: Descriptor?
    private let told: Descriptor
    private var buffer: [UInt8] = []

    init(_ arguments: [String]) throws {
        let (reading, leash, child) = try Self.start(arguments)
        (told, self.leash, self.child) = (reading, leash, child)
    }

    private static func start(_ arguments: [String]) throws -> (Descriptor, Descriptor, ChildProcess) {
        let input = try makePipe()
        let output = try makePipe()
        let child = try ChildProcess(arguments, input: .descriptor(input.reading), output: .descriptor(output.writing))
        return (output.reading, input.writing, child)
    }

    deinit {
        leash = nil
        if child.wait(until: .after(milliseconds: 2_000)) == nil { child.signal(SIGKILL) }
    }

    /// The next thing it tells; nil at the deadline. - Throws: when it has ended.
    func next(until deadline: Deadline) throws -> Event? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeSubrange(...end)
                return try JSONDecoder().decode(Event.self, from: Data(line))
            }
            guard !waitReadable([told.number], until: deadline).isEmpty else { return nil }
            guard let bytes = readAvailable(told.number) else {
                throw LabError("the measurement ended early; see its message above")
            }
            buffer += bytes
        }
    }

    /// What has been told already, without waiting.
    func pending() throws -> [Event] {
        var events: [Event] = []
        while let event = try next(until: .after(milliseconds: 0)) { events.append(event) }
        return events
    }

    /// Lets the leash go; the result is told next.
    func letGo() { leash = nil }
}

/// A probe on a leash.
final class ProbeInstrument {
    private let instrument: Instrument<ProbeEvent>
    private let address: String

    init(_ client: KeeperClient, address: String, from node: String, everyMilliseconds: Double = 2, seconds: Int = 600)
        throws
    {
        self.address = address
        instrument = try Instrument(
            try ProbeCommand.inside(
                client, address: address, from: node, every: Int64(everyMilliseconds * 1_000_000),
                for: Int64(seconds) * 1_000_000_000))
    }

    func next(until deadline: Deadline) throws -> ProbeEvent? { try instrument.next(until: deadline) }

    /// Waits until it tells something that `matches`. - Throws: at the deadline, with `expectation`.
    @discardableResult
    func wait(
        for expectation: String, milliseconds: Int, _ matches: (ProbeEvent) -> Bool
    ) throws -> ProbeEvent {
        let deadline = Deadline.after(milliseconds: milliseconds)
        while let event = try instrument.next(until: deadline) {
            if matches(event) { return event }
        }
        throw LabError.timedOut("\(address): \(expectation) did not happen within \(milliseconds) ms")
    }

    /// Ends the observation.
    func finish() throws -> ProbeResult {
        instrument.letGo()
        let event = try wait(for: "the result of the probe", milliseconds: 30_000) { $0.result != nil }
        guard let result = event.result else { throw LabError("the probe told no result") }
        return result
    }
}
