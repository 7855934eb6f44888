// Why the API's port could not be opened, for the person who starts the agent.

import Glibc
import NIOCore

/// The API's port could not be opened.
public struct APIListeningError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(host: String, port: Int, error: IOError) {
        let remedy =
            switch error.errnoCode {
            case EADDRINUSE: "another program has the port; find it with: ss -ltnp 'sport = :\(port)'"
            case EADDRNOTAVAIL: "this machine does not have that address; compare member.json with: ip addr"
            case EACCES: "ports below 1024 are for root; run the agent as its service does"
            default: "check the address and port in member.json"
            }
        let words = String(cString: strerror(error.errnoCode))
        description = "cannot listen for the API on \(host):\(port): \(words); \(remedy)"
    }
}
