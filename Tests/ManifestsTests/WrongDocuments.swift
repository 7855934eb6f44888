// Documents whose frame is wrong (apiVersion, kind, metadata, spec), and what is said about them, word for word.
// Each text stands for a mistake that people make.

extension WrongManifest {
    static let documents: [WrongManifest] = [
        WrongManifest(
            "anEmptyFile",
            "",
            [
                "lab.yaml: found an empty file, expected at least one resource"
            ]),
        WrongManifest(
            "onlyComments",
            """
            # nothing


            """,
            [
                "lab.yaml: found an empty file, expected at least one resource"
            ]),
        WrongManifest(
            "onlyAMarker",
            """
            ---

            """,
            [
                "lab.yaml:1:1: found an empty document, expected a resource, or no ---"
            ]),
        WrongManifest(
            "anEmptyDocumentBetweenOthers",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            ---
            # nothing
            ---
            apiVersion: holdfast/v1
            kind: Cluster
            metadata: {name: home}
            spec:
              heartbeat: 60ms

            """,
            [
                "lab.yaml:6:1: found an empty document, expected a resource, or no ---"
            ]),
        WrongManifest(
            "aMarkerAtTheEnd",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            ---

            """,
            [
                "lab.yaml:6:1: found an empty document, expected a resource, or no ---"
            ]),
        WrongManifest(
            "aListAtTheTop",
            """
            - hosts: all
              tasks: []

            """,
            [
                "lab.yaml:1:1: found a list, expected a map with the fields apiVersion, kind, metadata, spec"
            ]),
        WrongManifest(
            "aTextAtTheTop",
            """
            hello

            """,
            [
                #"lab.yaml:1:1: found the text "hello", expected a map with the fields apiVersion, kind, metadata, spec"#
            ]),
        WrongManifest(
            "aNumberAtTheTop",
            """
            42

            """,
            [
                "lab.yaml:1:1: found the number 42, expected a map with the fields apiVersion, kind, metadata, spec"
            ]),
        WrongManifest(
            "nullAtTheTop",
            """
            ~

            """,
            [
                "lab.yaml:1:1: found nothing, expected a map with the fields apiVersion, kind, metadata, spec"
            ]),
        WrongManifest(
            "anotherSystemsManifest",
            """
            apiVersion: v1
            kind: Service
            metadata: {name: a}
            spec: {ports: [80]}

            """,
            [
                #"lab.yaml:1:13: apiVersion: found the text "v1", expected holdfast/v1"#,
                #"lab.yaml:2:7: kind: found the text "Service", expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario"#,
            ]),
        WrongManifest(
            "noApiVersion",
            """
            kind: Host
            metadata: {name: pve1}
            spec: {address: 192.168.1.106}

            """,
            [
                "lab.yaml:1:1: apiVersion: found nothing, expected holdfast/v1"
            ]),
        WrongManifest(
            "noKind",
            """
            apiVersion: holdfast/v1
            metadata: {name: pve1}
            spec: {address: 192.168.1.106}

            """,
            [
                "lab.yaml:1:1: kind: found nothing, expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario"
            ]),
        WrongManifest(
            "noMetadata",
            """
            apiVersion: holdfast/v1
            kind: Host
            spec: {address: 192.168.1.106}

            """,
            [
                "lab.yaml:1:1: metadata: found nothing, expected a map with the fields name, labels, environment"
            ]),
        WrongManifest(
            "noName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {labels: {a: b}}
            spec: {address: 192.168.1.106}

            """,
            [
                "lab.yaml:3:1: metadata.name: found nothing, expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit"
            ]),
        WrongManifest(
            "noSpec",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}

            """,
            [
                "lab.yaml:1:1: spec: found nothing, expected a map with the fields address, description"
            ]),
        WrongManifest(
            "anEmptySpec",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:

            """,
            [
                "lab.yaml:4:6: spec: found nothing, expected a map with the fields address, description"
            ]),
        WrongManifest(
            "aPlannedKind",
            """
            apiVersion: holdfast/v1
            kind: Container
            metadata: {name: gitlab}
            spec: {desired: running}

            """,
            [
                #"lab.yaml:2:7: kind: found the text "Container", expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario"#
            ]),
        WrongManifest(
            "aMistypedKind",
            """
            apiVersion: holdfast/v1
            kind: VirtualIp
            metadata: {name: dns}
            spec: {}

            """,
            [
                #"lab.yaml:2:7: kind: found the text "VirtualIp", expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario; did you mean VirtualIP?"#
            ]),
        WrongManifest(
            "aNumberAsKind",
            """
            apiVersion: holdfast/v1
            kind: 7
            metadata: {name: dns}

            """,
            [
                "lab.yaml:2:7: kind: found the number 7, expected one of Cluster, Host, Witness, VirtualIP, VirtualMachine, SystemContainer, StoragePool, PlacementRule, FencePolicy, Scenario"
            ]),
        WrongManifest(
            "aStatus",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            status: {health: Healthy}

            """,
            [
                "lab.yaml:6:1: status: found an unknown field, expected one of apiVersion, kind, metadata, spec"
            ]),
        WrongManifest(
            "aMistypedMetadata",
            """
            apiVersion: holdfast/v1
            kind: Host
            metdata: {name: pve1}
            spec: {address: 192.168.1.106}

            """,
            [
                "lab.yaml:3:1: metdata: found an unknown field, expected one of apiVersion, kind, metadata, spec; did you mean metadata?"
            ]),
        WrongManifest(
            "aNumberAsName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: 106}
            spec:
              address: 192.168.1.106

            """,
            [
                #"lab.yaml:3:18: metadata.name: found the number 106, expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit; did you mean "106" in quotes?"#
            ]),
        WrongManifest(
            "aFractionAsName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: 1.10}
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:3:18: metadata.name: found the number 1.10, expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit; did you mean 1-10?"
            ]),
        WrongManifest(
            "trueAsName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: true}
            spec:
              address: 192.168.1.106

            """,
            [
                #"lab.yaml:3:18: metadata.name: found true, expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit; did you mean "true" in quotes?"#
            ]),
        WrongManifest(
            "nothingAsName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: }
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:3:18: metadata.name: found nothing, expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit"
            ]),
        WrongManifest(
            "anUpperCaseName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: PVE_1}
            spec:
              address: 192.168.1.106

            """,
            [
                #"lab.yaml:3:18: metadata.name: found the text "PVE_1", expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit; did you mean pve-1?"#
            ]),
        WrongManifest(
            "aListAsName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: [pve1]}
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:3:18: metadata.name: found a list, expected a name of 1 to 63 lower-case letters, digits and hyphens that starts and ends with a letter or digit"
            ]),
        WrongManifest(
            "aListAsMetadata",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: [pve1]
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:3:11: metadata: found a list, expected a map with the fields name, labels, environment"
            ]),
        WrongManifest(
            "aListAsSpec",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec: [address]

            """,
            [
                "lab.yaml:4:7: spec: found a list, expected a map with the fields address, description"
            ]),
        WrongManifest(
            "aTextAsSpec",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec: address

            """,
            [
                #"lab.yaml:4:7: spec: found the text "address", expected a map with the fields address, description"#
            ]),
        WrongManifest(
            "aListOfLabels",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1, labels: [a]}
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:3:32: metadata.labels: found a list, expected a map from names to texts"
            ]),
        WrongManifest(
            "aNumberAsLabel",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata:
              name: pve1
              labels:
                rack: 1
                a b: c
            spec:
              address: 192.168.1.106

            """,
            [
                #"lab.yaml:6:11: metadata.labels.rack: found the number 1, expected a text of at most 200 characters; did you mean "1" in quotes?"#,
                #"lab.yaml:7:5: metadata.labels["a b"]: found the name "a b", expected a label of 1 to 100 letters, digits, '-', '_', '.' and '/' that starts and ends with a letter or digit; did you mean a-b?"#,
            ]),
        WrongManifest(
            "twoResourcesOfOneName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            ---
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:9:18: metadata.name: found Host/pve1 a second time, expected each resource once: it is at lab.yaml:1 already"
            ]),
    ]
}
