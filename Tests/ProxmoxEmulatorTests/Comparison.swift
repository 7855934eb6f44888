// Whether two answers are the same, as far as they can be: same keys, same types, same values, but for what differs from
// run to run (times, counters, generated addresses), which is compared by its type alone.

import Foundation
@testable import ProxmoxEmulator

enum Comparison {
    /// Differs with the moment, the machine or the draw; the type has to be the same.
    private static let varying: Set<String> = [
        "uptime", "mem", "memhost", "cpu", "disk", "netin", "netout", "diskread", "diskwrite", "pid", "pstart",
        "starttime", "endtime", "time", "localtime", "timestamp", "snaptime", "ctime", "used", "avail", "total",
        "used_fraction", "digest", "config_digest", "ssl_fingerprint", "pve_fp", "ticket", "CSRFPreventionToken",
        "serverid", "repoid", "uid", "uuid", "vmgenid", "smbios1", "meta", "n",
        "idle_time_ns", "rd_bytes", "rd_operations", "rd_total_time_ns",
    ]
    /// Names elements of a list.
    private static let identities = [
        "upid", "volid", "sid", "vmid", "id", "storage", "node", "iface", "key", "name", "roleid", "group",
    ]

    /// - Returns: what differs, as "path: what"; empty when nothing does.
    static func differences(_ recorded: JSON, _ ours: JSON, at path: String = "") -> [String] {
        switch (recorded, ours) {
        case (.object(let left), .object(let right)):
            var found: [String] = []
            for key in Set(left.keys).union(right.keys).sorted() {
                let here = "\(path).\(key)"
                switch (left[key], right[key]) {
                case (let one?, let other?):
                    if varying.contains(key) {
                        if kind(one) != kind(other) { found.append("\(here): \(kind(other)) instead of \(kind(one))") }
                    } else {
                        found += differences(one, other, at: here)
                    }
                case (_?, nil): found.append("\(here): missing")
                case (nil, _?): found.append("\(here): not recorded")
                case (nil, nil): break
                }
            }
            return found
        case (.array(let left), .array(let right)): return lists(left, right, at: path)
        case (.string(let left), .string(let right)):
            let (one, other) = (normalized(left), normalized(right))
            return one == other ? [] : ["\(path): \"\(other)\" instead of \"\(one)\""]
        case (.integer, .integer), (.integer, .number), (.number, .integer), (.number, .number):
            return recorded.text == ours.text ? [] : ["\(path): \(ours.text ?? "") instead of \(recorded.text ?? "")"]
        default: return recorded == ours ? [] : ["\(path): \(kind(ours)) instead of \(kind(recorded))"]
        }
    }

    private static func lists(_ left: [JSON], _ right: [JSON], at path: String) -> [String] {
        let identity = identities.first { name in
            !left.isEmpty && left.allSatisfy { $0[name] != nil }
                && Set(left.map { $0[name]?.text ?? "" }).count == left.count
        }
        if let identity, identity != "upid" {
            var found: [String] = []
            for element in left {
                let name = element[identity]?.text ?? ""
                guard let other = right.first(where: { $0[identity]?.text == name }) else {
                    found.append("\(path)[\(name)]: missing")
                    continue
                }
                found += differences(element, other, at: "\(path)[\(name)]")
            }
            for element in right where !left.contains(where: { $0[identity]?.text == element[identity]?.text }) {
                found.append("\(path)[\(element[identity]?.text ?? "?")]: not recorded")
            }
            return found
        }
        guard left.count == right.count else { return ["\(path): \(right.count) elements instead of \(left.count)"] }
        if left.allSatisfy({ $0.string != nil }) && right.allSatisfy({ $0.string != nil }) {
            return differences(
                .string(left.compactMap(\.string).sorted().joined(separator: " ")),
                .string(right.compactMap(\.string).sorted().joined(separator: " ")), at: path)
        }
        return zip(left, right).enumerated().flatMap { differences($1.0, $1.1, at: "\(path)[\($0)]") }
    }

    private static func kind(_ value: JSON) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .integer, .number: "number"
        case .string: "string"
        case .array: "list"
        case .object: "object"
        }
    }

    private static let replacements: [(String, String)] = [
        ("UPID:([^:]+):[0-9A-F]{8,}:[0-9A-F]{8,}:[0-9A-F]{8}:", "UPID:$1:*:*:*:"),
        ("(?i)BC:24:11:[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}", "MAC"),
        ("\\.tmp\\.[0-9]+", ".tmp.*"),
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        ("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME"),
        ("(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} [0-9]{4}", "TIME"),
        ("\\b[0-9a-f]{40}\\b", "DIGEST"), ("ctime=[0-9]+", "ctime=*"), ("Ring ID: +[0-9.]+", "Ring ID: *"),
        ("\"version\": [0-9]+,\n", "\"version\": *,\n"), ("duration [0-9:]{8}", "duration *"),
        ("downtime [0-9]+ ms", "downtime * ms"),
    ]

    static func normalized(_ text: String) -> String {
        var text = text
        for (pattern, replacement) in replacements {
            text = text.replacingOccurrences(of: pattern, with: replacement, options: .regularExpression)
        }
        // Lists in a string come in no order: privileges, kinds of content.
        if text.contains(","), !text.contains("="), !text.contains(" ") {
            text = text.split(separator: ",").sorted().joined(separator: ",")
        }
        return text
    }
}
