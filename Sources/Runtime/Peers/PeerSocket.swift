// Socket options of peer connections. They decide how soon a dead host is noticed.

import Glibc
import NIOCore

enum PeerSocket {
    /// Frames leave at once (no Nagle). What was sent and is not acknowledged for a second ends the connection
    /// (TCP_USER_TIMEOUT, tcp(7)); one that is silent is asked after two seconds, so that one whose other end lost
    /// power does not stand forever.
    static func prepare(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try options.setOption(.socketOption(.so_keepalive), value: 1)
        try options.setOption(.tcpOption(.tcp_nodelay), value: 1)
        for (name, value) in [
            (TCP_KEEPIDLE, 2), (TCP_KEEPINTVL, 1), (TCP_KEEPCNT, 2), (TCP_USER_TIMEOUT, 1_000),
        ] as [(CInt, Int)] {
            try options.setOption(.tcpOption(NIOBSDSocket.Option(rawValue: name)), value: value)
        }
    }
}
