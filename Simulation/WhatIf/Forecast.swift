// What would come of a loss: in what order things happen, what stays down and why, for how long what was gone, and one
// sentence that sums it up. A value that can be printed, compared and kept.

import Cluster
import Consensus

/// What a rehearsal came to. Times are milliseconds since the loss.
public struct Forecast: Hashable, Sendable, Codable {
    /// A turn of the story.
    public struct Step: Hashable, Sendable, Codable {
        public var at: Int64
        /// lost, missed, elected, fenced, placed, ordered, running, moved, address, reset or told.
        public var what: String
        public var subject: String
        public var words: String

        public init(at: Int64, what: String, subject: String, words: String) {
            self.at = at
            self.what = what
            self.subject = subject
            self.words = words
        }
    }

    /// Something that does not come back.
    public struct Down: Hashable, Sendable, Codable {
        /// `VirtualMachine/gitlab`, `VirtualIP/dns`, `cluster`.
        public var subject: String
        public var why: String

        public init(subject: String, why: String) {
            self.subject = subject
            self.why = why
        }
    }

    public struct Address: Hashable, Sendable, Codable {
        public var name: String
        /// Who answered for it before, and at the end.
        public var before: String?
        public var after: String?
        /// Lengths of the times in which nobody did, those that go on left out.
        public var gaps: [Int64]
    }

    public struct Workload: Hashable, Sendable, Codable {
        /// `VirtualMachine/gitlab`
        public var name: String
        public var before: String?
        public var after: String?
        /// How long it was gone; nil: it was not, or does not come back.
        public var gap: Int64?
        /// What kept its old host from its disks: blocklist, watchdog or power.
        public var fence: String?
    }

    /// `member/pve1`, in the words of the command line.
    public var supposed: String
    public var seed: UInt64
    public var steps: [Step] = []
    /// What is down because of it.
    public var down: [Down] = []
    /// What was down before.
    public var alreadyDown: [Down] = []
    public var addresses: [Address] = []
    public var workloads: [Workload] = []
    /// Hosts that were reset by their watchdogs.
    public var resets: [String] = []
    /// Promises that were broken on the way: mistakes of this program, not of the cluster.
    public var violations: [String] = []
    public var leaderBefore: String?
    public var leaderAfter: String?
    /// When nothing changed any more; nil: something was still going on at the end.
    public var restedAt: Int64?
    public var assumptions: [String] = []
    public var verdict = ""

    public init(supposed: String, seed: UInt64) {
        self.supposed = supposed
        self.seed = seed
    }

    /// Nothing that was there stays away, and it came to rest.
    public var isSurvived: Bool { down.isEmpty && violations.isEmpty && restedAt != nil }
    /// Of addresses and workloads that come back.
    public var longestGap: Int64? {
        (addresses.flatMap(\.gaps) + workloads.compactMap(\.gap)).max()
    }
}

extension Forecast {
    /// At most so many names are spelled out in a sentence.
    private static let mostNamed = 4

    /// The one sentence.
    func sentence() -> String {
        if let violation = violations.first {
            return "A promise would be broken, which is a mistake of this program and should be reported: \(violation)."
        }
        guard down.isEmpty else {
            let named = down.prefix(Self.mostNamed).map { "\(Self.short($0.subject)) (\($0.why))" }
            let more = down.count - named.count
            return named.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
                + (down.count == 1 ? " stays down." : " stay down.")
        }
        guard restedAt != nil else { return "It does not come to rest within the time of the rehearsal." }
        let addressGap = addresses.compactMap { address in address.gaps.max().map { (address.name, $0) } }
            .max { $0.1 < $1.1 }
        let guestGap = workloads.compactMap { guest in guest.gap.map { (Self.short(guest.name), $0) } }
            .max { $0.1 < $1.1 }
        let parts = [
            addressGap.map { "the longest gap of an address is \(Self.length($0.1)) (\($0.0))" },
            guestGap.map { "the longest of a guest \(Self.length($0.1)) (\($0.0))" },
        ].compactMap { $0 }
        return parts.isEmpty
            ? "Nothing is interrupted." : "Everything comes back; \(parts.joined(separator: ", "))."
    }

    /// `gitlab` for `VirtualMachine/gitlab`.
    static func short(_ subject: String) -> String {
        subject.split(separator: "/", maxSplits: 1).last.map(String.init) ?? subject
    }

    /// `640 ms`, `4.2 s`.
    public static func length(_ milliseconds: Int64) -> String {
        milliseconds < 1_000 ? "\(milliseconds) ms" : "\(milliseconds / 1_000).\(milliseconds / 100 % 10) s"
    }
}
