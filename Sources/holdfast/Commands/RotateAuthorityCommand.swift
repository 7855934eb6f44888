// `holdfast cluster rotate-authority`: another authority takes the place of the present one while everything runs.

import API
import ArgumentParser
import Cluster

struct RotateAuthority: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-authority",
        abstract: "Puts a new authority in the place of the present one, while everything runs.",
        discussion: """
            First every member learns to trust the new authority beside the old one; then the new one signs, and members and
            contexts have their certificates renewed by themselves; when nobody needs the old one any more, it is not trusted
            any more. No connection ends for it. A member that is away is waited for until it is back or removed; a person's
            context is renewed by its next use, for which there is --operators-within. Until the new authority signs, --cancel
            ends the rotation.
            """)

    @Flag(help: "Only say how far a rotation is and what it waits for.") var status = false
    @Flag(help: "End a rotation whose new authority has not signed yet.") var cancel = false
    @Option(help: "How long people have for using their contexts once, 1m to 168h.")
    var operatorsWithin = TimeLimit(duration: .seconds(604_800))
    @Flag(help: "Wait until it is over, at most --timeout (60s).") var wait = false
    @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
    @OptionGroup var rehearsal: RehearsalOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !(status && cancel) else { throw ValidationError("Either --status or --cancel.") }
        guard operatorsWithin.duration >= .seconds(60) else {
            throw ValidationError("People have a minute to a week: --operators-within 1m to 168h.")
        }
    }

    func run() async throws {
        if status { return try await show() }
        let question =
            cancel
            ? "Keep the present authority, and forget the one that was to take its place?"
            : "Put a new authority in the place of the present one?"
        try Terminal.current.confirm(question, unless: yes || rehearsal.dryRun)
        let seconds = operatorsWithin.duration.components.seconds
        let deadline =
            ContinuousClock.now + (try connection.timeout?.duration ?? ConnectionOptions.limit(usually: .seconds(60)))
        let outcome = try await connection.withClient(dryRun: rehearsal.dryRun) { client, limit in
            guard !cancel else { return try await client.cancelRotation(within: limit) }
            return try await client.rotate(RotateRequest(operatorsWithinSeconds: seconds), within: limit)
        }
        if wait, !rehearsal.dryRun {
            try await Waiting.until(deadline, "the old authority is not trusted any more") { _ in
                // With the context as the file has it then: asking is using it, which is waited for too.
                try await authority().rotation?.sentences ?? []
            }
        }
        output.show(outcome)
    }

    private func authority() async throws -> AuthorityDocument {
        try await connection.withClient { client, limit in
            try await client.authority(.linearizable, within: limit)
        }
    }

    private func show() async throws {
        let answer = try await authority()
        output.show(answer, name: { answer.trusted.map(\.pin).joined(separator: "\n") }) { _ in
            let trusted = answer.trusted.map { "trusted: \($0.shortName)" }
            return (trusted + (answer.rotation?.sentences ?? ["no rotation is under way"])).joined(separator: "\n")
        }
    }
}
