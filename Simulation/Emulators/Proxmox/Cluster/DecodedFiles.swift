// Files of /etc/pve as values: user.cfg and its like are read for every request, and taken apart once per change.

import FoundationEssentials
import Synchronization

/// Values of files, by path, for as long as the text is the same. A memory, not a state: who copies a host may share it.
final class DecodedFiles: Sendable {
    private let known = Mutex<[String: (text: String, value: any Sendable)]>([:])

    /// nil when the text is not such a value.
    func value<Value: Decodable & Sendable>(_ path: String, _ text: String, as type: Value.Type) -> Value? {
        known.withLock { known in
            if let found = known[path], found.text == text { return found.value as? Value }
            guard let value = try? JSONDecoder().decode(type, from: Data(text.utf8)) else { return nil }
            known[path] = (text, value)
            return value
        }
    }
}
