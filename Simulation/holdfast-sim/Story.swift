// Stories for people: what happened, cut to what fits one screen, and the shrunk story of a plan that fails.

import Foundation
import SimulationFaults
import SimulationScenarios
import SimulationWorld

enum Story {
    /// Lines of a story that is to be read at once.
    static let mostLines = 30

    /// The story's faults and its end, with a word where lines were left out.
    static func short(_ story: [StoryLine], most: Int = mostLines) -> [String] {
        guard story.count > most else { return story.map(\.text) }
        // Faults are what a reader looks for; they get up to half of the room, the end gets the rest.
        let faults = story.indices.filter { story[$0].words.hasPrefix("— ") }.suffix(most / 2)
        var chosen = Array(faults)
        var next = story.count - 1
        while chosen.count < most - 3, next >= 0 {
            if !faults.contains(next) { chosen.append(next) }
            next -= 1
        }
        chosen.sort()
        var lines: [String] = []
        var last = -1
        var marks = 0
        for index in chosen {
            if index > last + 1, marks < 3, lines.count + 1 < most {
                lines.append("  … \(index - last - 1) lines")
                marks += 1
            }
            lines.append(story[index].text)
            last = index
        }
        return Array(lines.suffix(most))
    }

    /// The plan as small as it fails, with its story.
    struct Shrunk {
        let plan: Plan
        let tries: Int
        let result: RunResult

        var lines: [String] { Story.short(result.story) }

        /// A scenario file that fails in the same way, the story in comments below.
        var scenario: String {
            var text = ScenarioWriter.text(plan)
            text += "# What happens, after \(tries) runs of shrinking:\n"
            for line in lines { text += "#   \(line)\n" }
            for violation in result.violations {
                text +=
                    "# FAILED \(violation.invariant) at t+\(TimeText.seconds(violation.at)): \(violation.words)\n"
            }
            return text
        }
    }

    /// Nil when the plan does not fail.
    static func shrink(_ plan: Plan, mostTries: Int = 400) -> Shrunk? {
        guard let violation = World(plan).run().violations.first else { return nil }
        var shrinker = Shrinker(plan, violation, mostTries: mostTries)
        shrinker.run()
        return Shrunk(plan: shrinker.plan, tries: shrinker.tries, result: World(shrinker.plan, tells: true).run())
    }
}

/// A scenario file, or the number of a seed with what its plan was drawn by.
enum PlanSource {
    static func plan(_ name: String, seed: UInt64?, length: String, profile: Profile) throws -> Plan {
        if let drawn = UInt64(name), !FileManager.default.fileExists(atPath: name) {
            return Swarm.plan(seed: drawn, length: try Arguments.length(length), profile: profile)
        }
        var plan = try ScenarioFiles.plan(name)
        if let seed { plan.seed = seed }
        return plan
    }
}
