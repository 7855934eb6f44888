// What a program may ask for and this build's consensus cannot do, in one place. The differential test leaves these out
// and says so; when one is built, its line goes and the generator takes it up.

/// A part of the operations that waits for the consensus core.
public enum NotInThisBuild: String, CaseIterable, Sendable {
    case explicitTransitions = "a joint configuration that waits to be left (conf with the transition explicit)"
    case votersAtOnce = "a voter that was not a learner first (conf with v of somebody new)"
    case learnersWithin = "a new learner among several changes (conf with l of somebody new, and others)"

    var error: RaftProgramError { RaftProgramError("not in this build: \(rawValue)") }
}
