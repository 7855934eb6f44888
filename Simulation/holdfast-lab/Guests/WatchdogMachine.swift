// A host's watchdog in the lab: the socket of Proxmox's watchdog-mux, and a reset of the machine when nobody feeds it.
// WatchdogModel says when; the keeper does it, as a power cut and the power's return. Starts and ends with its host.

import ArgumentParser
import CKernel
import Glibc

/// What the keeper starts in a host that has a watchdog. Not for people.
struct WatchdogMachine: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "watchdog", shouldDisplay: false)
    @OptionGroup var lab: LabOptions
    @Option(help: "From the last word of a client that hangs to the reset, 11 to 3600.") var seconds = 70
    @Argument(help: "The host that is reset.") var node: String

    func validate() throws {
        guard (11...3_600).contains(seconds) else { throw ValidationError("--seconds: 11 to 3600") }
    }

    func run() throws {
        let listening = try LineSocket.listen(at: lab.directory.watchdogSocket(of: node))
        var model = WatchdogModel(seconds: seconds)
        var clients: [Int32: Descriptor] = [:]
        while true {
            let now = lab_boot_clock()
            model.look(at: now)
            if let at = model.resetsAt, at <= now { return try reset() }
            let deadline = model.nextLook.map(Deadline.init(nanoseconds:)) ?? .after(milliseconds: 60_000)
            let ready = waitReadable([listening.number] + clients.keys.sorted(), until: deadline)
            if ready.contains(listening.number) {
                let client = try LineSocket.accept(from: listening)
                clients[client.number] = client
                model.connected(client.number, at: lab_boot_clock())
            }
            for client in ready.sorted() where client != listening.number {
                if let bytes = readAvailable(client) {
                    model.said(bytes, by: client, at: lab_boot_clock())
                } else {
                    model.ended(client, at: lab_boot_clock())
                    clients[client] = nil
                    note("a client has gone; \(model.resetsAt == nil ? "it took leave" : "\(node) will be reset")")
                }
            }
        }
    }

    private func reset() throws {
        note("\(node) is reset: nobody feeds its watchdog")
        // This process ends by that too, as everything in the machine does.
        try KeeperClient(lab.directory).ask(Request(.reset, node: node))
    }
}
