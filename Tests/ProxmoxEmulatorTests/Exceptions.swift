// Where the emulator answers otherwise than a recording, and why that is right so. Anything not listed fails the test.

import ProxmoxEmulator

/// An allowed difference.
struct ConformanceException {
    /// The recording, "8.4/t-misc"; nil for all.
    var transcript: String?
    /// Part of the request or command.
    var request: String
    /// Every difference has to contain one of these; empty allows all.
    var differences: [String]
    var reason: String
}

enum Exceptions {
    static let all: [ConformanceException] = []

    static func reason(for finding: Finding, of transcript: Transcript) -> String? {
        all.first { exception in
            (exception.transcript == nil || exception.transcript == transcript.label)
                && finding.request.contains(exception.request)
                && (exception.differences.isEmpty
                    || finding.differences.allSatisfy { difference in
                        exception.differences.contains { difference.contains($0) }
                    })
        }?.reason
    }
}
