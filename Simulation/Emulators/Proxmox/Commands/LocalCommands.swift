// The commands a host's own programs need of Proxmox: pvecm, qm and pct, with the output and the exit codes of the real
// ones as far as they were recorded. They act as root and are not asked for privileges.

/// What a command printed and how it ended.
public struct CommandOutcome: Hashable, Sendable {
    public var code: Int32
    public var output: String
    public var errors: String

    public init(code: Int32 = 0, output: String = "", errors: String = "") {
        self.code = code
        self.output = output
        self.errors = errors
    }
}

/// A command's way: done, or done when a task has ended.
public enum CommandProgress: Hashable, Sendable {
    case done(CommandOutcome)
    case waits(UPID)
}

extension Host {
    /// Runs one of Proxmox's commands.
    /// - Parameter words: the program's name and its arguments.
    public mutating func command(_ words: [String]) -> CommandProgress {
        do throws(APIError) {
            switch words.first {
            case "pvecm": return .done(try pvecm(Array(words.dropFirst())))
            case "qm": return try guestCommand(.qemu, Array(words.dropFirst()))
            case "pct": return try guestCommand(.lxc, Array(words.dropFirst()))
            case "mv": return .done(try move(Array(words.dropFirst())))
            default:
                return .done(CommandOutcome(code: 127, errors: "\(words.first ?? ""): command not found\n"))
            }
        } catch {
            let detail = error.errors.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\n" }.joined()
            let code: Int32 = error.status == 400 || error.reason.hasPrefix("unable to open file") ? 2 : 255
            return .done(
                CommandOutcome(
                    code: error.reason.hasPrefix("mv:") ? 1 : code,
                    errors: detail.isEmpty ? "\(error.reason)\n" : "400 Parameter verification failed.\n\(detail)"))
        }
    }

    /// What a command prints when its task has ended.
    public func outcome(of upid: UPID) -> CommandOutcome? {
        guard let task = tasks[upid], let status = task.exitStatus else { return nil }
        let lines = task.lines.dropLast().map { $0 + "\n" }.joined()
        guard status != "OK" else { return CommandOutcome(output: lines) }
        return CommandOutcome(
            code: status.hasPrefix("unable to open file") ? 2 : 255, output: lines, errors: "\(status)\n")
    }

    /// Asks an endpoint as root.
    private mutating func ask(_ method: String, _ path: String, _ parameters: [String: JSON] = [:])
        throws(APIError) -> JSON
    {
        let verdict = try answerRoot(APIRequest(method: method, path: path, parameters: parameters, credentials: .none))
        guard case .answer(let response) = verdict else { throw .died("got timeout") }
        return response.body?["data"] ?? .null
    }

    // MARK: mv

    private mutating func move(_ words: [String]) throws(APIError) -> CommandOutcome {
        guard words.count == 2 else { throw .died("mv: missing file operand") }
        let prefix = "/etc/pve/"
        let from = words[0]
        var target = words[1]
        if target.hasSuffix("/") { target += String(from.split(separator: "/").last ?? "") }
        guard from.hasPrefix(prefix), target.hasPrefix(prefix) else {
            throw .died("mv: cannot move '\(from)': No such file or directory")
        }
        do throws(APIError) {
            try rename(String(from.dropFirst(prefix.count)), to: String(target.dropFirst(prefix.count)))
        } catch { throw .died("mv: cannot move '\(from)' to '\(target)': \(error.reason)") }
        return CommandOutcome()
    }

    // MARK: pvecm

    private mutating func pvecm(_ words: [String]) throws(APIError) -> CommandOutcome {
        switch words.first {
        case "expected":
            guard words.count > 1, let votes = Int(words[1]), votes > 0 else {
                throw .parameters(["expected": "type check ('integer') failed - got '\(words.last ?? "")'"])
            }
            try expectVotes(votes)
            return CommandOutcome()
        case "status":
            return CommandOutcome(code: membership.isQuorate ? 0 : 2, output: quorumText)
        case "nodes": return CommandOutcome(output: membersText)
        default: return CommandOutcome(code: 255, errors: "ERROR: unknown command 'pvecm \(words.first ?? "")'\n")
        }
    }

    private var quorumText: String {
        let isQuorate = membership.isQuorate
        let ring = "\(settings.node.id).\(files.version)"
        var lines = [
            "Cluster information", "-------------------", "Name:             \(settings.clusterName)",
            "Config Version:   \(settings.nodes.count)", "Transport:        knet", "Secure auth:      on", "",
            "Quorum information", "------------------", "Date:             \(now.longText)",
            "Quorum provider:  corosync_votequorum", "Nodes:            \(membership.onlineNodes.count)",
            "Node ID:          0x\(hex(settings.node.id))", "Ring ID:          \(ring)",
            "Quorate:          \(isQuorate ? "Yes" : "No")", "", "Votequorum information", "----------------------",
            "Expected votes:   \(membership.expectedVotes)", "Highest expected: \(membership.expectedVotes)",
            "Total votes:      \(membership.totalVotes(now: now))",
            "Quorum:           \(membership.quorum) \(isQuorate ? " " : "Activity blocked")",
            "Flags:            \(isQuorate ? "Quorate " : "")\(settings.hasQDevice ? "Qdevice " : "")", "",
        ]
        lines += membersText.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        return "\n" + lines.joined(separator: "\n")
    }

    private var membersText: String {
        let hasDevice = settings.hasQDevice
        let flags = membership.qdeviceHolds(now: now) ? "A,V,NMW" : "A,NV,NMW"
        var lines = [
            "Membership information", "----------------------",
            hasDevice ? "    Nodeid      Votes    Qdevice Name" : "    Nodeid      Votes Name",
        ]
        for node in membership.onlineNodes {
            let device = hasDevice ? "    \(flags)" : ""
            lines.append(
                "0x\(hex(node.id))          \(node.votes)\(device) \(node.address)\(node.name == name ? " (local)" : "")"
            )
        }
        if hasDevice {
            lines.append("0x00000000          \(membership.qdeviceHolds(now: now) ? 1 : 0)            Qdevice")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func hex(_ value: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    // MARK: qm and pct

    private mutating func guestCommand(_ kind: GuestKind, _ words: [String]) throws(APIError) -> CommandProgress {
        let program = kind == .qemu ? "qm" : "pct"
        if words.first == "list" { return .done(CommandOutcome(output: listText(kind))) }
        guard words.count > 1, let vmid = Int(words[1]) else {
            throw .died("400 not enough arguments\n\(program) \(words.first ?? "") <vmid>")
        }
        let guest = GuestID(kind, vmid)
        let base = "/nodes/\(name)/\(kind.rawValue)/\(vmid)"
        let options = Self.options(Array(words.dropFirst(2)))
        switch words[0] {
        case "status":
            _ = try configuration(of: guest)
            return .done(CommandOutcome(output: "status: \(running[guest] == nil ? "stopped" : "running")\n"))
        case "config":
            let configuration = try configuration(of: guest)
            let lines = configuration.settings.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\n" }
            return .done(CommandOutcome(output: lines.joined()))
        case "start", "stop", "shutdown", "reboot", "suspend", "resume", "reset":
            return try follow(try ask("POST", "\(base)/status/\(words[0])", options))
        case "set":
            let text = options.sorted { $0.key < $1.key }.map { "-\($0.key) \($0.value.text ?? "")" }
                .joined(separator: " ")
            do throws(APIError) { _ = try ask("PUT", "\(base)/config", options) } catch {
                return .done(
                    CommandOutcome(code: 2, output: "update \(guest): \(text)\n", errors: "\(error.reason)\n"))
            }
            return .done(CommandOutcome(output: "update \(guest): \(text)\n"))
        case "destroy": return try follow(try ask("DELETE", base, options))
        case "migrate":
            guard words.count > 2 else { throw .died("400 not enough arguments") }
            var given = Self.options(Array(words.dropFirst(3)))
            given["target"] = .string(words[2])
            return try follow(try ask("POST", "\(base)/migrate", given))
        case "unlock":
            var configuration = try configuration(of: guest)
            configuration["lock"] = nil
            try store(configuration, of: guest)
            return .done(CommandOutcome())
        case "showcmd":
            return .done(CommandOutcome(output: commandLine(guest, try configuration(of: guest)) + "\n"))
        default:
            return .done(CommandOutcome(code: 255, errors: "ERROR: unknown command '\(program) \(words[0])'\n"))
        }
    }

    private func follow(_ data: JSON) throws(APIError) -> CommandProgress {
        guard let upid = data.string.flatMap(UPID.init) else { return .done(CommandOutcome()) }
        return .waits(upid)
    }

    /// "--memory 100 --skiplock 1" as parameters; an option alone is switched on.
    private static func options(_ words: [String]) -> [String: JSON] {
        var found: [String: JSON] = [:]
        var position = 0
        while position < words.count {
            let key = String(words[position].drop { $0 == "-" })
            let next = position + 1 < words.count ? words[position + 1] : nil
            if let next, !next.hasPrefix("-") {
                found[key] = .string(next)
                position += 2
            } else {
                found[key] = "1"
                position += 1
            }
        }
        return found
    }

    private func commandLine(_ guest: GuestID, _ configuration: GuestConfiguration) -> String {
        let chardev = "-chardev 'socket,id=qmp,path=/var/run/qemu-server/\(guest.vmid).qmp,server=on,wait=off'"
        return "/usr/bin/kvm -id \(guest.vmid) -name '\(displayName(guest, configuration)),debug-threads=on' "
            + "-no-shutdown \(chardev) -mon 'chardev=qmp,mode=control'"
    }

    private func listText(_ kind: GuestKind) -> String {
        let guests = ownGuests().filter { $0.kind == kind }
        guard !guests.isEmpty else { return "" }
        func left(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        if kind == .lxc {
            return "VMID       Status     Lock         Name                \n"
                + guests.map { guest in
                    let configuration = (try? configuration(of: guest)) ?? GuestConfiguration()
                    return left("\(guest.vmid)", 10) + " " + left(running[guest] == nil ? "stopped" : "running", 10)
                        + " " + left(configuration.lock ?? "", 12) + " " + left(displayName(guest, configuration), 20)
                        + "\n"
                }.joined()
        }
        var text = "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       \n"
        for guest in guests {
            let configuration = (try? configuration(of: guest)) ?? GuestConfiguration()
            let disk = Double(bootDiskSize(configuration, .qemu)) / 1_073_741_824
            let hundredths = Int((disk * 100).rounded())
            let size = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
            text += right("\(guest.vmid)", 10) + " " + left(displayName(guest, configuration), 20) + " "
            text += left(running[guest] == nil ? "stopped" : "running", 10) + " "
            text += left("\(memoryBytes(configuration) >> 20)", 10) + " " + right(size, 12) + " "
            text += left("\(running[guest]?.pid ?? 0)", 10) + "\n"
        }
        return text
    }
}
