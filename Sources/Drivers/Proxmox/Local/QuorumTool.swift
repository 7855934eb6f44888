// corosync's votes, through Proxmox's own `pvecm`: what they are, and the one thing that may be changed about them. Only a
// committed fence of the other host makes it right to lower them; that is decided elsewhere.

import Consensus

/// What `pvecm status` says.
public struct VoteStatus: Hashable, Sendable {
    public let isQuorate: Bool
    public let expectedVotes: Int
    public let totalVotes: Int
    public let quorum: Int
    /// A third vote outside of the hosts is configured, and gives its vote: with it, nothing needs to be lowered.
    public let hasQDevice: Bool
    /// It is configured; it may still be dead or without a vote.
    public let isQDeviceConfigured: Bool
    /// The addresses of the hosts that are seen.
    public let members: [String]

    /// nil when the text is not what `pvecm status` prints.
    public init?(_ text: String) {
        var fields = SortedMap<String, String>()
        var members: [String] = []
        var deviceVotes: Int?
        var isInMembership = false
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ")
            if words.first == "Nodeid" { isInMembership = true }
            if isInMembership {
                guard words.count >= 3, words[0].hasPrefix("0x"), let votes = Int(words[1]) else { continue }
                // The device stands in the list as node 0; the hosts carry its flags in a column of their own.
                if words.last == "Qdevice" {
                    deviceVotes = votes
                } else if let address = words.dropFirst(2).first(where: { !$0.contains(",") && $0 != "NR" }) {
                    members.append(String(address))
                }
            } else if let colon = line.firstIndex(of: ":") {
                let value = line[line.index(after: colon)...].drop { $0 == " " }
                fields[String(line[..<colon])] = String(value)
            }
        }
        func number(_ name: String) -> Int? {
            fields[name].flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }
        }
        guard let quorate = fields["Quorate"], let expected = number("Expected votes"),
            let total = number("Total votes"),
            let quorum = number("Quorum")
        else { return nil }
        isQuorate = quorate.hasPrefix("Yes")
        expectedVotes = expected
        totalVotes = total
        self.quorum = quorum
        let flags = (fields["Flags"] ?? "").split(separator: " ")
        isQDeviceConfigured = flags.contains("Qdevice") || deviceVotes != nil
        hasQDevice = (deviceVotes ?? 0) > 0
        self.members = members
    }
}

/// `pvecm` on this host.
public struct QuorumTool: Hashable, Sendable {
    public var program: LocalProgram

    public init(_ program: LocalProgram = LocalProgram("/usr/bin/pvecm", limit: .seconds(10))) {
        self.program = program
    }

    public func status() async throws(LocalProgramError) -> VoteStatus {
        let attempted = "look at corosync's votes"
        // It ends with 2 when there is no quorum, and prints everything all the same.
        let text = try await program.run(
            ["status"], attempted: attempted, advice: "see systemctl status corosync", success: [0, 2])
        guard let status = VoteStatus(text) else {
            throw LocalProgramError(
                .unreadable, attempted: attempted, answer: "it printed something else",
                advice: "run pvecm status and see what it says")
        }
        return status
    }

    /// Lowers the votes corosync expects, so that this host alone has quorum; /etc/pve can be written half a second to
    /// a second later. When the other host is back, the votes recover by themselves.
    ///
    /// **Only after the other host is fenced.** With both sides lowered, one side's changes vanish without a word when
    /// they meet again.
    public func expect(votes: Int) async throws(LocalProgramError) {
        _ = try await program.run(
            ["expected", "\(votes)"], attempted: "lower corosync's expected votes to \(votes)",
            advice: "see pvecm status, and as root: pvecm expected \(votes)")
    }
}
