// `probe`: what a client sees of an address, and who owns it on the wire. The command starts itself once more inside the
// lab, where the sockets are opened.

import ArgumentParser
import Glibc

/// A length of time on the command line: 2ms, 10s, 5m.
struct Span: ExpressibleByArgument {
    let nanoseconds: Int64

    init?(argument: String) {
        let units: [(String, Double)] = [("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9)]
        for (unit, factor) in units where argument.hasSuffix(unit) {
            if let number = Double(argument.dropLast(unit.count)), number > 0, number * factor < 1e15 {
                nanoseconds = Int64(number * factor)
                return
            }
        }
        return nil
    }

    init(milliseconds: Int64) { nanoseconds = milliseconds * 1_000_000 }
    var defaultValueDescription: String {
        nanoseconds % 1_000_000_000 == 0 ? "\(nanoseconds / 1_000_000_000)s" : "\(nanoseconds / 1_000_000)ms"
    }
}

struct ProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Ping an address from the client and watch who owns it on the wire; print gaps and owners.")
    @OptionGroup var lab: LabOptions
    @Argument(help: "IPv4 or IPv6 address.") var address: String
    @Option(name: .customLong("for"), help: "How long, at most 10m.") var length = Span(milliseconds: 10_000)
    @Option(help: "Between two pings, at least 0.5ms.") var every = Span(milliseconds: 2)
    @Option(help: "The node to ping from.") var from = "client"
    @Flag(help: "One JSON object per event, the last with the result.") var json = false
    /// Set when running inside the lab: the first process of the node to ping from.
    @Option(help: .hidden) var process: Int32?

    /// The program to run for a probe inside the lab.
    static func inside(
        _ client: KeeperClient, address: String, from: String, every: Int64, for length: Int64
    ) throws -> [String] {
        guard let node = try client.status().node(from) else {
            throw LabError("no node is called \"\(from)\"", exitCode: 3)
        }
        guard let process = node.process else { throw LabError("\(from) has no power", exitCode: 5) }
        return try client.inside(
            Topology.switchName,
            [
                try Executables.own(), "probe", address, "--for", "\(length)ns", "--every", "\(every)ns", "--from",
                from,
                "--process", "\(process)",
            ])
    }

    func run() throws {
        if let process { return try observe(process) }
        let arguments = try Self.inside(
            KeeperClient(lab.directory), address: address, from: from, every: every.nanoseconds, for: length.nanoseconds
        )
        let instrument = try Instrument<ProbeEvent>(arguments)
        let deadline = Deadline.after(milliseconds: Int(min(length.nanoseconds, Probe.longest) / 1_000_000) + 10_000)
        while let event = try instrument.next(until: deadline) {
            print(try json ? jsonLine(event) : ProbeReport.text(event))
            if event.result != nil { return }
        }
        throw LabError.timedOut("the probe of \(address) did not end in time")
    }

    private func observe(_ process: pid_t) throws {
        var probe = try Probe(
            address: address, from: Topology.homelab.node(from), process: process, every: every.nanoseconds)
        let result = try probe.run(for: length.nanoseconds, leash: STDIN_FILENO) { print(try jsonLine($0)) }
        print(try jsonLine(ProbeEvent(event: .result, at: 0, result: result)))
    }
}

/// A probe's events for people.
enum ProbeReport {
    static func text(_ event: ProbeEvent) -> String {
        switch event.event {
        case .answering:
            event.gapMilliseconds.map { "answers again after \(milliseconds($0))" } ?? "answers"
        case .silent: "silent"
        case .owner: "owner on the wire: \(event.node ?? "unknown")"
        case .result: event.result.map(text) ?? ""
        }
    }

    static func text(_ result: ProbeResult) -> String {
        var lines = [
            "\(result.address) from \(result.from): \(result.sent) asked, \(result.answered) answered, median "
                + "\(Int(result.medianRoundTripMicroseconds)) µs; longest pause of the probe itself "
                + milliseconds(result.ownPauseMilliseconds)
        ]
        for gap in result.gaps {
            let open = gap.ended ? "" : ", and not answering yet"
            lines.append("gap: \(milliseconds(gap.milliseconds)), \(gap.unanswered) unanswered\(open)")
        }
        if result.gaps.isEmpty { lines.append(result.answered == 0 ? "never answered" : "no gap of more than 10 ms") }
        for owner in result.owners {
            lines.append("owner: \(owner.node ?? "a stranger") (\(owner.hardwareAddress)), \(owner.answers) answers")
        }
        lines.append("owners at once: \(result.ownersAtOnce)")
        if result.clockWasSet { lines.append("the wall clock was set meanwhile: measure again") }
        return lines.joined(separator: "\n")
    }

    /// With one digit below ten.
    static func milliseconds(_ value: Double) -> String { "\(rounded(value)) ms" }

    static func rounded(_ value: Double) -> String {
        value < 10 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))"
    }
}
