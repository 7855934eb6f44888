// The ids of boot that the containers of this machine see. A container of Docker or Podman sees its host's; LXC puts a file of
// its own over it, with an id drawn anew at each start (lxc.autodev, the default). So a container that tells its own is
// found by looking at what each container here sees.
//
// Relies on: proc(5), and the right to look into others' root folders, which is root's. What cannot be read is left out. Blocks
// while it looks at each process of the machine: not for an event loop.

import Glibc

public enum ContainerBoots {
    /// More are not looked at.
    static let mostProcesses = 65_536
    /// `NSpid` stands in the first kilobyte, unless a process is in hundreds of groups.
    private static let mostStatusBytes = 8_192
    private static let mostBootBytes = 256
    /// O_PATH of open(2), on every architecture that Swift has: names a file and does not open it.
    private static let naming: Int32 = 0o10_000_000

    /// In lower case. A container without a namespace of processes is not among them.
    public static func here(root: String = "") -> Set<String> {
        var found: Set<String> = []
        guard let stream = opendir(root + "/proc") else { return found }
        defer { closedir(stream) }
        var looked = 0
        while looked < mostProcesses, let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard Int32(name) != nil else { continue }
            looked += 1
            let process = "\(root)/proc/\(name)"
            if isFirst(process), let boot = boot(of: process) { found.insert(boot) }
        }
        return found
    }

    /// Whether a namespace of processes below ours begins with it: it has a number in each, ours first, and there it is 1.
    private static func isFirst(_ process: String) -> Bool {
        let word = "NSpid:"
        guard let status = text("\(process)/status", most: mostStatusBytes),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix(word) })
        else { return false }
        let numbers = line.dropFirst(word.count).split(whereSeparator: \.isWhitespace)
        return numbers.count > 1 && numbers.last == "1"
    }

    /// What stands where the container's processes read it.
    ///
    /// Whoever is root in a container may have put anything there: a link, which would be followed on this machine, a pipe
    /// that nobody writes, or a device that does something when it is opened (/dev/watchdog). So no link is followed, and
    /// the file is opened only when it is known to be a plain one; what it says is compared and nothing else.
    private static func boot(of process: String) -> String? {
        var place = Glibc.open("\(process)/root", naming | O_DIRECTORY | O_CLOEXEC)
        for name in ["proc", "sys", "kernel", "random"] where place >= 0 {
            let next = Glibc.openat(place, name, naming | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            close(place)
            place = next
        }
        guard place >= 0 else { return nil }
        defer { close(place) }
        let file = Glibc.openat(place, "boot_id", naming | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        // By its descriptor: that very file, whatever has taken its place since.
        guard let boot = text("/proc/self/fd/\(file)", most: mostBootBytes) else { return nil }
        return MachinePlace.uuid(boot.filter { !$0.isWhitespace })
    }

    /// Its first bytes; nil when it cannot be read.
    private static func text(_ path: String, most: Int) -> String? {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < most {
            let count = Glibc.read(file, &part, min(part.count, most - bytes.count))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
