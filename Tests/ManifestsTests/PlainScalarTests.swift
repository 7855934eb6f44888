// What words without quotes stand for: the traps of YAML.
// Other readers differ in them, so the writer avoids them all.

import Cluster
import Testing

@testable import Manifests

@Suite struct PlainScalarTests {
    static let values: [(String, JSONValue)] = [
        ("", .null), ("~", .null), ("null", .null), ("Null", .null), ("NULL", .null), ("nUll", "nUll"),
        ("true", true), ("True", true), ("TRUE", true), ("false", false), ("tRue", "tRue"),
        ("yes", "yes"), ("no", "no"), ("No", "No"), ("on", "on"), ("off", "off"), ("y", "y"), ("n", "n"),
        ("0", 0), ("7", 7), ("-7", -7), ("+7", 7), ("80", 80), ("9223372036854775807", 9_223_372_036_854_775_807),
        ("9223372036854775808", .double(9_223_372_036_854_775_808)), ("-0", 0),
        ("012", "012"), ("0x1F", "0x1F"), ("0o17", "0o17"), ("0b1", "0b1"), ("1_000", "1_000"), ("-", "-"), ("+", "+"),
        ("1.5", .double(1.5)), ("1.10", .double(1.1)), (".5", .double(0.5)), ("5.", .double(5)),
        ("1e3", .double(1_000)),
        ("1E-3", .double(0.001)), ("-1.5e+3", .double(-1_500)), ("1e", "1e"), (".", "."), ("e3", "e3"), (".e3", ".e3"),
        (".inf", ".inf"), (".nan", ".nan"), ("1e999", "1e999"), ("12:30", "12:30"), ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"), ("192.168.1.2", "192.168.1.2"), ("1.2.3", "1.2.3"), ("5m", "5m"), ("<<", "<<"),
        ("=", "="), ("１", "１"),
    ]

    @Test(arguments: values)
    func onlyWhatCannotBeMeantAsATextIsSomethingElse(text: String, value: JSONValue) {
        #expect(PlainScalar.value(text) == value)
    }

    @Test(arguments: [
        "no", "on", "yes", "true", "null", "~", "", "80", "1.10", "012", "0x1F", "1_000", "12:30:45", "2024-01-01",
        "1e3", "-",
        "- a", "? a", "a: b", "a #b", "#", "@a", "`a", "%a", "&a", "*a", "!a", "|", ">", "[a", "{a", "a,b", "'a", "\"a",
        "<<", "=",
        "---", "...", " a", "a ", "a:", "a\nb", "a\tb", "ä", "\u{7F}", "\u{85}", "\u{2028}", "\u{FEFF}", "\u{0}", "🏠",
        "\\", ".inf",
    ])
    func trapsStandInQuotes(text: String) {
        #expect(ManifestWriter.scalar(text).hasPrefix("\""))
    }

    @Test(arguments: [
        "pve1", "k8s-cp1", "192.168.1.99/24", "192.168.1.2", "500ms", "1h30m", "never", "holdfast/v1", "vmbr0",
        "/usr/bin/true",
        "Proxmox host 1 at the left", "127.0.0.1:6443/readyz",
    ])
    func ordinaryWordsStandWithoutQuotes(text: String) {
        #expect(ManifestWriter.scalar(text) == text)
    }
}
