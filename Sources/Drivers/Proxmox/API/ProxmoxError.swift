// What goes wrong between this agent and Proxmox, said so that a person knows what to do next and the code knows whether
// anything may have happened. The causes are read out of Proxmox's own words, which are what it has instead of codes:
// nearly everything is status 500 with a sentence, and what fails later is a sentence at the end of a task.

import Consensus
import Cluster

/// Why an operation did not succeed.
public struct ProxmoxError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Cause: Hashable, Sendable {
        /// No connection could be made: nothing was sent.
        case unreachable
        /// The server is not who it has to be: nothing was sent.
        case untrusted
        /// The token is unknown, wrong or expired.
        case unauthorized
        /// The token lacks a privilege: on what, and which.
        case missingPrivilege(path: String, privilege: String)
        /// The token may not, and Proxmox does not say what it lacks; also what only root may do.
        case forbidden
        /// Parameters Proxmox does not accept.
        case invalid
        /// The Proxmox cluster has no quorum; its configuration cannot be written.
        case noQuorum
        /// Something holds the guest's lock: what, as Proxmox calls it, or "file" for the lock of the moment.
        case locked(by: String)
        /// Someone edited the configuration in between.
        case changedMeanwhile
        /// There is no such guest here.
        case absent
        /// The number of the guest is in use.
        case taken
        /// The storage does not exist, is not there, or is full.
        case storage
        /// Proxmox passed the request on to a host that does not answer (595, 596).
        case peerUnreachable
        /// This version of Proxmox does not know the request.
        case unsupported
        /// Proxmox's own high availability manages the guest.
        case managedByProxmox
        /// It may have happened or not. Look again before doing anything more.
        case unknownOutcome
        /// No answer in time to a question; nothing was changed by it.
        case timedOut
        /// The answer cannot be understood.
        case unreadable
        /// A task ran and failed, for a reason not listed here.
        case taskFailed
        /// Proxmox refused, for a reason not listed here.
        case refused
        /// This agent refused to ask for it.
        case unsafe
    }

    public var cause: Cause
    /// What was attempted, and on what: "start vm 120 on pve1".
    public var attempted: String
    /// The HTTP status, if there was an answer.
    public var status: Int?
    /// What Proxmox said, in its words; one line.
    public var reason: String
    /// What it said about single parameters.
    public var parameters: SortedMap<String, String>
    /// The last lines of the task's log, if a task failed.
    public var log: [String]

    public init(
        _ cause: Cause, attempted: String, status: Int? = nil, reason: String,
        parameters: SortedMap<String, String> = [:], log: [String] = []
    ) {
        self.cause = cause
        self.attempted = attempted
        self.status = status
        self.reason = reason
        self.parameters = parameters
        self.log = log
    }

    /// One line: what was attempted, what came of it, what to do.
    public var description: String {
        var line = "\(attempted): \(reason)"
        for (name, text) in parameters.pairs { line += "; \(name): \(Self.oneLine(text))" }
        if let last = log.last(where: { !$0.isEmpty && !$0.hasPrefix("TASK ") && $0 != reason }) {
            line += " (\(last))"
        }
        return line + "; \(advice)"
    }

    /// Whether something may have been changed although this failed.
    public var mayHaveHadEffect: Bool {
        switch cause {
        case .unknownOutcome, .taskFailed: true
        default: !log.isEmpty
        }
    }

    /// Whether the same may well succeed a little later, without anyone doing anything about it.
    public var isPassing: Bool {
        switch cause {
        case .unreachable, .noQuorum, .locked, .changedMeanwhile, .peerUnreachable, .unknownOutcome, .timedOut: true
        default: false
        }
    }

    /// What to do about it.
    public var advice: String {
        switch cause {
        case .unreachable: "see whether the host's API runs: systemctl status pveproxy pvedaemon"
        case .untrusted:
            "compare with: pvenode cert info; if the certificate was renewed, configure its new fingerprint"
        case .unauthorized: "check the token's name and secret: pveum user token list USER; make a new one if in doubt"
        case .missingPrivilege(let path, let privilege):
            "give the token the privilege: pveum acl modify \(path) --tokens 'TOKEN' --roles ROLE, "
                + "with a role that has \(privilege)"
        case .forbidden: "give the token the role of deploy/'s instructions; what only root may do is not asked for"
        case .invalid: "correct the declaration; if it was not declared, this is a fault of the agent's: report it"
        case .noQuorum: "see pvecm status; nothing is written before the Proxmox cluster has quorum again"
        case .locked(let holder):
            holder == "file"
                ? "another operation on the guest is running; it is tried again"
                : "wait for the \(holder) to end; if none is running, remove the lock as root: qm unlock or pct unlock"
        case .changedMeanwhile: "someone edited the guest at the same time; it is looked at again"
        case .absent: "look at qm list and pct list; the guest's configuration is not on this host"
        case .taken: "choose another vmid, or adopt the guest that has it: holdfast vm import"
        case .storage: "see pvesm status: the storage must exist, be active, and have space"
        case .peerUnreachable: "the other host does not answer; its own agent knows better"
        case .unsupported: "Proxmox VE 8.4 or newer is needed: pveversion"
        case .managedByProxmox:
            "take the guest out of Proxmox's HA first: ha-manager remove, or set its state to ignored"
        case .unknownOutcome: "it may have happened; the guest is looked at again before anything else is done"
        case .timedOut: "the host is busy or its storage hangs; it is asked again"
        case .unreadable: "something else answers on this port, or Proxmox is of an unknown version; see its log"
        case .taskFailed, .refused: "see the task's log in Proxmox"
        case .unsafe: "nothing was changed"
        }
    }

    /// Text of a server, on one line and of bounded length.
    static func oneLine(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.count <= 500 ? line : line.prefix(500) + "…"
    }
}

extension ProxmoxError.Cause {
    /// The cause behind a sentence of Proxmox, of an answer or of a task; nil when it is none of those known.
    /// The sentences are those of Proxmox VE 8.4 and 9.1.
    init?(sentence: String) {
        func says(_ part: String) -> Bool { sentence.contains(part) }
        if let found = Self.missingPrivilege(sentence) {
            self = found
        } else if says("no quorum") || says("cluster not ready") || says("not writable")
            || (says("/etc/pve/") && (says("Permission denied") || says("Device or resource busy")))
            || says("Device or resource busy") && says("qemu-server")
        {
            self = .noQuorum
        } else if says("can't lock file") || says("got lock request timeout") || says("got lock timeout")
            || says("cfs-lock")
        {
            self = .locked(by: "file")
        } else if let holder = Self.configurationLock(sentence) {
            self = .locked(by: holder)
        } else if says("checksum mismatch") || says("detected modified configuration") {
            self = .changedMeanwhile
        } else if says("already exists") || says("already used") {
            self = .taken
        } else if says("Configuration file") && says("does not exist") || says("unable to find configuration file") {
            self = .absent
        } else if says("No space left") || says("not enough free space")
            || says("storage") && Self.isStorageTrouble(sentence)
        {
            self = .storage
        } else if says("Only root may") || says("only root can") || says("Permission check failed") {
            self = .forbidden
        } else {
            return nil
        }
    }

    /// `Permission check failed (/vms/301, VM.PowerMgmt)`; of several privileges all are named.
    private static func missingPrivilege(_ sentence: String) -> Self? {
        guard let range = sentence.firstRange(of: "Permission check failed ("),
            let end = sentence[range.upperBound...].firstIndex(of: ")")
        else { return nil }
        let inside = sentence[range.upperBound..<end]
        guard let comma = inside.firstIndex(of: ",") else { return nil }
        let privilege = inside[inside.index(after: comma)...].drop { $0 == " " }
        return .missingPrivilege(path: String(inside[..<comma]), privilege: String(privilege))
    }

    /// `VM is locked (backup)`, `CT is locked (migrate)`.
    private static func configurationLock(_ sentence: String) -> String? {
        guard let range = sentence.firstRange(of: "is locked (") else { return nil }
        return String(sentence[range.upperBound...].prefix { $0 != ")" })
    }

    private static func isStorageTrouble(_ sentence: String) -> Bool {
        ["does not exist", "is not online", "is not available", "is disabled", "not active", "no such"].contains {
            sentence.contains($0)
        }
    }
}
