// Starts a program, feeds it text, and waits for its end, from a plain thread. For `nft` when the driver starts; the
// health checks, which are asynchronous anyway, use swift-subprocess.

import CKernel
import Consensus
import Glibc

enum Program {
    struct End {
        /// 0 when it succeeded; the number of the signal plus 128 when it was killed.
        let status: Int32
        /// The first 4 KiB of what it wrote to standard error.
        let errors: String
    }

    /// Runs the program at `path` with `input` as standard input, for at most `limitSeconds` (then it is killed).
    /// It runs in the network namespace of the calling thread.
    static func run(_ path: String, _ arguments: [String], input: String, limitSeconds: Int) throws(AddressDriverError)
        -> End
    {
        // A file in memory: a pipe could block, or raise SIGPIPE when the program ends early.
        let text = Array(input.utf8)
        let standardInput = holdfast_memory_file(text, text.count)
        guard standardInput >= 0 else {
            throw AddressDriverError(
                attempted: "prepare the input of \(path)", code: -standardInput, advice: "free some memory")
        }
        defer { close(standardInput) }
        var outward: [Int32] = [-1, -1]
        let code = holdfast_pipe(&outward)
        guard code == 0 else {
            throw AddressDriverError(
                attempted: "open a pipe to \(path)", code: -code, advice: "raise the limit of open files")
        }
        defer { close(outward[0]) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, standardInput, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, outward[1], 2)
        _ = holdfast_spawn_close_from(&actions, 3)

        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [
            strdup("LC_ALL=C"), strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil,
        ]
        defer { (words + environment).forEach { free($0) } }
        var process: pid_t = 0
        let failure = posix_spawn(&process, path, &actions, nil, &words, &environment)
        close(outward[1])
        guard failure == 0 else { throw AddressDriverError(attempted: "start \(path)", code: failure) }
        let errors = readUntilClosed(outward[0], limitSeconds: limitSeconds)
        if errors == nil { kill(process, SIGKILL) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return End(
            status: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f),
            errors: errors ?? "no end in \(limitSeconds) s")
    }

    /// Reads until the other side closes; nil when that takes longer than allowed.
    private static func readUntilClosed(_ descriptor: Int32, limitSeconds: Int) -> String? {
        var kept: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1024)
        let end = BootClock.now() + Interval.seconds(Int64(limitSeconds))
        while true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = (end - BootClock.now()).milliseconds
            if left <= 0 { return nil }
            guard poll(&waiting, 1, Int32(left)) > 0 else { continue }
            let count = read(descriptor, &chunk, chunk.count)
            if count <= 0 { return String(decoding: kept, as: UTF8.self) }
            kept += chunk.prefix(Swift.min(count, 4096 - kept.count))
        }
    }
}
