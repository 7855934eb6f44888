// What can be wrong with the files of an identity, in words that name the file and the way out.

import Glibc

/// A file of an identity cannot be used, or an operation on it failed.
public struct IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, or the folder.
    public var path: String
    public var problem: String
    /// What to do about it.
    public var remedy: String

    init(_ path: String, _ problem: String, remedy: String) {
        self.path = path
        self.problem = problem
        self.remedy = remedy
    }

    /// A failed system call.
    static func system(_ path: String, _ attempted: String, remedy: String, code: Int32 = errno) -> IdentityError {
        IdentityError(path, "cannot \(attempted): \(String(cString: strerror(code)))", remedy: remedy)
    }

    public var description: String { "\(path): \(problem); \(remedy)" }
}
