// The QEMU processes of this host, found without Proxmox: a machine keeps running when its configuration has gone to
// another host, and `qm list` does not show it then. Also ends them. Only looks at processes that say they are machine
// number N.

import Consensus
import Glibc

/// A machine that runs here, whatever Proxmox knows of it.
public struct MachineProcess: Hashable, Sendable {
    public let guest: GuestNumber
    public let process: Int32
    /// When it began, in clock ticks since the start of the system: tells it from a later process with its number.
    public let started: UInt64
}

/// Where processes are looked for.
public struct MachineProcesses: Hashable, Sendable {
    /// `/run/qemu-server`, with a file `N.pid` for each machine.
    public var folder: String
    /// `/proc`.
    public var processes: String

    public init(folder: String = "/run/qemu-server", processes: String = "/proc") {
        self.folder = folder
        self.processes = processes
    }

    /// The machines that the folder's files name and that run. Cheap: a few files for each.
    public func running() -> [MachineProcess] {
        names(in: folder).compactMap { name in
            guard name.hasSuffix(".pid"), let number = Int(name.dropLast(4)), let guest = GuestNumber(.machine, number),
                let text = FileText.read("\(folder)/\(name)", most: 32),
                let process = Int32(text.filter { !$0.isWhitespace })
            else { return nil }
            return machine(process, guest)
        }.sorted { $0.guest < $1.guest }
    }

    /// Every process that says it is a machine, with a file or without. Looks at each process of the host.
    public func runningAnywhere() -> [MachineProcess] {
        names(in: processes).compactMap { name in
            guard let process = Int32(name), let number = number(of: process),
                let guest = GuestNumber(.machine, number)
            else { return nil }
            return machine(process, guest)
        }.sorted { ($0.guest, $0.process) < ($1.guest, $1.process) }
    }

    /// Whether that very process is still there.
    public func isRunning(_ machine: MachineProcess) -> Bool { started(machine.process) == machine.started }

    /// Kills a machine at once and waits until it is gone: its process cannot write a disk any more.
    /// - Returns: false when it is still there after `limit`; a process that hangs in the kernel on a dead storage
    ///   cannot be ended before its storage answers.
    public func kill(_ machine: MachineProcess, limit: Interval) async -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: .nanoseconds(limit.nanoseconds))
        while isRunning(machine) {
            // Asked anew just before, so that no other process gets what was meant for this one.
            if number(of: machine.process) == machine.guest.number { _ = Glibc.kill(machine.process, SIGKILL) }
            guard clock.now < deadline else { return false }
            do { try await Task.sleep(for: .milliseconds(20), clock: clock) } catch { return !isRunning(machine) }
        }
        return true
    }

    private func machine(_ process: Int32, _ guest: GuestNumber) -> MachineProcess? {
        // The file may be left over, and the number of the process taken by another.
        guard number(of: process) == guest.number, let started = started(process) else { return nil }
        return MachineProcess(guest: guest, process: process, started: started)
    }

    /// The number behind `-id` on the command line of a process of QEMU; nil when it is none, or has ended.
    private func number(of process: Int32) -> Int? {
        guard let line = FileText.read("\(processes)/\(process)/cmdline", most: 65_536), !line.isEmpty else {
            return nil
        }
        let words = line.split(separator: "\0", omittingEmptySubsequences: false)
        guard let program = words.first?.split(separator: "/").last,
            program == "kvm" || program.hasPrefix("qemu-system-"),
            let place = words.firstIndex(of: "-id"), place + 1 < words.count
        else { return nil }
        return Int(words[place + 1])
    }

    /// Field 22 of `stat`; nil when there is no such process, or only its remains (a zombie writes nothing).
    private func started(_ process: Int32) -> UInt64? {
        guard let line = FileText.read("\(processes)/\(process)/stat", most: 4_096),
            // The name of the program stands in parentheses and may hold anything.
            let end = line.lastIndex(of: ")")
        else { return nil }
        let fields = line[line.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }

    private func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            found.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return found
    }
}
