// Thin words for the few system calls used all over the laboratory: descriptors that close themselves, errno as text,
// waiting for readability, clocks. No policy.

import CKernel
import Glibc

/// The system's words for an error number.
func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }

/// An open file descriptor that closes with its last reference.
final class Descriptor {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    deinit { close(number) }

    /// - Throws: when `number` is the -errno of a failed kernel call.
    convenience init(checking number: Int32, _ attempted: String) throws {
        guard number >= 0 else { throw LabError.kernel(attempted, number) }
        self.init(number)
    }

    /// Writes all of `text`. Blocks as long as the reader does; callers use it for short lines only.
    func write(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw LabError("write: \(errorText(errno))") }
            rest = rest.dropFirst(count)
        }
    }
}

/// A pipe, both ends closed on exec.
func makePipe() throws -> (reading: Descriptor, writing: Descriptor) {
    var ends: [Int32] = [-1, -1]
    let result = lab_pipe(&ends)
    guard result == 0 else { throw LabError.kernel("make a pipe", result) }
    return (Descriptor(ends[0]), Descriptor(ends[1]))
}

/// A point in time by which something must have happened, on the clock that counts through suspend.
struct Deadline {
    let nanoseconds: Int64

    static func after(milliseconds: Int) -> Deadline {
        Deadline(nanoseconds: lab_boot_clock() + Int64(milliseconds) * 1_000_000)
    }

    var remainingMilliseconds: Int { max(0, Int((nanoseconds - lab_boot_clock() + 999_999) / 1_000_000)) }
    var hasPassed: Bool { lab_boot_clock() >= nanoseconds }
}

/// Which of `descriptors` can be read, or have ended, before the deadline; empty at the deadline.
func waitReadable(_ descriptors: [Int32], until deadline: Deadline) -> Set<Int32> {
    while true {
        var polls = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let count = poll(&polls, nfds_t(polls.count), Int32(clamping: deadline.remainingMilliseconds))
        if count > 0 { return Set(polls.filter { $0.revents != 0 }.map(\.fd)) }
        if count == 0 && deadline.hasPassed { return [] }
        if count < 0 && errno != EINTR { return [] }
    }
}

/// What can be read now, at most 64 KiB: nil at the end of the stream.
func readAvailable(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count > 0 { return Array(buffer[..<count]) }
        if count < 0 && errno == EINTR { continue }
        if count < 0 && errno == EAGAIN { return [] }
        return nil
    }
}
