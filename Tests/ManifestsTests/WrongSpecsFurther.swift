// The second half of the specs with mistakes; see WrongSpecs.swift.
// Split so that a file stays readable.

extension WrongManifest {
    static let furtherSpecs: [WrongManifest] = [
        WrongManifest(
            "aLossMistyped",
            """
            apiVersion: holdfast/v1
            kind: Scenario
            metadata: {name: pve1-dies}
            spec:
              lost: ["hots/pve1"]

            """,
            [
                #"lab.yaml:5:10: spec.lost[0]: found the text "hots/pve1", expected a loss such as host/pve1, vm/gitlab, link/pve1:pve2 or network/pve1; did you mean host/pve1?"#
            ]),
        WrongManifest(
            "aLinkOfOneEnd",
            """
            apiVersion: holdfast/v1
            kind: Scenario
            metadata: {name: cut}
            spec:
              lost: ["link/pve1"]
              expect: {staysDown: [gitlab]}

            """,
            [
                #"lab.yaml:5:10: spec.lost[0]: found the text "link/pve1", expected a loss such as host/pve1, vm/gitlab, link/pve1:pve2 or network/pve1"#,
                #"lab.yaml:6:24: spec.expect.staysDown[0]: found the text "gitlab", expected KIND/NAME of a workload or an address, or cluster"#,
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
                "lab.yaml:5:3: spec.adress: found an unknown field, expected one of address, addresses, interface, vlan, createVLAN, candidates, follow, preempt; did you mean address?",
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
