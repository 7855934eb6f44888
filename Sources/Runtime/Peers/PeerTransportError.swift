// Why the peer port could not be opened, for the person who starts the agent.

import Glibc
import NIOCore

/// The peer port could not be opened.
public struct PeerTransportError: Error, Sendable, CustomStringConvertible {
    public let host: String
    public let port: Int
    public let description: String

    init(host: String, port: Int, error: any Error) {
        self.host = host
        self.port = port
        description =
            "cannot listen for peers on \(Endpoint(host: host, port: port)): "
            + ListeningFailure.words(error, port: port)
    }
}

/// Why a port could not be opened, and what to do about it.
public enum ListeningFailure {
    public static func words(_ error: any Error, port: Int) -> String {
        let code = (error as? IOError)?.errnoCode
        let remedy =
            switch code {
            case EADDRINUSE: "another program has the port; find it with: ss -ltnp 'sport = :\(port)'"
            case EADDRNOTAVAIL: "this machine does not have that address; compare member.json with: ip addr"
            case EACCES: "ports below 1024 are for root; run the agent as its service does"
            default: "check the address and port in member.json"
            }
        let words = code.map { String(cString: strerror($0)) } ?? "\(error)"
        return "\(words); \(remedy)"
    }
}

/// Too many connections at once that have not proved an identity.
struct TooManyConnections: Error {}
