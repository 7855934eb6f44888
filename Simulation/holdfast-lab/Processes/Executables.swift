// Finding the programs the laboratory leans on, and saying which package has a missing one. Does not run them.

import Glibc

/// Absolute paths of programs.
enum Executables {
    /// Debian's package for each program used, so that an error can say what to install.
    private static let packages = [
        "ip": "iproute2", "nft": "nftables", "unshare": "util-linux", "nsenter": "util-linux",
        "keepalived": "keepalived",
    ]

    /// The path of `name`, searched in PATH and in the system directories an ordinary user's PATH lacks.
    static func find(_ name: String) -> String? {
        if name.contains("/") { return isExecutable(name) ? absolute(name) : nil }
        let path = environment("PATH") ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return folders.lazy.map { "\($0)/\(name)" }.first(where: isExecutable)
    }

    static func require(_ name: String) throws -> String {
        if let path = find(name) { return path }
        let package = packages[name] ?? name
        throw LabError("the program \"\(name)\" is missing; install it with: apt install \(package)")
    }

    /// This program.
    static func own() throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { throw LabError("find my own path at /proc/self/exe: \(errorText(errno))") }
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The folder this program lies in.
    static func ownFolder() throws -> String {
        "/" + (try own().split(separator: "/").dropLast().joined(separator: "/"))
    }

    static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 && !isDirectory(path) }

    static func isDirectory(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    /// `path` from the root, so that it keeps its meaning in a process with another working directory.
    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        return "\(currentDirectory())/\(path)"
    }

    static func currentDirectory() -> String {
        guard let path = getcwd(nil, 0) else { return "/" }
        defer { free(path) }
        return String(cString: path)
    }
}

/// The value of an environment variable; nil when unset or empty.
func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}
