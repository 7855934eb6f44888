// The commands about the lab as a whole: up, down, status, exec.

import ArgumentParser
import FoundationEssentials
import Glibc

struct Up: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Build the lab and start an agent on every member.")
    @OptionGroup var lab: LabOptions
    @OptionGroup var program: HoldfastOptions
    @Flag(help: "Machines and wires only, no agents.") var networkOnly = false

    func run() throws {
        let binary = networkOnly ? nil : try program.binary()
        let client = try LabLauncher.start(lab.directory)
        guard let binary else {
            print("The lab is up in \(lab.directory.path), without agents.")
            return
        }
        do { try Bootstrap(client: client, binary: binary).run { print($0) } } catch {
            note("The lab stays up for you to look at; logs are in \(lab.directory.path)/nodes/*/agent.log")
            throw error
        }
        print("The lab is up in \(lab.directory.path). Try: holdfast-lab exec client -- holdfast status")
    }
}

struct Down: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End the lab and remove its folder.")
    @OptionGroup var lab: LabOptions
    @Flag(help: "Leave data and logs; the next `up` goes on from there.") var keep = false

    func run() throws {
        if let client = try KeeperClient.find(lab.directory) { try client.end() }
        if !keep { try lab.directory.remove() }
        print("The lab is down.")
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "What is on, plugged in, cut off and running.")
    @OptionGroup var lab: LabOptions
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let status = try KeeperClient(lab.directory).status()
        if json {
            print(try jsonLine(status))
            return
        }
        var table = Table(["NODE", "KIND", "HOST", "ADDRESS", "POWER", "CABLE", "AGENT"])
        for node in status.nodes {
            let cable = node.plugged ? (node.isolated ? "isolated" : "in") : "out"
            table.add([
                node.name, node.kind, node.host ?? "-", node.address, node.powered ? "on" : "off", cable, node.agent,
            ])
        }
        print(table.text)
        for cut in status.cuts { print("cut: \(cut)") }
    }
}

struct Exec: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command inside a node, or inside the switch: exec pve1 -- ip addr")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    @Argument(parsing: .postTerminator, help: "The command, after --.") var command: [String] = []

    func run() throws {
        guard !command.isEmpty else { throw LabError("exec \(node): no command given; write: exec \(node) -- ip addr") }
        let client = try KeeperClient(lab.directory)
        setenv("HOLDFAST_CONFIG", lab.directory.context, 1)
        // `holdfast` lies beside this program.
        setenv("PATH", "\(try Executables.ownFolder()):\(environment("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin")", 1)
        let arguments = try client.inside(node, command)
        ChildProcess.withStrings(arguments) { list in _ = execv(arguments[0], list) }
        throw LabError("exec \(command.joined(separator: " ")) in \(node): \(errorText(errno))")
    }
}

/// One line of JSON with sorted keys.
func jsonLine(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

/// Text in columns.
struct Table {
    private var rows: [[String]]

    init(_ titles: [String]) { rows = [titles] }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }
}
