// One answer for everybody who asks within a while. Knows nothing of what is asked.

import Consensus
import HTTPTypes
import Synchronization

final class SharedAnswer: Sendable {
    struct Content: Sendable {
        var status: HTTPResponse.Status
        var text: String
        var type: String

        init(_ status: HTTPResponse.Status, _ text: String, type: String = "text/plain; charset=utf-8") {
            self.status = status
            self.text = text
            self.type = type
        }

        static let busy = Content(.serviceUnavailable, "the agent has too much waiting\n")
    }

    private let held = Mutex<(until: Instant, content: Content)?>(nil)

    /// The content made last, unless it is older than `age`. Those who ask while it is being made make one each; how many
    /// that can be is for the caller to bound.
    func content(now: Instant, lasting age: Interval, _ make: () async -> Content) async -> Content {
        if let held = held.withLock({ $0 }), now < held.until { return held.content }
        let content = await make()
        held.withLock { $0 = (now + age, content) }
        return content
    }
}
