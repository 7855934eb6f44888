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
                #"lab.yaml:5:12: spec.address: found the text "192.168.1.2", expected an IPv4 address with its prefix length, such as 192.168.1.99/24; did you mean 192.168.1.2/24?"#
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
                "lab.yaml:5:12: spec.address: found the address of the network itself, 192.168.1.0/24, expected an IPv4 address with its prefix length, such as 192.168.1.99/24"
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
        WrongManifest(
            "followMistyped",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {htps: "127.0.0.1:6443/readyz"}

            """,
            [
                "lab.yaml:7:12: spec.follow.htps: found an unknown field, expected one of tcp, http, https, exec, every, timeout, failures, successes; did you mean https?"
            ]),
        WrongManifest(
            "followWithAScheme",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {https: "https://127.0.0.1:6443/readyz"}

            """,
            [
                #"lab.yaml:7:19: spec.follow.https: found the text "https://127.0.0.1:6443/readyz", expected host:port/path without a scheme, such as 127.0.0.1:6443/readyz; did you mean 127.0.0.1:6443/readyz?"#
            ]),
        WrongManifest(
            "aBareNumberAsDuration",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", every: 500}

            """,
            [
                "lab.yaml:7:31: spec.follow.every: found the number 500, expected a duration from 100ms to 1h, such as 250ms or 1m30s; did you mean 500ms?"
            ]),
        WrongManifest(
            "aDurationWithASpace",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", every: 2 S}

            """,
            [
                #"lab.yaml:7:31: spec.follow.every: found the text "2 S", expected a duration from 100ms to 1h, such as 250ms or 1m30s; did you mean 2s?"#
            ]),
        WrongManifest(
            "aDurationTooLong",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", timeout: 5m}

            """,
            [
                #"lab.yaml:7:33: spec.follow.timeout: found the text "5m", expected a duration from 10ms to 1m, such as 250ms or 1m30s"#
            ]),
        WrongManifest(
            "aNumberInQuotes",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", failures: "3"}

            """,
            [
                #"lab.yaml:7:34: spec.follow.failures: found the text "3", expected a whole number from 1 to 100; did you mean 3?"#
            ]),
        WrongManifest(
            "aNumberWithALeadingZero",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", failures: 03}

            """,
            [
                #"lab.yaml:7:34: spec.follow.failures: found the text "03", expected a whole number from 1 to 100; did you mean 3?"#
            ]),
        WrongManifest(
            "aFractionForAWholeNumber",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", failures: 2.5}

            """,
            [
                "lab.yaml:7:34: spec.follow.failures: found the number 2.5, expected a whole number from 1 to 100"
            ]),
        WrongManifest(
            "aNumberAsArgument",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow:
                exec: [/bin/nc, -z, localhost, 6443]

            """,
            [
                #"lab.yaml:8:36: spec.follow.exec[3]: found the number 6443, expected a text of 1 to 1000 characters on one line; did you mean "6443" in quotes?"#
            ]),
        WrongManifest(
            "aShellCommand",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {exec: "curl -f localhost"}

            """,
            [
                #"lab.yaml:7:18: spec.follow.exec: found the text "curl -f localhost", expected a list of 1 to 64 entries, each a text of 1 to 1000 characters on one line"#
            ]),
        WrongManifest(
            "aProgramWithoutPath",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {exec: [curl, -f, localhost]}

            """,
            [
                #"lab.yaml:7:19: spec.follow.exec[0]: found the text "curl", expected the program with its whole path, such as /usr/bin/true; no shell looks it up"#
            ]),
        WrongManifest(
            "aPortWithoutHost",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: 6443}

            """,
            [
                "lab.yaml:7:17: spec.follow.tcp: found the number 6443, expected host:port, such as 127.0.0.1:6443; did you mean 127.0.0.1:6443?"
            ]),
        WrongManifest(
            "anInterfaceWithAlias",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              interface: eth0:1

            """,
            [
                #"lab.yaml:7:14: spec.interface: found the text "eth0:1", expected a network interface, such as vmbr0"#
            ]),
        WrongManifest(
            "timingsThatDoNotFit",
            """
            apiVersion: holdfast/v1
            kind: Cluster
            metadata: {name: home}
            spec:
              memberLease: 2s

            """,
            [
                #"lab.yaml:5:16: spec.memberLease: found the text "2s", expected timings that fit: memberLease must not be longer than quorumLease"#
            ]),
        WrongManifest(
            "electionTimeoutAsText",
            """
            apiVersion: holdfast/v1
            kind: Cluster
            metadata: {name: home}
            spec:
              electionTimeout: 350ms

            """,
            [
                #"lab.yaml:5:20: spec.electionTimeout: found the text "350ms", expected a map with the fields least, most"#
            ]),
        WrongManifest(
            "negativeDrift",
            """
            apiVersion: holdfast/v1
            kind: Cluster
            metadata: {name: home}
            spec:
              driftPpm: -1

            """,
            [
                "lab.yaml:5:13: spec.driftPpm: found the number -1, expected a whole number from 0 to 100000"
            ]),
        WrongManifest(
            "severalErrorsInOneDocument",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              adress: 192.168.1.2/24
              candidates: [pve1]
              preempt: maybe

            """,
            [
                "lab.yaml:5:3: spec.adress: found an unknown field, expected one of address, interface, candidates, follow, preempt; did you mean address?",
                #"lab.yaml:6:16: spec.candidates[0]: found the text "pve1", expected a map with the field member; did you mean {member: pve1}?"#,
                #"lab.yaml:7:12: spec.preempt: found the text "maybe", expected never or always"#,
            ]),
        WrongManifest(
            "errorsInTwoDocuments",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: a
            ---
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve2}
            spec:
              address: b

            """,
            [
                #"lab.yaml:5:12: spec.address: found the text "a", expected an IPv4 address, such as 192.168.1.106"#,
                #"lab.yaml:11:12: spec.address: found the text "b", expected an IPv4 address, such as 192.168.1.106"#,
            ]),
        WrongManifest(
            "nullForAnOptionalField",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description:

            """,
            [
                "lab.yaml:6:15: spec.description: found nothing, expected a text of at most 1000 characters"
            ]),
        WrongManifest(
            "aNumberTooLargeForAnything",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}]
              follow: {tcp: "a:1", failures: 99999999999999999999}

            """,
            [
                "lab.yaml:7:34: spec.follow.failures: found the number 99999999999999999999, expected a whole number from 1 to 100"
            ]),
    ]
}
