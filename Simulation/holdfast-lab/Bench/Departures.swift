// The bench's cases of guests that leave a host by plan: it is emptied, or emptied and then stopped. Measured are how long
// that takes, and the longest silence of any guest that a client sees. Results and their table; CrowdBench does it.

/// Why guests leave their host.
enum Departure: String, CaseIterable, Codable {
    case drain = "drain of 20 guests"
    case plannedStop = "planned stop of a host with 20 guests"

    static let most = 20
    /// Of the longest silence, in milliseconds.
    static let aim = 2_000.0
}

/// One emptying of a host.
struct DepartureRepetition: Codable, Equatable {
    var host: String
    var wasLeader: Bool
    var guests: Int
    /// Until no guest ran there any more.
    var emptyAfterSeconds: Double
    /// Of any guest, until everything was over.
    var longestGapMilliseconds: Double
}

/// What came of one case.
struct DepartureResult: Encodable, Equatable {
    var departure: Departure
    var repetitions: [DepartureRepetition] = []
    var failures: [String] = []
    var disksWithTwoWriters: [String] = []

    var emptyAfter: Figures { Figures(repetitions.map(\.emptyAfterSeconds)) }
    var longestGap: Figures { Figures(repetitions.map(\.longestGapMilliseconds)) }
    var isKept: Bool {
        failures.isEmpty && disksWithTwoWriters.isEmpty && !repetitions.isEmpty && longestGap.most <= Departure.aim
    }

    static func table(_ results: [DepartureResult]) -> String {
        var table = Table([
            "GUESTS LEAVE A HOST", "N", "EMPTY AFTER s: MEDIAN", "MAX", "LONGEST GAP ms: MEDIAN", "MAX", "TWO WRITERS",
            "AIM ms (GAP)", "KEPT",
        ])
        for result in results {
            let count =
                "\(result.repetitions.count)" + (result.failures.isEmpty ? "" : " (\(result.failures.count) failed)")
            let figures = [result.emptyAfter, result.longestGap].flatMap { [$0.median, $0.most] }
            table.add(
                [result.departure.rawValue, count] + figures.map(ProbeReport.rounded) + [
                    "\(result.disksWithTwoWriters.count)", "≤ \(Int(Departure.aim))", result.isKept ? "yes" : "NO",
                ])
        }
        return table.text
    }
}

/// How long `holdfast what-if` takes, the program's start and the fetching of the cluster's state included.
struct RehearsalResult: Encodable, Equatable {
    static let name = "what-if"

    var guests: Int
    var milliseconds: [Double] = []
    var failures: [String] = []

    static func table(_ results: [RehearsalResult]) -> String {
        var table = Table(["WHAT-IF host/pve1", "N", "MEDIAN ms", "P99 ms"])
        for result in results {
            let figures = Figures(result.milliseconds)
            let count =
                "\(figures.count)" + (result.failures.isEmpty ? "" : " (\(result.failures.count) failed)")
            table.add(
                ["\(result.guests) guests", count]
                    + [figures.median, figures.percentile99].map(ProbeReport.rounded))
        }
        return table.text
    }
}

/// What a host's agent costs while nothing happens.
struct RestResult: Encodable, Equatable {
    static let name = "at rest with 100 guests"
    static let seconds = 30

    var guests: Int
    var leads = false
    /// Share of one core.
    var processorPercent = 0.0
    var residentMebibytes = 0.0
    /// To the host's emulated Proxmox.
    var requestsPerSecond = 0.0
    /// Why nothing was measured.
    var failure: String?

    static func table(_ results: [RestResult]) -> String {
        var table = Table([
            "A HOST'S AGENT AT REST", "LEADS", "% OF A CORE", "RESIDENT MiB", "REQUESTS TO PROXMOX / s",
        ])
        for result in results {
            let figures = [result.processorPercent, result.residentMebibytes, result.requestsPerSecond]
            table.add(
                ["\(result.guests) guests", result.leads ? "yes" : "no"]
                    + (result.failure.map { [$0, "", ""] }
                        ?? figures.map { "\(($0 * 100).rounded() / 100)" }))
        }
        return table.text
    }
}
