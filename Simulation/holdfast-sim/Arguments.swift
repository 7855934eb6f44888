// Reading what several commands take.

import ArgumentParser
@preconcurrency import Dispatch
import Foundation
import Synchronization

enum Arguments {
    /// `90s`, `10m`, `1h`, `500ms`, in nanoseconds.
    static func length(_ text: String) throws -> Int64 {
        let units: [(String, Int64)] = [
            ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
        ]
        for (unit, size) in units where text.hasSuffix(unit) {
            if let count = Int64(text.dropLast(unit.count)), count > 0, count <= 86_400_000 { return count * size }
        }
        throw ValidationError("\"\(text)\" is not a length of time; write it like 500ms, 90s, 10m or 1h")
    }
}

/// Ctrl-C: the first one ends the run and lets it say what was done, the second one ends the process.
final class Interruption: Sendable {
    private let asked = Atomic<Bool>(false)
    private let source: any DispatchSourceSignal

    init() {
        signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [self] in
            if asked.exchange(true, ordering: .relaxed) { Foundation.exit(130) }
        }
        source.resume()
    }

    var wasAsked: Bool { asked.load(ordering: .relaxed) }
}
