// Stories are short, and a plan that fails is shrunk to one that can be kept.

import SimulationWorld
import Testing

@testable import holdfast_sim

@Suite struct StoryTests {
    /// An expectation that cannot hold, among faults that have nothing to do with it.
    private let failing = """
        about: The address is expected where it cannot be.
        duration: 60s
        hosts: {pve1: {}, pve2: {}}
        members: {witness: {kind: witness}}
        addresses: {dns: {candidates: [pve1, pve2]}}
        clients: {count: 2}
        timeline:
          - {at: 5s, do: pause-agent witness 100ms}
          - {at: 10s, do: power-off pve1}
          - {at: 12s, do: step-clock pve2 1h}
          - {at: 20s, do: expect-holder dns pve1}
        """

    @Test func aFailureIsShrunkToWhatMatters() throws {
        let plan = try ScenarioFiles.plan(Array(failing.utf8), file: "failing.yaml")
        let shrunk = try #require(Story.shrink(plan))
        #expect(shrunk.plan.timeline.map { "\($0.action)" } == ["power-off pve1", "expect-holder dns pve1"])
        #expect(shrunk.lines.count <= Story.mostLines)
        let again = try ScenarioFiles.plan(Array(shrunk.scenario.utf8), file: "shrunk.yaml")
        let result = World(again).run()
        #expect(result.violations.first?.words == "dns is held by pve2, expected pve1")
        #expect(result.hash == shrunk.result.hash)
    }

    @Test func whatHoldsIsNotShrunk() throws { #expect(Story.shrink(try Tree.plan("host-dies")) == nil) }

    @Test func aLongStoryIsCutToItsFaultsAndItsEnd() throws {
        let story = World(try Tree.plan("leadership-handed-around"), tells: true).run().story
        for most in [10, 20, 30] {
            let lines = Story.short(story, most: most)
            #expect(lines.count <= most)
            #expect(lines.last == story.last?.text)
        }
        #expect(Story.short(Array(story.prefix(3))).count == 3)
    }
}
