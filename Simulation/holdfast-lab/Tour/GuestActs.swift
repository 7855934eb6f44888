// The tour's second half: a host with virtual machines dies, they come back on the other one, and their disks prove that
// each was written by one machine at a time.

/// The acts about virtual machines.
struct GuestActs {
    let client: KeeperClient
    let holdfast: HoldfastClient
    let story: Story

    struct Outcome {
        var returns: [GuestReturn]
        var disksWithTwoWriters: [String]
        var broken: [String]
    }

    func play() throws -> Outcome {
        let loss = GuestLoss(client: client, holdfast: holdfast, guests: LabGuest.all)
        let (host, lost) = try loss.target()
        try story.tell(
            "guests", "\(LabGuest.all.count) virtual machines run, in an emulated Proxmox on each host:",
            command: "holdfast vm list", output: try holdfast.output(["vm", "list"]))
        let returns = try loss.measure(host, lost)
        try story.tell(
            "guests-power-off", "The plug of \(host.name) is pulled. Its virtual machines come back:",
            command: "holdfast-lab power-off \(host.name)", output: GuestLoss.table(returns))
        try story.tell(
            "guests-why", "What made it right to start them?",
            command: "holdfast why virtualmachine/\(lost[0].name)",
            output: try holdfast.output(["why", "virtualmachine/\(lost[0].name)"]))
        try client.ask(Request(.powerOn, node: host.name))
        try holdfast.waitUntilWhole()
        try holdfast.waitUntilNothingIsFenced()
        try story.tell(
            "guests-power-on",
            "\(host.name) gets its power back, finds its virtual machines placed elsewhere, and leaves them alone:",
            command: "holdfast vm list", output: try holdfast.output(["vm", "list"]))
        return try judge(loss, returns)
    }

    private func judge(_ loss: GuestLoss, _ returns: [GuestReturn]) throws -> Outcome {
        var outcome = Outcome(returns: returns, disksWithTwoWriters: [], broken: [])
        var table = Table(["DISK", "WRITTEN BY", "WRITES", "INTRUSIONS"])
        for (guest, history) in try loss.disks() {
            table.add([
                guest.name, history.writers.map(\.host).joined(separator: ", then "),
                "\(history.writers.reduce(0) { $0 + $1.writes })", "\(history.intrusions)",
            ])
            if !history.hadOneWriterAtATime { outcome.disksWithTwoWriters.append(guest.name) }
        }
        try story.tell("guests-disks", "Who wrote to their disks, read off the disks:", output: table.text + "\n")
        let running = try loss.runningTwice()
        if !outcome.disksWithTwoWriters.isEmpty {
            outcome.broken.append("two writers at once on \(outcome.disksWithTwoWriters.joined(separator: ", "))")
        }
        if !running.isEmpty { outcome.broken.append("\(running.joined(separator: ", ")) ran twice") }
        return outcome
    }
}
