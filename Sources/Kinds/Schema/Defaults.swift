// Filling in what was left out.
// Relies on nothing having been checked yet; does not judge what was written.

import Cluster

extension ObjectType {
    /// The value with the default of every absent field that has one, at every depth. Fields nobody knows stay. What is
    /// not of this type is handed back as it is.
    public func filled(_ value: JSONValue) -> JSONValue {
        guard var given = value.object else { return value }
        for field in fields {
            if let inner = given[field.name] {
                given[field.name] = field.type.filled(inner)
            } else if case .byDefault(let standard) = field.presence {
                given[field.name] = field.type.filled(standard)
            }
        }
        return .object(given)
    }
}

extension FieldType {
    fileprivate func filled(_ value: JSONValue) -> JSONValue {
        switch self {
        case .object(let object): return object.filled(value)
        case .list(let element, _, _):
            guard let given = value.array else { return value }
            return .array(given.map { element.filled($0) })
        default: return value
        }
    }
}
