// The observer of one address: pings it from a node as a client would, and asks from the switch who owns it, by ARP or by
// neighbour discovery. The two
// use different sockets in different namespaces on purpose: were the client to ask by ARP itself, it would learn of a
// move that nobody announced. Times are the kernel's receive times, so a busy machine does not lengthen a gap.

import CKernel
import Glibc

/// What a probe tells while it runs.
struct ProbeEvent: Codable, Equatable {
    enum Kind: String, Codable {
        /// An answer has come, the first or after a silence.
        case answering
        case silent
        /// Another owner answers on the wire.
        case owner
        case result
    }

    var event: Kind
    /// Nanoseconds of the wall clock.
    var at: Int64
    var node: String?
    var gapMilliseconds: Double?
    var result: ProbeResult?
}

/// What a probe has seen in all.
struct ProbeResult: Codable, Equatable {
    var address: String
    var from: String
    var durationMilliseconds: Double
    var sent: Int
    var answered: Int
    /// Silences of more than 10 ms in which an answer was waited for.
    var gaps: [Gap]
    var longestGapMilliseconds: Double
    var owners: [Ownership.Owner]
    var ownersAtOnce: Int
    var medianRoundTripMicroseconds: Double
    /// The longest time the probe itself did not come to ask.
    var ownPauseMilliseconds: Double
    /// The wall clock was set meanwhile, so the figures are worthless.
    var clockWasSet: Bool

    /// The longest gap that was open at or after `time`.
    func longestGap(since time: Int64) -> Double {
        gaps.filter { $0.to >= time }.map(\.milliseconds).max() ?? 0
    }
}

/// One observation.
struct Probe {
    /// The shortest distance of two questions.
    static let leastEvery: Int64 = 500_000
    static let longest: Int64 = 600_000_000_000

    let address: String
    let node: Node
    let every: Int64
    private let question: OwnerQuestion
    private let identifier = UInt16(truncatingIfNeeded: getpid())
    private let echoSocket: Descriptor
    private let ownerSocket: Descriptor
    private let bridgeIndex: Int32
    private let hardware: [UInt8]
    private var echoes = EchoSeries()
    private var ownership = Ownership()
    private var isSilent = true

    /// Opens the sockets. Runs in the switch's namespace, with a single thread, and ends up in that of `process`.
    init(address: String, from node: Node, process: pid_t, every: Int64) throws {
        guard let question = OwnerQuestion(about: address) else {
            throw LabError("probe \(address): not an IPv4 or IPv6 address")
        }
        (self.address, self.node, self.question) = (address, node, question)
        self.every = max(every, Self.leastEvery)
        var hardware = [UInt8](repeating: 0, count: 6)
        ownerSocket = try Descriptor(
            checking: lab_open_frame_socket(Topology.switchBridge, question.type, &hardware),
            "open a packet socket on the switch")
        self.hardware = hardware
        bridgeIndex = lab_interface_index(Topology.switchBridge)
        let joined = lab_join_network(process)
        guard joined == 0 else { throw LabError.kernel("enter the network of \(node.name)", joined) }
        echoSocket = try Descriptor(
            checking: question.isIPv6 ? lab_open_echo6_socket() : lab_open_echo_socket(),
            "open an ICMP socket in \(node.name)")
        _ = lab_prefer_real_time()
    }

    /// Observes for `length` nanoseconds, or until `leash` ends, and tells what happens as it happens.
    mutating func run(for length: Int64, leash: Int32?, tell: (ProbeEvent) throws -> Void) throws -> ProbeResult {
        let began = lab_boot_clock()
        let clockOffset = lab_wall_clock() - began
        let end = began + min(length, Self.longest)
        let whoHasEvery = max(every, 5_000_000)
        var (nextEcho, nextWhoHas) = (began, began)
        while true {
            let now = lab_boot_clock()
            if now >= end { break }
            if now >= nextEcho {
                sendEcho()
                nextEcho = max(nextEcho + every, now)
            }
            if now >= nextWhoHas {
                sendWhoHas()
                nextWhoHas = max(nextWhoHas + whoHasEvery, now)
            }
            let watched = [echoSocket.number, ownerSocket.number] + (leash.map { [$0] } ?? [])
            let ready = Self.wait(watched, nanoseconds: min(nextEcho, nextWhoHas, end) - lab_boot_clock())
            if let leash, ready.contains(leash), readAvailable(leash) == nil { break }
            try receiveEchoes(tell)
            try receiveAnswers(tell)
            if !isSilent, echoes.isSilent(at: lab_wall_clock()) {
                isSilent = true
                try tell(ProbeEvent(event: .silent, at: lab_wall_clock()))
            }
        }
        let clockWasSet = abs(lab_wall_clock() - lab_boot_clock() - clockOffset) > 1_000_000
        return result(milliseconds: Double(lab_boot_clock() - began) / 1_000_000, clockWasSet: clockWasSet)
    }

    private static func wait(_ descriptors: [Int32], nanoseconds: Int64) -> Set<Int32> {
        var polls = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard lab_poll(&polls, Int32(polls.count), max(nanoseconds, 0)) > 0 else { return [] }
        return Set(polls.filter { $0.revents != 0 }.map(\.fd))
    }

    private mutating func sendEcho() {
        let bytes = Frames.echoRequest(identifier: identifier, number: echoes.next, isIPv6: question.isIPv6)
        echoes.send(at: lab_wall_clock())
        // A question that cannot be sent, for want of a route or of room, is one without an answer.
        if question.isIPv6 {
            _ = lab_send_echo6(echoSocket.number, question.target, bytes, Int32(bytes.count))
        } else {
            let target = question.target.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
            _ = lab_send_echo(echoSocket.number, target, bytes, Int32(bytes.count))
        }
    }

    private mutating func sendWhoHas() {
        let frame = question.frame(hardware: hardware)
        ownership.ask(at: lab_wall_clock())
        _ = lab_send_frame(ownerSocket.number, bridgeIndex, question.type, frame, Int32(frame.count))
    }

    private mutating func receiveEchoes(_ tell: (ProbeEvent) throws -> Void) throws {
        var buffer = [UInt8](repeating: 0, count: 2048)
        var time: Int64 = 0
        while true {
            let count = lab_receive(echoSocket.number, &buffer, Int32(buffer.count), &time)
            if count < 0 { return }
            let packet = buffer[..<Int(count)]
            let reply =
                question.isIPv6
                ? Frames.echoReplyIPv6(packet, identifier: identifier)
                : Frames.echoReply(packet, identifier: identifier, from: question.target)
            guard let number = reply else { continue }
            let before = echoes.lastAnswer
            guard echoes.answer(number, at: time), isSilent else { continue }
            isSilent = false
            let gap = before.map { Double(time - $0) / 1_000_000 }
            try tell(ProbeEvent(event: .answering, at: time, gapMilliseconds: gap))
        }
    }

    private mutating func receiveAnswers(_ tell: (ProbeEvent) throws -> Void) throws {
        var buffer = [UInt8](repeating: 0, count: 2048)
        var time: Int64 = 0
        while true {
            let count = lab_receive(ownerSocket.number, &buffer, Int32(buffer.count), &time)
            if count < 0 { return }
            guard let owner = question.owner(in: buffer[..<Int(count)]) else { continue }
            let name = Topology.homelab.owner(ofHardwareAddress: owner)
            if ownership.answer(from: owner, node: name, at: time) {
                try tell(ProbeEvent(event: .owner, at: time, node: name ?? owner))
            }
        }
    }

    private func result(milliseconds: Double, clockWasSet: Bool) -> ProbeResult {
        let gaps = echoes.gaps(until: lab_wall_clock())
        let trips = echoes.roundTrips
        return ProbeResult(
            address: address, from: node.name, durationMilliseconds: milliseconds, sent: echoes.sent.count,
            answered: echoes.answeredCount, gaps: gaps, longestGapMilliseconds: gaps.map(\.milliseconds).max() ?? 0,
            owners: ownership.all, ownersAtOnce: ownership.ownersAtOnce,
            medianRoundTripMicroseconds: trips.isEmpty ? 0 : Double(trips[trips.count / 2]) / 1000,
            ownPauseMilliseconds: Double(echoes.longestPause) / 1_000_000, clockWasSet: clockWasSet)
    }
}
