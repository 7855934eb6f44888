// How many owners of an address there were at once, told from the answers on the wire.

import Testing

@testable import holdfast_lab

@Suite struct OwnershipTests {
    /// Asks `count` times; `answering` names who answers each question.
    private func ownership(_ count: Int, answering: (Int) -> [String]) -> Ownership {
        var ownership = Ownership()
        for question in 0..<count {
            ownership.ask(at: Int64(question) * 100)
            for (order, owner) in answering(question).enumerated() {
                _ = ownership.answer(from: owner, node: nil, at: Int64(question) * 100 + Int64(order) + 1)
            }
        }
        return ownership
    }

    @Test func aCleanHandOverHasOneOwnerAtATime() {
        #expect(ownership(100) { [$0 < 50 ? "a" : "b"] }.ownersAtOnce == 1)
    }

    @Test func twoAnswersToOneQuestionAreTwoOwners() {
        #expect(ownership(100) { $0 == 50 ? ["a", "b"] : ["a"] }.ownersAtOnce == 2)
    }

    @Test func answersInTurnsAreTwoOwners() {
        #expect(ownership(100) { [$0.isMultiple(of: 2) ? "a" : "b"] }.ownersAtOnce == 2)
    }

    @Test func comingBackAfterALongSilenceIsNotOwningMeanwhile() {
        #expect(ownership(100) { [(30..<60).contains($0) ? "b" : "a"] }.ownersAtOnce == 1)
    }

    @Test func nobodyAnsweringIsNoOwner() {
        let nobody = ownership(100) { _ in [] }
        #expect(nobody.ownersAtOnce == 0)
        #expect(nobody.all.isEmpty)
    }

    @Test func everyOwnerIsListedWithItsAnswers() {
        let owners = ownership(10) { [$0 < 4 ? "a" : "b"] }.all
        #expect(owners.map(\.hardwareAddress) == ["a", "b"])
        #expect(owners.map(\.answers) == [4, 6])
    }
}
