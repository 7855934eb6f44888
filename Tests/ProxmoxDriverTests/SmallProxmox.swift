// A Proxmox host of a few lines: guests whose configurations are files in a folder, tasks that end at once, and faults a
// test asks for. What the driver makes of Proxmox's many ways is tested against the emulator.

import Cluster
import Consensus
import Glibc
import Logging
import Synchronization
import Testing

@testable import ProxmoxDriver

final class SmallProxmox: Sendable {
    struct State {
        var running: Set<Int> = []
        var isQuorate = true
        /// The other hosts of its cluster, as it knows them; none is there.
        var others = ["pve2"]
        /// Quorum comes with the command `pvecm expected`.
        var locks: [Int: String] = [:]
        /// How the last move ended that began here; nil: there was none.
        var lastMove: String?
        /// The log of its task.
        var lastMoveLog = ["starting migration of VM 120 to node 'pve2' (10.0.0.2)"]
        static let moveTask = "UPID:pve1:00000009:00000009:6B0432A8:qmigrate:120:root@pam:"
        var standstill: [Int: String] = [:]
        var managed: [Int] = []
        /// How the next tasks end, first come first served; then `OK`.
        var verdicts: [String] = []
        /// Task ends by identifier; nil while it runs.
        var ends: [String: String?] = [:]
        var lastTask: UInt32 = 0
        /// Paths (with method) that are answered so, once.
        var faults: [(line: String, answer: ScriptedAnswer)] = []
        /// Starts that stay under way until they are cancelled.
        var hangsAtStart = false
        var isDead = false
        /// Whether the agents inside machines answer.
        var agentsAnswer = false
        /// Done before the guests are listed, until it says that it has been.
        var beforeList: (@Sendable () -> Bool)?
    }
    let folder = TestFolder()
    private let state = Mutex(State())
    let server: ScriptedServer

    init() async throws {
        let box = Box()
        server = try await ScriptedServer { box.proxmox?.answer($0) ?? .close }
        for node in ["pve1", "pve2"] {
            for kind in GuestNumber.Kind.allCases {
                _ = folder.write("pve/nodes/\(node)/\(kind.configurationFolder)/.keep", "")
            }
        }
        _ = folder.write("proc/1/cmdline", "/sbin/init")
        box.proxmox = self
    }

    private final class Box: @unchecked Sendable { weak var proxmox: SmallProxmox? }

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
    func read<Result: Sendable>(_ body: (State) -> Result) -> Result { state.withLock { body($0) } }

    func put(_ number: Int, on node: String, _ lines: String) {
        _ = folder.write("pve/nodes/\(node)/qemu-server/\(number).conf", lines + "\n")
    }

    /// Settings of a driver for this host, with stand-ins for every program.
    func settings() throws -> ProxmoxSettings {
        var settings = ProxmoxSettings(node: NodeName("pve1")!, access: try server.client().access)
        settings.files = GuestFiles(folder: "\(folder.path)/pve")
        settings.machines = MachineProcesses(folder: "\(folder.path)/run", processes: "\(folder.path)/proc")
        settings.containers = ContainerProcesses(folder: "\(folder.path)/cgroup")
        let votes = folder.write(
            "pvecm",
            """
            #!/bin/sh
            echo "$@" >> \(folder.path)/votes
            if [ "$1" = status ]; then
              if grep -q expected \(folder.path)/votes; then echo 'Quorate: Yes'; else echo 'Quorate: No'; fi
              printf 'Expected votes: 2\\nTotal votes: 1\\nQuorum: 2\\n'
            fi
            """, mode: 0o700)
        settings.votes = QuorumTool(LocalProgram(votes, limit: .seconds(20)))
        let tool = folder.write("qm", "#!/bin/sh\necho \"$@\" >> \(folder.path)/unlocked\n", mode: 0o700)
        settings.machineTool = LocalProgram(tool, limit: .seconds(20))
        settings.lookInterval = .milliseconds(50)
        settings.lockPatience = .zero
        return settings
    }

    private func has(_ file: String, _ text: String) -> Bool {
        FileText.read("\(folder.path)/\(file)", most: 65_536)?.contains(text) ?? false
    }
    var wasUnlocked: Bool { has("unlocked", "unlock") }
    var votesWereLowered: Bool { has("votes", "expected 1") }

    // MARK: Answers

    private func answer(_ request: SeenRequest) -> ScriptedAnswer {
        state.withLock { state in
            if state.isDead { return .close }
            // Lowered votes bring the quorum.
            if votesWereLowered { state.isQuorate = true }
            if let fault = state.faults.firstIndex(where: { request.line.hasSuffix($0.line) }) {
                return state.faults.remove(at: fault).answer
            }
            return request.method == "GET" ? look(request, &state) : act(request, &state)
        }
    }

    private func numbers() -> [Int] {
        ((try? GuestFiles(folder: "\(folder.path)/pve").guests(on: NodeName("pve1")!)) ?? []).map(\.number)
    }

    private func settingsText(_ number: Int) -> String? {
        FileText.read("\(folder.path)/pve/nodes/pve1/qemu-server/\(number).conf", most: 65_536)
    }

    private func look(_ request: SeenRequest, _ state: inout State) -> ScriptedAnswer {
        let parts = request.path.split(separator: "/").map(String.init)
        switch request.path {
        case "/cluster/status":
            let whole = #"{"type":"cluster","name":"lab","quorate":\#(state.isQuorate ? 1 : 0)}"#
            let others = state.others.map { #",{"type":"node","name":"\#($0)","local":0,"online":0}"# }.joined()
            return .data(#"[\#(whole),{"type":"node","name":"pve1","local":1,"online":1}\#(others)]"#)
        case "/cluster/ha/resources":
            return .data(
                "[" + state.managed.map { #"{"sid":"vm:\#($0)","state":"started"}"# }.joined(separator: ",") + "]")
        case "/nodes/pve1/qemu":
            if state.beforeList?() == true { state.beforeList = nil }
            let list = numbers().map { number in
                let word = state.standstill[number].map { #","qmpstatus":"\#($0)""# } ?? ""
                let lock = state.locks[number].map { #","lock":"\#($0)""# } ?? ""
                let status = state.running.contains(number) ? "running" : "stopped"
                return #"{"vmid":\#(number),"name":"g\#(number)","status":"\#(status)"\#(word)\#(lock)}"#
            }
            return .data("[" + list.joined(separator: ",") + "]")
        case "/nodes/pve1/lxc": return .data("[]")
        case "/storage": return .data(#"[{"storage":"rbd","type":"rbd","pool":"vms","namespace":"home"}]"#)
        case "/nodes/pve1/status": return .data(#"{"memory":{"total":8589934592,"free":1},"cpuinfo":{"cpus":4}}"#)
        case "/nodes/pve1/storage":
            return .data(#"[{"storage":"rbd","type":"rbd","shared":1},{"storage":"local","type":"dir","shared":0}]"#)
        case "/nodes/pve1/tasks" where request.query.contains("typefilter=qmigrate"):
            return .data(
                state.lastMove.map { #"[{"upid":"\#(State.moveTask)","type":"qmigrate","status":"\#($0)"}]"# } ?? "[]")
        case "/nodes/pve1/tasks":
            let running = state.ends.filter { $0.value == nil }.keys.map { #"{"upid":"\#($0)","id":"x"}"# }
            return .data("[" + running.joined(separator: ",") + "]")
        default: break
        }
        if parts.count == 5, parts[2] == "tasks" {
            if parts[4] == "log", parts[3].contains("qmigrate") {
                return .data("[" + state.lastMoveLog.map { #"{"n":1,"t":"\#($0)"}"# }.joined(separator: ",") + "]")
            }
            guard parts[4] == "status" else { return .data("[]") }
            let identifier = parts[3].replacing("%3A", with: ":").replacing("%40", with: "@").replacing(
                "%21", with: "!")
            guard case .some(let end) = state.ends[identifier] else { return .answer(500, "no such task", "") }
            return .data(end.map { #"{"status":"stopped","exitstatus":"\#($0)"}"# } ?? #"{"status":"running"}"#)
        }
        guard parts.count >= 5, let number = Int(parts[3]), let text = settingsText(number) else {
            return .answer(500, "Configuration file 'nodes/pve1/qemu-server/x.conf' does not exist", "")
        }
        switch parts[4] {
        case "status":
            let lock = state.locks[number].map { #","lock":"\#($0)""# } ?? ""
            return .data(#"{"status":"\#(state.running.contains(number) ? "running" : "stopped")"\#(lock)}"#)
        case "config":
            let fields = GuestConfiguration(file: text, .machine).settings.pairs.map { #","\#($0.0)":"\#($0.1)""# }
            return .data("{\"digest\":\"d\"" + fields.joined() + "}")
        case "migrate": return .data(#"{"local_disks":[],"local_resources":[]}"#)
        default: return .data("[]")
        }
    }

    private func act(_ request: SeenRequest, _ state: inout State) -> ScriptedAnswer {
        let parts = request.path.split(separator: "/").map(String.init)
        if request.method == "DELETE", parts[2] == "tasks" {
            for (task, end) in state.ends where end == nil { state.ends[task] = "received interrupt" }
            return .data("null")
        }
        guard let number = parts.count > 3 ? Int(parts[3]) : 0 else { return .answer(501, "not implemented", "") }
        let work = parts.last ?? ""
        guard state.isQuorate || ["stop", "shutdown"].contains(work) else {
            return .answer(500, "cluster not ready - no quorum?", "")
        }
        if request.path.hasSuffix("/agent/ping") {
            return state.agentsAnswer ? .data("{}") : .answer(500, "QEMU guest agent is not running", "")
        }
        state.lastTask += 1
        let digits = String(state.lastTask, radix: 16, uppercase: true)
        let stamp = String(repeating: "0", count: 8 - digits.count) + digits
        let type =
            ["start": "qmstart", "stop": "qmstop", "shutdown": "qmshutdown", "migrate": "qmigrate"][work] ?? "qmconfig"
        let task = "UPID:pve1:\(stamp):\(stamp):6B0432A8:\(type):\(number):ops@pve!agent:"
        if work == "start", state.hangsAtStart {
            state.ends[task] = .some(nil)
            return .data("\"\(task)\"")
        }
        let verdict = state.verdicts.isEmpty ? "OK" : state.verdicts.removeFirst()
        state.ends[task] = verdict
        if verdict == "OK" {
            switch work {
            case "start": state.running.insert(number)
            case "stop", "shutdown": state.running.remove(number)
            case "migrate":
                let files = GuestFiles(folder: "\(folder.path)/pve")
                let guest = GuestNumber(.machine, number)!
                try? files.take(guest, from: NodeName("pve1")!, to: NodeName("pve2")!)
            default: break
            }
        }
        return .data("\"\(task)\"")
    }
}
