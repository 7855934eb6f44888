// How the tour is told: a short story with the real command lines for people, or one JSON object per step for programs.

import CKernel

/// One step of the tour.
struct TourStep: Codable, Equatable {
    var step: String
    /// The command line a person would type.
    var command: String?
    var output: String?
    /// Since the tour began.
    var milliseconds: Double
}

/// The last line of the tour.
struct TourResult: Codable, Equatable {
    var step = "result"
    var passed: Bool
    /// Which promises were broken, each in a sentence.
    var broken: [String]
    /// How long the client saw no answer after the power cut.
    var gapMilliseconds: Double
    var allowedGapMilliseconds: Double
    var ownersAtOnce: Int
    var acknowledgedWrites: Int
    var attemptedWrites: Int
    var lostWrites: Int
    var holderBefore: String
    var holderAfter: String
    /// What became of the virtual machines of a host that lost power.
    var guests: [GuestReturn]
    /// Disks that a second machine wrote to before the first had ended.
    var disksWithTwoWriters: [String]
}

/// Tells the steps as they happen.
struct Story {
    let json: Bool
    private let began = lab_boot_clock()

    init(json: Bool) { self.json = json }

    private var milliseconds: Double { Double(lab_boot_clock() - began) / 1_000_000 }

    /// A sentence for people; a step with a name for programs.
    func tell(_ step: String, _ sentence: String, command: String? = nil, output: String? = nil) throws {
        if json {
            let text = output.map { $0.isEmpty ? sentence : $0 } ?? sentence
            print(try jsonLine(TourStep(step: step, command: command, output: text, milliseconds: milliseconds)))
            return
        }
        print("")
        print(sentence)
        if let command { print("  $ \(command)") }
        var lines = (output ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        for line in lines { print("  \(line)") }
    }

    func end(_ result: TourResult) throws {
        if json { return print(try jsonLine(result)) }
        print("")
        let gap = ProbeReport.milliseconds(result.gapMilliseconds)
        print(
            "Silence seen by the client: \(gap) (allowed: \(ProbeReport.milliseconds(result.allowedGapMilliseconds)))")
        print("Owners of the address at once: \(result.ownersAtOnce)")
        print("Acknowledged writes lost: \(result.lostWrites) of \(result.acknowledgedWrites)")
        let starts = ProbeReport.milliseconds(result.guests.map(\.startIssued).max() ?? 0)
        let answers = ProbeReport.milliseconds(result.guests.map(\.answered).max() ?? 0)
        print(
            "Virtual machines of the lost host: \(result.guests.count), all started after \(starts), all answering after "
                + answers)
        print("Disks with two writers at once: \(result.disksWithTwoWriters.count)")
        print(result.passed ? "Every promise was kept." : "Broken: " + result.broken.joined(separator: "; "))
    }
}
