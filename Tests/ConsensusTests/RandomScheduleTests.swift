// Random faults on random clusters, with every promise of the consensus checked after every event.
// A failing seed prints the line that replays it: set HOLDFAST_SEED and run this suite again (with HOLDFAST_TRACE to
// see every event). HOLDFAST_SEEDS changes how many seeds one run tries.

import Consensus
import FoundationEssentials
import Testing

@Suite struct RandomScheduleTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seeds = environment["HOLDFAST_SEEDS"].flatMap { UInt64($0) } ?? 2_000
    private static let chunks: [ClosedRange<UInt64>] = {
        if let seed = environment["HOLDFAST_SEED"].flatMap({ UInt64($0) }) { return [seed...seed] }
        let size = max(seeds / 20, 1)
        return (0..<20).map { ($0 * size + 1)...(($0 + 1) * size) }
    }()

    @Test(arguments: chunks) func noScheduleOfFaultsBreaksAPromise(seeds: ClosedRange<UInt64>) {
        for seed in seeds {
            var schedule = RandomSchedule(seed: seed)
            schedule.cluster.tells = Self.environment["HOLDFAST_TRACE"] != nil
            if let violation = schedule.run() {
                Issue.record("\(violation)\nreplay: HOLDFAST_SEED=\(seed) swift test --filter RandomScheduleTests")
                return
            }
        }
    }
}
