// The tour: a lab from nothing, the loss of the host that holds an address, its return, and the proof that nothing was
// lost. It leaves nothing behind when it went well; after a failure data and logs stay.

import ArgumentParser

struct Tour: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Build the lab, pull the plug of the host that holds an address, and show what it cost.")
    @OptionGroup var lab: LabOptions
    @OptionGroup var program: HoldfastOptions
    @Option(help: "The manifests to apply. Default: deploy/lab, here or above the program.") var manifests: String?
    @Option(help: "The longest silence of the address that is no broken promise.")
    var allowedGap = Span(milliseconds: 700)
    @Flag(help: "One JSON object per step; the last has the figures.") var json = false

    func run() throws {
        let binary = try program.binary()
        let folder = try Manifests.folder(manifests)
        let client = try LabLauncher.start(lab.directory, leashed: true)
        let result: TourResult
        do {
            let acts = TourActs(
                client: client, binary: binary, manifests: folder, story: Story(json: json),
                allowedGap: Double(allowedGap.nanoseconds) / 1_000_000)
            result = try acts.play()
            try client.end()
        } catch {
            // The failure that is told is the first one; a keeper that does not end says so in `down` as well.
            _ = try? client.end()
            note("Data and logs stay in \(lab.directory.path); remove them with: holdfast-lab down")
            throw error
        }
        guard result.passed else {
            note("Data and logs stay in \(lab.directory.path); remove them with: holdfast-lab down")
            throw ExitCode(1)
        }
        try lab.directory.remove()
    }
}

/// The acts in their order.
struct TourActs {
    let client: KeeperClient
    let binary: String
    let manifests: String
    let story: Story
    /// Milliseconds.
    let allowedGap: Double
    private static let address = "192.168.1.99"

    private var holdfast: HoldfastClient { HoldfastClient(client: client, binary: binary) }

    func play() throws -> TourResult {
        try build()
        let status = try declare()
        let before = try holdfast.holder(of: Self.address, in: status)
        let name = status.address(Self.address)?.name ?? ""
        let writer = try Writer(holdfast, prefix: "tour-")
        let probe = try ProbeInstrument(client, address: Self.address, from: "client")
        try probe.wait(for: "the first answer", milliseconds: 30_000) { $0.event == .answering }
        try writer.waitForWrites(5, seconds: 30)
        try story.tell(
            "disturbance", "A client pings \(Self.address) every 2 ms, and somebody writes values all the while.")
        let after = try loseHost(before, name: name, probe: probe, writer: writer)
        try returnHost(before.machine)
        try writer.waitForWrites(5, seconds: 30)
        try writer.finish()
        let seen = try probe.finish()
        let guests = try GuestActs(client: client, holdfast: holdfast, story: story).play()
        return try judge(seen, writer: writer, before: before.member.name, after: after, guests: guests)
    }

    private func build() throws {
        try story.tell(
            "up", "Two hosts, three guests, a witness and a client, on a network of their own:",
            command: "holdfast-lab up")
        try Bootstrap(client: client, binary: binary).run { line in
            if !story.json { print("  \(line)") }
        }
    }

    private func declare() throws -> ClusterStatus {
        let output = try holdfast.output(["apply", "-f", manifests])
        try story.tell(
            "apply", "What shall be true is declared:", command: "holdfast apply -f deploy/lab", output: output)
        let status = try holdfast.waitUntilWhole()
        try story.tell(
            "status", "Both addresses are held:", command: "holdfast status", output: try holdfast.output(["status"]))
        return status
    }

    /// Pulls the plug; answers the new holder's name.
    private func loseHost(
        _ before: (member: Node, machine: Node), name: String, probe: ProbeInstrument, writer: Writer
    ) throws -> String {
        let machine = before.machine.name
        let place = before.member == before.machine ? machine : "\(before.member.name), a guest of \(machine),"
        try client.ask(Request(.powerOff, node: machine))
        try story.tell(
            "power-off", "\(place) holds \(Self.address). The plug of \(machine) is pulled:",
            command: "holdfast-lab power-off \(machine)")
        let again = try probe.wait(for: "an answer after the power cut", milliseconds: 30_000) {
            $0.event == .answering
        }
        let status = try holdfast.wait(for: "a new holder of \(Self.address)", seconds: 30) { status in
            status.address(Self.address)?.holder.map { $0 != before.member.name } ?? false
        }
        let after = status.address(Self.address)?.holder ?? ""
        try story.tell(
            "recovered",
            "The client saw nothing for \(ProbeReport.milliseconds(again.gapMilliseconds ?? 0)); now \(after) answers. Why?",
            command: "holdfast why virtualip/\(name)", output: try holdfast.output(["why", "virtualip/\(name)"]))
        try writer.waitForWrites(5, seconds: 30)
        return after
    }

    private func returnHost(_ machine: Node) throws {
        try client.ask(Request(.powerOn, node: machine.name))
        try holdfast.waitUntilWhole()
        try story.tell(
            "power-on", "\(machine.name) gets its power back, and the lab is whole again:",
            command: "holdfast-lab power-on \(machine.name)", output: try holdfast.output(["status"]))
    }

    private func judge(
        _ seen: ProbeResult, writer: Writer, before: String, after: String, guests: GuestActs.Outcome
    ) throws -> TourResult {
        var lost: Set<String> = []
        for member in Topology.homelab.members { lost.formUnion(try writer.lost(on: member)) }
        try story.tell(
            "read-back", "Every acknowledged write is read back from every member:",
            command: "holdfast kv list tour- --endpoints …",
            output: "\(writer.acknowledged.count) acknowledged, \(lost.count) lost")
        var broken: [String] = []
        if !lost.isEmpty { broken.append("\(lost.count) acknowledged writes are lost, first \(lost.sorted()[0])") }
        if seen.ownersAtOnce > 1 { broken.append("\(seen.ownersAtOnce) owners answered at once for \(seen.address)") }
        if seen.longestGapMilliseconds > allowedGap {
            broken.append("the address was silent for \(ProbeReport.milliseconds(seen.longestGapMilliseconds))")
        }
        if seen.gaps.contains(where: { !$0.ended }) { broken.append("the address does not answer") }
        broken += guests.broken
        if seen.clockWasSet { broken.append("the wall clock was set meanwhile, so nothing was measured") }
        let result = TourResult(
            passed: broken.isEmpty, broken: broken, gapMilliseconds: seen.longestGapMilliseconds,
            allowedGapMilliseconds: allowedGap, ownersAtOnce: seen.ownersAtOnce,
            acknowledgedWrites: writer.acknowledged.count, attemptedWrites: writer.attempted, lostWrites: lost.count,
            holderBefore: before, holderAfter: after, guests: guests.returns,
            disksWithTwoWriters: guests.disksWithTwoWriters)
        try story.end(result)
        return result
    }
}
