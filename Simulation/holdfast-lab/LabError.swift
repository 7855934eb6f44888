// What can go wrong in the laboratory, in one line for the person: what was attempted, on what, what came back, what to
// try. It carries no stack and is never caught to be ignored.

/// A failure of the laboratory, told in one line.
struct LabError: Error, CustomStringConvertible {
    var description: String
    /// Exit code of the program; interfaces of the cluster's own command line use the same ones.
    var exitCode: Int32 = 2

    init(_ description: String, exitCode: Int32 = 2) {
        self.description = description
        self.exitCode = exitCode
    }

    /// `result` of a kernel call that answers -errno.
    static func kernel(_ attempted: String, _ result: Int32) -> LabError {
        LabError("\(attempted): \(errorText(-result))")
    }

    static let timedOutCode: Int32 = 7
    static func timedOut(_ description: String) -> LabError { LabError(description, exitCode: timedOutCode) }
}
