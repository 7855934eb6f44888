// Hears when an interface of this host comes, goes, or gets or loses its carrier (man 7 rtnetlink, RTMGRP_LINK). What has
// become of which, the holder looks up itself: notices may be lost, and a look at what is there cannot be wrong.

import CKernel
import Glibc

/// One thread only.
final class InterfaceWatch {
    /// Readable when something happened.
    let descriptor: Int32

    init() throws(AddressDriverError) {
        let flags = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        descriptor = socket(AF_NETLINK, flags, Int32(NETLINK_ROUTE))
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = UInt32(RTMGRP_LINK)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard descriptor >= 0, code == 0 else {
            throw AddressDriverError(attempted: "watch the interfaces of this host", code: errno)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether something happened since the last call. Reads everything that is there.
    func hasNews() -> Bool {
        var hasNews = false
        var byte: UInt8 = 0
        // More than fits in the socket's buffer is told as an error, which is news as well.
        while recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 || errno == ENOBUFS { hasNews = true }
        return hasNews
    }
}
