// The loss of a host with virtual machines, measured: when their starts were issued elsewhere, when each answered again, and
// whether any disk had two writers. The times are those of the machine all of this runs on, so they compare.

import CKernel
import FoundationEssentials
import Glibc

/// What `holdfast vm list -o json` says, as far as the laboratory reads it.
struct GuestStatus: Codable, Equatable {
    var name: String
    var host: String?
    /// running, stopped, absent, stuck.
    var state: String?
    var epoch: UInt64
    var obstacle: String?

    var isRunning: Bool { state == "running" }
}

/// What became of one guest, in milliseconds since its host was lost.
struct GuestReturn: Codable, Equatable {
    var guest: String
    var host: String
    /// When the request to start it reached the other host's Proxmox.
    var startIssued: Double
    /// When a client had an answer from it again.
    var answered: Double
}

extension HoldfastClient {
    func guests() throws -> [GuestStatus] {
        let result = try run(["vm", "list", "-o", "json"])
        guard result.succeeded else { return [] }
        do { return try JSONDecoder().decode([GuestStatus].self, from: Data(result.output.utf8)) } catch {
            throw LabError("holdfast vm list -o json: not what was agreed on: \(error)")
        }
    }

    /// Waits until `condition` holds for the virtual machines.
    @discardableResult
    func waitForGuests(
        _ expectation: String, seconds: Int, _ condition: ([GuestStatus]) -> Bool
    ) throws -> [GuestStatus] {
        let deadline = Deadline.after(milliseconds: seconds * 1000)
        var last: [GuestStatus] = []
        repeat {
            last = try guests()
            if condition(last) { return last }
            _ = waitReadable([], until: .after(milliseconds: 100))
        } while !deadline.hasPassed
        throw LabError.timedOut("\(expectation) did not happen within \(seconds) s; last seen: \(try jsonLine(last))")
    }

    /// Waits until all of them run.
    @discardableResult
    func waitUntilGuestsRun(_ guests: [LabGuest], seconds: Int = 60) throws -> [GuestStatus] {
        try waitForGuests("\(guests.map(\.name).joined(separator: ", ")) running", seconds: seconds) { seen in
            guests.allSatisfy { guest in seen.contains { $0.name == guest.name && $0.isRunning } }
        }
    }
}

/// Takes a host away and follows its guests.
struct GuestLoss {
    /// How it is taken away.
    enum Means: String, Codable {
        case powerOff = "power-off"
        /// Nothing passes to or from it, and it goes on.
        case isolation
    }

    let client: KeeperClient
    let holdfast: HoldfastClient
    let guests: [LabGuest]
    /// How long they may take before the measurement is given up.
    var patienceSeconds = 60

    /// The host of most of the guests, and those on it.
    func target() throws -> (host: Node, guests: [LabGuest]) {
        let seen = try holdfast.waitUntilGuestsRun(guests)
        let hosts = Topology.homelab.nodes.filter { $0.kind == .host }
        let counted = hosts.map { host in (host, guests.filter { guest in Self.isOn(host, guest, seen) }) }
        return try counted.max { $0.1.count < $1.1.count }.required("host with guests")
    }

    /// The guests that run on a host.
    func guests(on host: Node) throws -> [LabGuest] {
        let seen = try holdfast.waitUntilGuestsRun(guests)
        return guests.filter { Self.isOn(host, $0, seen) }
    }

    static func isOn(_ host: Node, _ guest: LabGuest, _ seen: [GuestStatus]) -> Bool {
        seen.contains { $0.name == guest.name && $0.host == host.name }
    }

    /// Takes `host` away and waits until its guests answer from elsewhere.
    func measure(_ host: Node, _ lost: [LabGuest], by means: Means = .powerOff) throws -> [GuestReturn] {
        let probes = try lost.map { guest in
            (guest, try ProbeInstrument(client, address: guest.address, from: "client", everyMilliseconds: 5))
        }
        for (guest, probe) in probes {
            try probe.wait(for: "\(guest.name) answering", milliseconds: 30_000) { $0.event == .answering }
        }
        let verb: Request.Verb = means == .powerOff ? .powerOff : .isolate
        let off = try client.ask(Request(verb, node: host.name)).at.required("time of the loss")
        let answers = try probes.map { guest, probe in
            let event = try probe.wait(
                for: "\(guest.name) answering again", milliseconds: patienceSeconds * 1_000
            ) { $0.event == .answering && $0.at > off }
            return (guest, event.at)
        }
        for (_, probe) in probes {
            if try probe.finish().clockWasSet {
                throw LabError("the wall clock was set meanwhile, so nothing was measured")
            }
        }
        let seen = try holdfast.waitForGuests("all of them running elsewhere", seconds: 30) { seen in
            lost.allSatisfy { guest in
                seen.contains { $0.name == guest.name && $0.isRunning && $0.host != host.name && $0.host != nil }
            }
        }
        return try answers.map { guest, at in
            let now = try (seen.first { $0.name == guest.name }?.host).required("host of \(guest.name)")
            let start = try Self.startIssued(of: guest, on: now, since: off, client.directory)
            return GuestReturn(
                guest: guest.name, host: now, startIssued: Double(start - off) / 1_000_000,
                answered: Double(at - off) / 1_000_000)
        }
    }

    /// When the first request to start a guest came since `time`, nanoseconds of the wall clock.
    static func startIssued(
        of guest: LabGuest, on host: String, since time: Int64, _ directory: LabDirectory
    ) throws -> Int64 {
        let path = directory.accessLog(of: host)
        guard let data = FileManager.default.contents(atPath: path) else { throw LabError("read \(path)") }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, words[1] == "POST", let milliseconds = Int64(words[0]),
                words[2].hasSuffix("/qemu/\(guest.vmid)/status/start"), (milliseconds + 1) * 1_000_000 > time
            else { continue }
            return max(milliseconds * 1_000_000, time)
        }
        throw LabError("\(path) has no start of \(guest.name)")
    }

    /// What the disk of each guest tells.
    func disks() throws -> [(guest: LabGuest, history: DiskHistory)] {
        try guests.map { guest in
            let path = client.directory.disk(of: guest.name)
            guard let data = FileManager.default.contents(atPath: path) else { throw LabError("read \(path)") }
            return (guest, DiskHistory(String(decoding: data, as: UTF8.self)))
        }
    }

    /// A table for people.
    static func table(_ returns: [GuestReturn]) -> String {
        var table = Table(["GUEST", "NOW ON", "START ISSUED AFTER", "ANSWERS AFTER"])
        for entry in returns {
            table.add([
                entry.guest, entry.host, ProbeReport.milliseconds(entry.startIssued),
                ProbeReport.milliseconds(entry.answered),
            ])
        }
        return table.text + "\n"
    }
}

extension GuestLoss {
    /// Guests that both hosts' Proxmox say to run.
    func runningTwice() throws -> [String] {
        let program = try Hypervisor.program(beside: holdfast.binary)
        let running = try Hypervisor.all(in: client.directory, program: program).flatMap { try $0.running() }
        return guests.filter { guest in running.filter { $0 == guest.vmid }.count > 1 }.map(\.name)
    }
}

extension HoldfastClient {
    private struct HostStatus: Decodable {
        var name: String
        var fence: String
        var guarded: Bool
    }

    /// Waits until every host may run guests again.
    func waitUntilNothingIsFenced(seconds: Int = 60) throws {
        let known = Topology.homelab.nodes.filter { $0.kind == .host }
        try waitForHosts("the fences being lifted", seconds: seconds) { hosts in
            known.allSatisfy { node in hosts.contains { $0.name == node.name && $0.fence == "none" } }
        }
    }

    /// Waits until the cluster knows that the watchdog of `host` is armed.
    func waitUntilGuarded(_ host: Node, seconds: Int = 60) throws {
        try waitForHosts("the watchdog of \(host.name) being armed", seconds: seconds) { hosts in
            hosts.contains { $0.name == host.name && $0.guarded }
        }
    }

    private func waitForHosts(
        _ expectation: String, seconds: Int, _ condition: ([HostStatus]) -> Bool
    ) throws {
        let deadline = Deadline.after(milliseconds: seconds * 1000)
        var seen = "no peer answered"
        repeat {
            let result = try run(["host", "list", "-o", "json"])
            if result.succeeded {
                let hosts: [HostStatus]
                do { hosts = try JSONDecoder().decode([HostStatus].self, from: Data(result.output.utf8)) } catch {
                    throw LabError("holdfast host list -o json: not what was agreed on: \(error)")
                }
                if condition(hosts) { return }
                seen = hosts.map { "\($0.name): fence \($0.fence)\($0.guarded ? ", watchdog armed" : "")" }
                    .joined(separator: "; ")
            }
            _ = waitReadable([], until: .after(milliseconds: 100))
        } while !deadline.hasPassed
        throw LabError.timedOut("\(expectation) did not happen within \(seconds) s; last seen: \(seen)")
    }
}
