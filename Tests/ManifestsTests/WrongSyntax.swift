// Text that is no YAML, or YAML that manifests do not use, and what is said about it, word for word.
// The order of the lines matters: errors come from top to bottom.

extension WrongManifest {
    static let syntax: [WrongManifest] = [
        WrongManifest(
            "aFieldTwice",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              address: 192.168.1.107

            """,
            [
                "lab.yaml:6:3: spec.address: found the field a second time, expected it once: it is in line 5 already"
            ]),
        WrongManifest(
            "aFieldTwiceInQuotes",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              "address": 192.168.1.107

            """,
            [
                "lab.yaml:6:3: spec.address: found the field a second time, expected it once: it is in line 5 already"
            ]),
        WrongManifest(
            "aDocumentFieldThreeTimes",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            kind: Host
            kind: Witness

            """,
            [
                "lab.yaml:6:1: kind: found the field a second time, expected it once: it is in line 2 already",
                "lab.yaml:7:1: kind: found the field a second time, expected it once: it is in line 2 already",
            ]),
        WrongManifest(
            "aSyntaxErrorDoesNotHideTheNextDocument",
            """
            apiVersion: holdfast/v1
            kind: [Host
            ---
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: b

            """,
            [
                "lab.yaml:3:1: found no comma and no ] in the list that begins in line 2, expected one of them",
                #"lab.yaml:8:12: spec.address: found the text "b", expected an IPv4 address, such as 192.168.1.106"#,
            ]),
        WrongManifest(
            "aTabAsIndentation",
            "apiVersion: holdfast/v1\nkind: Host\nmetadata: {name: pve1}\nspec:\n\taddress: 192.168.1.106\n",
            [
                "lab.yaml:5:1: found a tab, expected spaces for indentation"
            ]),
        WrongManifest(
            "aTabAfterSpaces",
            "apiVersion: holdfast/v1\nkind: Host\nmetadata: {name: pve1}\nspec:\n  \taddress: 192.168.1.106\n",
            [
                "lab.yaml:5:3: found a tab, expected spaces for indentation"
            ]),
        WrongManifest(
            "anAtSign",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: @home

            """,
            [
                #"lab.yaml:6:16: found the character "@" at the beginning of a value, expected the text in quotes"#
            ]),
        WrongManifest(
            "aBacktick",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: `date`

            """,
            [
                #"lab.yaml:6:16: found the character "`" at the beginning of a value, expected the text in quotes"#
            ]),
        WrongManifest(
            "aColonInAText",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: left: the old one

            """,
            [
                #"lab.yaml:6:20: found a colon where no field can begin, expected one field on a line, indented like its neighbours; a text with ": " in it in quotes"#
            ]),
        WrongManifest(
            "aWrongIndentation",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata:
              name: pve1
             environment: home
            spec: {address: 192.168.1.106}

            """,
            [
                "lab.yaml:5:2: found a line that fits no field of the map it is in, expected a field, indented like its neighbours"
            ]),
        WrongManifest(
            "aFieldTooDeep",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
                description: left

            """,
            [
                #"lab.yaml:6:16: found a colon where no field can begin, expected one field on a line, indented like its neighbours; a text with ": " in it in quotes"#
            ]),
        WrongManifest(
            "noColon",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description

            """,
            [
                "lab.yaml:6:3: found a line without a colon, expected name: value"
            ]),
        WrongManifest(
            "noSpaceAfterTheColon",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address:192.168.1.106

            """,
            [
                #"lab.yaml:5:3: spec: found the text "address:192.168.1.106", expected a map with the fields address, description; did you mean address: 192.168.1.106?"#
            ]),
        WrongManifest(
            "anOpenQuote",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: "left

            """,
            [
                "lab.yaml:6:16: found a quotation mark without its partner, expected a closing one"
            ]),
        WrongManifest(
            "anOpenBracket",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: [{member: pve1}

            """,
            [
                "lab.yaml:7:1: found no comma and no ] in the list that begins in line 6, expected one of them"
            ]),
        WrongManifest(
            "anOpenBrace",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1
            spec: {address: 192.168.1.106}

            """,
            [
                "lab.yaml:4:5: found no comma and no } in the map that begins in line 3, expected one of them"
            ]),
        WrongManifest(
            "aListOnTheSameLine",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: - member: pve1

            """,
            [
                #"lab.yaml:6:15: found an entry of a list where none can begin, expected the list on lines of its own, each with "- ""#
            ]),
        WrongManifest(
            "aDashThatDoesNotFit",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates:
                - member: pve1
               - member: pve2

            """,
            [
                "lab.yaml:8:4: found a line that fits no field of the map it is in, expected a field, indented like its neighbours"
            ]),
        WrongManifest(
            "anUnknownEscape",
            #"""
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: "C:\home"

            """#,
            [
                #"lab.yaml:6:19: found a backslash with what cannot follow it, expected \\ for a backslash, or single quotes, in which a backslash is just that"#
            ]),
        WrongManifest(
            "anAnchor",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: &text left

            """,
            [
                "lab.yaml:6:16: found the anchor &text, expected the value alone: each document says everything itself"
            ]),
        WrongManifest(
            "anAlias",
            """
            apiVersion: holdfast/v1
            kind: VirtualIP
            metadata: {name: dns}
            spec:
              address: 192.168.1.2/24
              candidates: *all

            """,
            [
                "lab.yaml:6:15: found the alias *all, expected the value itself, written out"
            ]),
        WrongManifest(
            "aMergeKey",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              <<: {description: left}

            """,
            [
                #"lab.yaml:6:3: spec["<<"]: found an unknown field, expected address or description"#
            ]),
        WrongManifest(
            "aTag",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: !!str left

            """,
            [
                #"lab.yaml:6:16: found the tag "!!str", expected the value alone, in quotes if it is a text"#
            ]),
        WrongManifest(
            "aMapAsFieldName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              {a: b}: c

            """,
            [
                "lab.yaml:6:3: found a map or a list as the name of a field, expected a text"
            ]),
        WrongManifest(
            "aListAsFieldName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              ? [a, b]
              : c

            """,
            [
                "lab.yaml:6:5: found a map or a list as the name of a field, expected a text"
            ]),
        WrongManifest(
            "aDirective",
            """
            %YAML 1.2
            ---
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:1:1: found a line that begins with %, expected documents without YAML directives"
            ]),
        WrongManifest(
            "somethingAfterTheEnd",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            ...
            x: {

            """,
            [
                "lab.yaml:7:1: found something after the end of a document, expected --- on a line of its own before the next document"
            ]),
        WrongManifest(
            "aNumberAsFieldName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              1: left

            """,
            [
                "lab.yaml:6:3: spec.1: found an unknown field, expected address or description"
            ]),
        WrongManifest(
            "anEmptyFieldName",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              "": left

            """,
            [
                #"lab.yaml:6:3: spec[""]: found an unknown field, expected address or description"#
            ]),
        WrongManifest(
            "aFieldNameWithControlCharacters",
            #"""
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              "a\nb\e": left

            """#,
            [
                #"lab.yaml:6:3: spec["a\nb\u{1b}"]: found an unknown field, expected address or description"#
            ]),
        WrongManifest(
            "aControlCharacter",
            "apiVersion: holdfast/v1\nkind: Host\nmetadata: {name: pve1}\nspec:\n  address: 192.168.1.106\n  description: \"a\u{7}b\"\n",
            [
                "lab.yaml:6:18: found the control character U+0007, expected printable text, or the character as an escape in double quotes"
            ]),
        WrongManifest(
            "twoDocumentsThatLackTheirMarker",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106

            """,
            [
                "lab.yaml:6:1: apiVersion: found the field a second time, expected it once: it is in line 1 already",
                "lab.yaml:7:1: kind: found the field a second time, expected it once: it is in line 2 already",
                "lab.yaml:8:1: metadata: found the field a second time, expected it once: it is in line 3 already",
                "lab.yaml:9:1: spec: found the field a second time, expected it once: it is in line 4 already",
            ]),
        WrongManifest(
            "aBlockTextWithoutIndentation",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: |
            left

            """,
            [
                "lab.yaml:7:1: found a line without a colon, expected name: value"
            ]),
        WrongManifest(
            "aBlockHeaderThatGoesOn",
            """
            apiVersion: holdfast/v1
            kind: Host
            metadata: {name: pve1}
            spec:
              address: 192.168.1.106
              description: | left

            """,
            [
                "lab.yaml:6:18: found a text of several lines that goes wrong here, expected | or > at the end of a line, and the text indented below"
            ]),
    ]
}
