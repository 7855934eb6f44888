// How a command record is written for the log. The general encoder takes some twenty microseconds for a record of two
// hundred bytes; what programs write in bulk, the commands of the small value store, is written by hand to the same bytes.
//
// Relies on: tests that hold the two against each other. Whatever would need an escape goes through the general encoder.

extension CommandRecord {
    /// Canonical JSON. Nil when a number in it is not finite.
    public func encoded() -> [UInt8]? { encodedByHand() ?? (try? CanonicalJSON.encode(self)) }

    /// Nil for what only the general encoder writes.
    func encodedByHand() -> [UInt8]? {
        guard level == nil, let actor = PlainJSON.quoted(actor), let command = command.valueCommandText() else {
            return nil
        }
        var person = ""
        if let origin {
            guard let text = origin.encodedByHand() else { return nil }
            person = "\"origin\":\(text),"
        }
        return Array(
            """
            {"actor":\(actor),"command":\(command),"milliseconds":\(milliseconds),\(person)\
            "stamp":{"request":\(stamp.request),"session":\(stamp.session),"settled":\(stamp.settled)}}
            """.utf8)
    }
}

extension CommandOrigin {
    fileprivate func encodedByHand() -> String? {
        guard let name = PlainJSON.quoted(name), let key = PlainJSON.quoted(key) else { return nil }
        var words = ""
        if let reason {
            guard let reason = PlainJSON.quoted(reason) else { return nil }
            words = "\"reason\":\(reason),"
        }
        return "{\"key\":\(key),\"name\":\(name),\"needs\":\"\(needs.rawValue)\",\(words)\"role\":\"\(role.rawValue)\"}"
    }
}

extension Command {
    fileprivate func valueCommandText() -> String? {
        switch self {
        case .put(let key, let value, let expected):
            guard let key = PlainJSON.quoted(key), let value = PlainJSON.quoted(value) else { return nil }
            var condition = ""
            switch expected {
            case nil: break
            case .absent: condition = "\"expected\":{\"absent\":{}},"
            case .value(let old):
                guard let old = PlainJSON.quoted(old) else { return nil }
                condition = "\"expected\":{\"value\":{\"_0\":\(old)}},"
            }
            return "{\"put\":{\(condition)\"key\":\(key),\"value\":\(value)}}"
        case .remove(let key): return PlainJSON.quoted(key).map { "{\"remove\":{\"key\":\($0)}}" }
        default: return nil
        }
    }
}
