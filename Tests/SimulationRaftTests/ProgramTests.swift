// Programs for the consensus core on its own: the form of operations and answers, and that nothing in a line stops it.

import SimulationRaft
import Testing

@Suite struct ProgramTests {
    private func answers(_ lines: String...) -> [String] {
        var program = RaftProgram()
        return lines.map { program.answer($0.utf8) }
    }

    @Test func aProgramOfOneMemberAnswersInTheDocumentedForm() {
        let answers = answers(
            #"{"op":"start","id":1,"voters":[1],"learners":[]}"#, #"{"op":"campaign","id":1}"#,
            #"{"op":"propose","id":1,"data":"x"}"#)
        #expect(
            answers.last
                == #"[{"id":1,"up":true,"role":"leader","term":1,"vote":1,"lead":1,"first":1,"commit":2,"#
                + #""log":[{"term":1,"data":""},{"term":1,"data":"x"}],"applied":["x"],"conf":"voters=(1)","reads":[]}]"#
        )
    }

    @Test func messagesWaitUntilTheyAreDelivered() {
        let start = (1...3).map { #"{"op":"start","id":\#($0),"voters":[1,2,3]}"# }
        var program = RaftProgram()
        for line in start { _ = program.answer(line.utf8) }
        #expect(program.answer(#"{"op":"campaign","id":2}"#.utf8).contains(#""role":"pre-candidate","term":0"#))
        #expect(!program.answer(#"{"op":"deliver","from":2,"to":1,"n":1}"#.utf8).contains("leader"))
        #expect(program.answer(#"{"op":"stabilize"}"#.utf8).contains(#""role":"leader","term":1,"vote":2,"lead":2"#))
        #expect(program.answer(#"{"op":"conf","id":2,"changes":["r3"]}"#.utf8).contains(#""conf":"r3""#))
        #expect(program.answer(#"{"op":"stabilize"}"#.utf8).contains(#""conf":"voters=(1 2)""#))
    }

    @Test(arguments: [
        ("x", "not JSON"), ("[]", "an operation is a JSON object"), (#"{"op":"fly"}"#, "unknown operation"),
        (#"{"op":"heal","id":1}"#, #"\"heal\" has no field \"id\""#), (#"{"op":"tick","id":0}"#, "a member's number"),
        (#"{"op":"tick","id":1,"n":99999999999}"#, "0 to 10000"), (#"{"op":"tick","id":1}"#, "was not started"),
        (#"{"op":"start","id":1,"voters":[1,1]}"#, "nobody in it twice"), (#"{"op":"crash"}"#, "a member's number"),
        (#"{"op":"propose","id":1,"data":7}"#, "as a text"), (#"{"op":"conf","id":1,"changes":["q1"]}"#, "such as"),
        (#"{"op":"deliver","from":1,"to":2,"n":-1}"#, "0 to"), (#"{"op":1}"#, "as a text"),
    ]) func aWrongLineIsAnsweredWithItsNumber(line: String, advice: String) {
        var program = RaftProgram()
        _ = program.answer("".utf8)
        let answer = program.answer(line.utf8)
        #expect(answer.contains(advice))
        #expect(answer.hasPrefix(#"{"error":"line 2: "#))
    }

    @Test func whatThisBuildCannotDoIsSaid() {
        var program = RaftProgram()
        _ = program.answer(#"{"op":"start","id":1,"voters":[1]}"#.utf8)
        for line in [
            #"{"op":"conf","id":1,"changes":["v2"]}"#,
            #"{"op":"conf","id":1,"changes":["l2","l3"]}"#,
            #"{"op":"conf","id":1,"changes":["l1"],"transition":"explicit"}"#,
        ] {
            #expect(program.answer(line.utf8).hasPrefix(#"{"error":"line "#))
            #expect(program.answer(line.utf8).contains("not in this build: "))
        }
        #expect(program.errors == 6)
    }
}
