// Which texts each form accepts, and what it guesses was meant.
// A guess is always something that is accepted.

import Testing

@testable import Kinds

@Suite struct TextFormTests {
    static let longest = String(repeating: "a", count: 63)

    @Test(arguments: ["a", "0", "pve1", "k8s-cp1", "a--b", longest])
    func goodNamesAreAccepted(name: String) { #expect(TextForm.name.accepts(name)) }

    @Test(arguments: ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a b", longest + "a", "a\n", "a/b"])
    func badNamesAreRefused(name: String) { #expect(!TextForm.name.accepts(name)) }

    @Test(arguments: [
        (TextForm.name, "K8s_CP1", "k8s-cp1"), (.name, " pve1 ", "pve1"),
        (.ipv4Address, "192.168.1.106/24", "192.168.1.106"),
        (.ipv4Address, "192.168.001.106", "192.168.1.106"), (.ipInterface, "192.168.1.99", "192.168.1.99/24"),
        (.ipInterface, "192.168.01.99/24", "192.168.1.99/24"), (.ipInterface, "FD00:0:0::99/64", "fd00::99/64"),
        (.ipInterface, "fd00::99", "fd00::99/64"), (.ipInterface, "fd00::99%vmbr0/64", "fd00::99/64"),
        (.networkInterface, " vmbr0", "vmbr0"),
        (.webAddress, "https://127.0.0.1:6443/readyz", "127.0.0.1:6443/readyz"),
        (.endpoint, "tcp://db:5432", "db:5432"),
    ])
    func nearMissesAreUnderstood(form: TextForm, text: String, meant: String) {
        #expect(!form.accepts(text))
        #expect(form.suggestion(for: text) == meant)
    }

    @Test(arguments: [
        (TextForm.name, "-"), (.ipv4Address, "pve1"), (.ipv4Address, "192.168.1.256"), (.ipInterface, "192.168.1.0"),
        (.endpoint, "127.0.0.1"), (.line(mostCharacters: 3), "abcd"),
    ])
    func nothingIsGuessedWhereNothingFits(form: TextForm, text: String) {
        #expect(!form.accepts(text))
        #expect(form.suggestion(for: text) == nil)
    }

    @Test(arguments: [
        ("192.168.1.99/24", true), ("10.0.0.0/31", true), ("10.0.0.1/31", true), ("10.0.0.1/32", true),
        ("10.0.0.1/1", true),
        ("192.168.1.0/24", false), ("192.168.1.255/24", false), ("192.168.1.255/23", false), ("192.168.0.255/23", true),
        ("127.0.0.1/8", false), ("224.0.0.1/24", false), ("0.0.0.1/8", false), ("255.255.255.255/32", false),
        ("192.168.1.99/0", false), ("192.168.1.99/33", false), ("192.168.1.99/024", false), ("192.168.1.99/", false),
        ("192.168.1.99/+4", false), ("1.2.3/8", false), ("1.2.3.4.5/8", false), ("1.2.3.4/8/8", false), ("", false),
        ("fd00::99/64", true), ("2001:db8::1/128", true), ("2001:db8::/127", true), ("2001:db8:0:1::a/1", true),
        ("fd00::99/0", false), ("fd00::99/129", false), ("fd00::99/064", false), ("fd00::/64", false),
        ("FD00::99/64", false), ("fd00:0::99/64", false), ("fd00::099/64", false), ("fe80::1/64", false),
        ("ff02::1/64", false), ("::1/64", false), ("::/64", false), ("::ffff:1.2.3.4/96", false),
        ("::ffff:102:304/96", false), ("fd00:::1/64", false), ("fd00::1::2/64", false), ("fd00::12345/64", false),
        ("fd00:1:2:3:4:5:6:7::/64", false), ("1:2:3:4:5:6:7/64", false), (":1:2:3:4:5:6:7:8/64", false),
    ])
    func addressesWithPrefixLength(text: String, accepted: Bool) {
        #expect(TextForm.ipInterface.accepts(text) == accepted)
    }

    @Test func everyAddressReadsBackAsItWasWritten() {
        var random = Draws(seed: 3)
        for _ in 0..<5_000 {
            let address = IPv4Address(number: UInt32(truncatingIfNeeded: random.next()))
            #expect(IPv4Address(address.description) == address)
            // Words of zeros as often as not, because they are what is abbreviated.
            let (mask, bits) = (random.next(), (random.next(), random.next()))
            func thinned(_ bits: UInt64, _ shift: Int) -> UInt64 {
                (0..<4).reduce(0) { $0 | (mask >> UInt64(shift + $1) & 1) * (bits & 0xffff << UInt64(16 * $1)) }
            }
            let long = IPv6Address(high: thinned(bits.0, 0), low: thinned(bits.1, 4))
            #expect(IPv6Address(long.description) == long)
            #expect(IPAddress(canonical: long.description) == .v6(long))
        }
    }

    /// RFC 5952, sections 4 and 5.
    @Test(arguments: [
        ("2001:0db8::0001", "2001:db8::1"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:DB8::A", "2001:db8::a"), ("0:0:0:0:0:0:0:0", "::"),
        ("1:0:0:0:0:0:0:0", "1::"), ("::1:0", "::1:0"),
    ])
    func anIPv6AddressHasOneSpelling(text: String, canonical: String) {
        #expect(IPv6Address(text)?.description == canonical)
        #expect((IPAddress(canonical: text) != nil) == (text == canonical))
    }

    @Test(arguments: [
        ("127.0.0.1:6443", true), ("db.lan:5432", true), ("a-b:1", true), ("localhost:65535", true),
        ("localhost:0", false),
        ("localhost:65536", false), ("localhost", false), (":80", false), ("1.2.3:80", false), ("-a:80", false),
        ("a..b:80", false), ("[::1]:80", false), ("a:b:80", false), ("a:+8", false), ("a:000080", false),
    ])
    func endpoints(text: String, accepted: Bool) { #expect(TextForm.endpoint.accepts(text) == accepted) }

    @Test(arguments: [
        ("127.0.0.1:6443/readyz", true), ("gitlab.lan/-/readiness?all=1", true), ("localhost", true),
        ("localhost:8080", true),
        ("http://localhost", false), ("/readyz", false), ("local host/", false), ("localhost/ü", false),
        ("a/#b", false),
    ])
    func webAddresses(text: String, accepted: Bool) { #expect(TextForm.webAddress.accepts(text) == accepted) }

    @Test(arguments: [
        ("vmbr0", true), ("enp3s0.100", true), ("a", true), ("", false), ("..", false), ("a/b", false),
        ("eth0:1", false),
        ("sixteen-letters1", false), ("e 0", false),
    ])
    func interfaces(text: String, accepted: Bool) { #expect(TextForm.networkInterface.accepts(text) == accepted) }

    @Test(
        arguments: [
            ("adress", "address"), ("candiates", "candidates"), ("ADDRESS", "address"), ("interfcae", "interface"),
            ("preemtp", "preempt"), ("virtualip", nil), ("x", nil), ("", nil),
        ] as [(String, String?)])
    func theNearestNameIsFound(typed: String, meant: String?) {
        let names = ["address", "interface", "candidates", "follow", "preempt"]
        #expect(Nearest.match(typed, among: names) == meant)
    }

    @Test func excerptsAreShortAndHarmless() {
        #expect(Excerpt.quoted("a\u{1B}[31m\n\"\u{202E}") == #""a\u{1b}[31m\n\"\u{202e}""#)
        let long = String(repeating: "x", count: 1_000)
        #expect(Excerpt.quoted(long).count == Excerpt.mostCharacters + 3)
    }

    @Test func pathsOfDifferentPlacesNeverReadTheSame() {
        let root = FieldPath.root
        #expect(
            root.field("spec").field("candidates").index(1).field("member").description == "spec.candidates[1].member")
        #expect(root.field("metadata").field("labels").field("a.b/c").description == #"metadata.labels["a.b/c"]"#)
        #expect(root.field("").description == #"[""]"#)
        #expect(root.field("a.b") != root.field("a").field("b"))
    }
}
