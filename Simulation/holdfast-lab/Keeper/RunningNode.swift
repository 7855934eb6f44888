// A machine with power: the first process of its namespaces, and the agent inside. Killing the first process ends
// everything in the machine at once; the kernel sees to that.

import CKernel
import Glibc

/// The namespaces of one node that has power.
final class RunningNode {
    let firstProcess: pid_t
    let descriptor: Descriptor
    var agent: AgentProcess?
    /// The emulated Proxmox of a host.
    var hypervisor: AgentProcess?
    /// What takes the part of a host's watchdog.
    var watchdog: AgentProcess?

    /// Switches the power on: new, empty namespaces.
    init(name: String) throws {
        var stage: UnsafePointer<CChar>?
        let result = lab_start_node(name, &stage)
        guard result >= 0 else {
            throw LabError.kernel("start \(name): \(stage.map { String(cString: $0) } ?? "clone")", result)
        }
        firstProcess = result
        descriptor = try Descriptor(checking: lab_process_descriptor(result), "watch \(name)")
    }

    /// Takes the power away. The kernel kills every process inside; collecting them is the keeper's work.
    func kill() { _ = lab_signal(descriptor.number, SIGKILL) }
}

/// The long-running program of a node: a cluster agent, or whatever is measured in its place.
final class AgentProcess {
    enum State: Equatable, CustomStringConvertible {
        case running
        case paused
        case ended(Ending)

        var description: String {
            switch self {
            case .running: "running"
            case .paused: "paused"
            case .ended(let ending): "\(ending)"
            }
        }
    }

    let child: ChildProcess
    private var isPaused = false

    init(_ child: ChildProcess) { self.child = child }

    var state: State {
        if let ending = child.poll() { return .ended(ending) }
        return isPaused ? .paused : .running
    }

    func pause() {
        child.signalGroup(SIGSTOP)
        isPaused = true
    }

    func resume() {
        child.signalGroup(SIGCONT)
        isPaused = false
    }
}
