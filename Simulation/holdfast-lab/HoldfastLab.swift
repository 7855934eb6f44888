// The laboratory's command line: a whole home lab of real agents on this one machine, in namespaces of its own.
// DESIGN.md beside this file tells how it works. Exit codes are those of `holdfast`.

import ArgumentParser
import CKernel
import Glibc

@main
struct HoldfastLab: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-lab",
        abstract: "A whole home lab on this machine: two hosts with guests, a witness, a client and a switch.",
        subcommands: [
            Up.self, Down.self, Status.self, Exec.self, PowerOff.self, PowerOn.self, Cut.self, Isolate.self, Heal.self,
            Unplug.self, Plug.self, KillAgent.self, PauseAgent.self, ResumeAgent.self, StopAgent.self, StartAgent.self,
            ProbeCommand.self, Tour.self, Bench.self, KeeperCommand.self, WriterCommand.self, GuestMachine.self,
            FenceByPower.self, WatchdogMachine.self,
        ])

    static func main() {
        // A closed pipe is an error to report, not the end.
        signal(SIGPIPE, SIG_IGN)
        lab_write_by_lines()
        do {
            var words = Array(CommandLine.arguments.dropFirst())
            // Under that name the emulated Proxmox starts this program for each guest.
            if CommandLine.arguments.first?.split(separator: "/").last == "kvm" { words.insert("kvm", at: 0) }
            var command = try parseAsRoot(words)
            try command.run()
        } catch let error as LabError {
            note("holdfast-lab: \(error)")
            Glibc.exit(error.exitCode)
        } catch {
            exit(withError: error)
        }
    }
}
