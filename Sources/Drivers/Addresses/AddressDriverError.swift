// What goes wrong with an address, said so that a person knows what to do next.

import Glibc

/// Why the address driver could not start, or could not carry out an order.
public struct AddressDriverError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Cause: Hashable, Sendable {
        /// Another process serves the addresses of this host.
        case alreadyRunning
        /// The process lacks a capability.
        case notPermitted
        /// The kernel or a program refused, with its error number (0: none).
        case refused(code: Int32)
        /// The order itself cannot be carried out.
        case unusable
    }

    public let cause: Cause
    /// What was attempted, and on what.
    public let attempted: String
    /// What the other side said.
    public let answer: String
    /// What to try next.
    public let advice: String

    public var description: String { "\(attempted): \(answer); \(advice)" }

    init(_ cause: Cause, attempted: String, answer: String, advice: String) {
        self.cause = cause
        self.attempted = attempted
        self.answer = answer
        self.advice = advice
    }

    /// What the kernel answered with the error number `code`. `capability` is what the attempt needs.
    init(attempted: String, code: Int32, capability: String = "CAP_NET_ADMIN", advice: String? = nil) {
        let isForbidden = code == EPERM || code == EACCES
        self.init(
            isForbidden ? .notPermitted : .refused(code: code),
            attempted: attempted,
            answer: "\(Self.text(of: code)) (\(code))",
            advice: isForbidden
                ? "this needs \(capability): run as root, or give the service AmbientCapabilities=\(capability)"
                : advice ?? "see the kernel log (dmesg)")
    }

    /// An order that makes no sense as given.
    static func unusable(_ attempted: String, _ answer: String, advice: String) -> AddressDriverError {
        AddressDriverError(.unusable, attempted: attempted, answer: answer, advice: advice)
    }

    /// The system's text for an error number.
    static func text(of code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
