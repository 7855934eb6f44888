// Specs with mistakes in their fields, and what is said about them, word for word.
// Each text stands for a mistake that people make.

extension WrongManifest {
    static let specs: [WrongManifest] = [
        WrongManifest(
            "aMistypedField",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              adress: 192.168.1.106

            """,
            [
                "lab.yaml:5:3: spec.adress: found an unknown field, expected address or description; did you mean address?"
            ]),
        WrongManifest(
            "aFieldOfNoKind",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              colour: red

            """,
            [
                "lab.yaml:6:3: spec.colour: found an unknown field, expected address or description"
            ]),
        WrongManifest(
            "anAddressWithPrefix",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106/24

            """,
            [
                #"lab.yaml:5:12: spec.address: found the text "192.168.1.106/24", expected an IPv4 address, such as 192.168.1.106; did you mean 192.168.1.106?"#
            ]),
        WrongManifest(
            "anAddressWithoutPrefix",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2
              candidates: [{member: pve1}]

            """,
            [
                #"lab.yaml:5:12: spec.address: found the text "192.168.1.2", expected an IP address with its prefix length, such as 192.168.1.99/24 or fd00::99/64; did you mean 192.168.1.2/24?"#
            ]),
        WrongManifest(
            "anAddressOutOfRange",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.256

            """,
            [
                #"lab.yaml:5:12: spec.address: found the text "192.168.1.256", expected an IPv4 address, such as 192.168.1.106"#
            ]),
        WrongManifest(
            "anAddressThatIsANumber",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168

            """,
            [
                "lab.yaml:5:12: spec.address: found the number 192.168, expected an IPv4 address, such as 192.168.1.106"
            ]),
        WrongManifest(
            "anAddressInIPv6",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: fe80::1

            """,
            [
                #"lab.yaml:5:12: spec.address: found the text "fe80::1", expected an IPv4 address, such as 192.168.1.106"#
            ]),
        WrongManifest(
            "theNetworksOwnAddress",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.0/24
              candidates: [{member: pve1}]

            """,
            [
                "lab.yaml:5:12: spec.address: found the address of the network itself, 192.168.1.0/24, expected an IP address with its prefix length, such as 192.168.1.99/24 or fd00::99/64"
            ]),
        WrongManifest(
            "aHostNameAsAddress",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: pve1.lan

            """,
            [
                #"lab.yaml:5:12: spec.address: found the text "pve1.lan", expected an IPv4 address, such as 192.168.1.106"#
            ]),
        WrongManifest(
            "candidatesAsAMap",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: {member: pve1}

            """,
            [
                "lab.yaml:6:15: spec.candidates: found a map, expected a list of 1 to 64 entries, each a map with the field member"
            ]),
        WrongManifest(
            "candidatesAsNames",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [pve1, pve2]

            """,
            [
                #"lab.yaml:6:16: spec.candidates[0]: found the text "pve1", expected a map with the field member; did you mean {member: pve1}?"#,
                #"lab.yaml:6:22: spec.candidates[1]: found the text "pve2", expected a map with the field member; did you mean {member: pve2}?"#,
            ]),
        WrongManifest(
            "aMistypedMember",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates:
                - member: pve1
                - menber: pve2

            """,
            [
                "lab.yaml:8:7: spec.candidates[1].menber: found an unknown field, expected member; did you mean member?"
            ]),
        WrongManifest(
            "aCandidateThatIsANumber",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates:
                - member: pve1
                - member: 2

            """,
            [
                #"lab.yaml:8:15: spec.candidates[1].member: found the number 2, expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit; did you mean "2" in quotes?"#
            ]),
        WrongManifest(
            "aCandidateTwice",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates:
                - member: pve1
                - member: pve1

            """,
            [
                "lab.yaml:8:15: spec.candidates[1].member: found pve1 again, expected each member once; candidates[0] names it already"
            ]),
        WrongManifest(
            "noCandidates",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: []

            """,
            [
                "lab.yaml:6:15: spec.candidates: found an empty list, expected a list of 1 to 64 entries, each a map with the field member"
            ]),
        WrongManifest(
            "anEmptyCandidate",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates:
                - member: pve1
                -

            """,
            [
                "lab.yaml:8:6: spec.candidates[1]: found nothing, expected a map with the field member"
            ]),
        WrongManifest(
            "preemptAsATruthValue",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              preempt: false

            """,
            [
                "lab.yaml:7:12: spec.preempt: found false, expected never or always"
            ]),
        WrongManifest(
            "preemptInCapitals",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              preempt: Never

            """,
            [
                #"lab.yaml:7:12: spec.preempt: found the text "Never", expected never or always; did you mean never?"#
            ]),
        WrongManifest(
            "preemptNo",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              preempt: no

            """,
            [
                #"lab.yaml:7:12: spec.preempt: found the text "no", expected never or always"#
            ]),
        WrongManifest(
            "followNothing",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {every: 1s}

            """,
            [
                "lab.yaml:7:11: spec.follow: found none of them, expected one of tcp, http, https, exec"
            ]),
        WrongManifest(
            "followTwoThings",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", http: "a:1"}

            """,
            [
                "lab.yaml:7:11: spec.follow: found tcp and http, expected only one of tcp, http, https, exec"
            ]),
    ]
}
