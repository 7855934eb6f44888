// What a scalar without quotes stands for. Of YAML's many readings the narrowest: only what cannot be meant as a text
// is a number or a truth value. `no`, `on`, `0x1F`, `012`, `1_000`, `12:30` and dates are texts here, whatever YAML 1.1
// says; only true, false, null, decimal whole numbers and decimal fractions (YAML 1.2, core schema) are not.

import Cluster

enum PlainScalar {
    static func value(_ text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: return number(text) ?? .string(text)
        }
    }

    private static func number(_ text: String) -> JSONValue? {
        var rest = Substring(text)
        if let sign = rest.first, sign == "-" || sign == "+" { rest = rest.dropFirst() }
        let whole = takeDigits(&rest)
        if rest.isEmpty {
            // A leading zero is octal to some programs and nothing to others: a text, to be refused where numbers belong.
            guard whole == 1 || (whole > 1 && !text.drop(while: { $0 == "-" || $0 == "+" }).hasPrefix("0")) else {
                return nil
            }
            return Int64(text).map { .int($0) } ?? Double(text).map { .double($0) }
        }
        var fraction = 0
        if rest.first == "." {
            rest = rest.dropFirst()
            fraction = takeDigits(&rest)
        }
        guard whole + fraction > 0 else { return nil }
        if let exponent = rest.first, exponent == "e" || exponent == "E" {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == "-" || sign == "+" { rest = rest.dropFirst() }
            guard takeDigits(&rest) > 0 else { return nil }
        }
        guard rest.isEmpty, let number = Double(text), number.isFinite else { return nil }
        return .double(number)
    }

    private static func takeDigits(_ text: inout Substring) -> Int {
        let digits = text.prefix { ("0"..."9").contains($0) }
        text = text.dropFirst(digits.count)
        return digits.count
    }
}
