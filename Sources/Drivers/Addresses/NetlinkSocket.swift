// A netlink socket: hand the kernel a request, get its answers.
// The kernel handles a request inside the send call, so its acknowledgements are already there when the call returns;
// only dumps come in pieces.

import CKernel
import Glibc

/// One netlink socket; used by one thread.
final class NetlinkSocket {
    private let descriptor: Int32
    private let name: String
    private var sequence: UInt32 = 1
    private var buffer = [UInt8](repeating: 0, count: 32_768)

    /// Opens a socket of the netlink protocol `family` (NETLINK_ROUTE, NETLINK_NETFILTER), called `name` in errors.
    init(family: Int32, name: String) throws(AddressDriverError) {
        self.name = name
        descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), family)
        guard descriptor >= 0 else {
            throw AddressDriverError(
                attempted: "open a \(name) socket", code: errno, advice: "the kernel lacks it: use Debian's kernel")
        }
        // A dump that does not come to its end stops the driver for at most this long.
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Reserves `count` sequence numbers and returns the first.
    func sequences(_ count: Int = 1) -> UInt32 {
        let first = sequence
        sequence &+= UInt32(count)
        return first
    }

    /// Sends and collects every answer that is there when the kernel has handled the request.
    func exchange(_ request: [UInt8]) throws(AddressDriverError) -> [NetlinkMessage] {
        try transmit(request)
        var answers: [NetlinkMessage] = []
        while let datagram = receive(Int32(MSG_DONTWAIT)) {
            answers += NetlinkMessage.messages(in: datagram)
        }
        return answers
    }

    /// Sends a request that the kernel answers with one acknowledgement, and returns the error number it gives (0: done).
    func acknowledged(_ request: [UInt8], sequence: UInt32) throws(AddressDriverError) -> Int32 {
        for answer in try exchange(request) where answer.sequence == sequence {
            if let code = answer.acknowledgement { return code }
        }
        throw silence()
    }

    /// Sends a request for a listing and returns its parts; `code` is not 0 when the kernel refused.
    func dump(_ request: [UInt8], sequence: UInt32) throws(AddressDriverError) -> (parts: [NetlinkMessage], code: Int32)
    {
        try transmit(request)
        var parts: [NetlinkMessage] = []
        while let datagram = receive(0) {
            for message in NetlinkMessage.messages(in: datagram) where message.sequence == sequence {
                if message.type == Int(NLMSG_DONE) { return (parts, 0) }
                if let code = message.acknowledgement { return (parts, code) }
                parts.append(message)
            }
        }
        throw silence()
    }

    private func transmit(_ request: [UInt8]) throws(AddressDriverError) {
        guard send(descriptor, request, request.count, 0) == request.count else {
            throw AddressDriverError(attempted: "send a \(name) request", code: errno)
        }
    }

    private func receive(_ flags: Int32) -> ArraySlice<UInt8>? {
        let length = recv(descriptor, &buffer, buffer.count, flags)
        return length > 0 ? buffer[..<length] : nil
    }

    private func silence() -> AddressDriverError {
        AddressDriverError(
            .refused(code: 0), attempted: "ask the kernel over \(name)", answer: "no answer",
            advice: "another program may be flooding netlink; it is tried again with the next order")
    }
}
