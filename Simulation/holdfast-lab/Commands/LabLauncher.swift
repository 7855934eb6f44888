// Starting a lab: checks that the machine can carry one, and puts the keeper into namespaces of its own. Whatever is
// missing is named, with what to install or to set.

import CKernel
import Glibc

/// Starts and ends keepers.
enum LabLauncher {
    /// Starts the machines of a lab, without agents.
    /// - Parameter leashed: the lab ends with this process, however that ends.
    /// - Throws: when one is up in that folder already.
    static func start(_ directory: LabDirectory, leashed: Bool = false) throws -> KeeperClient {
        for program in ["ip", "nft", "nsenter"] { _ = try Executables.require(program) }
        let unshare = try Executables.require("unshare")
        if try KeeperClient.find(directory) != nil {
            throw LabError("a lab is up in \(directory.path) already; end it with: holdfast-lab down", exitCode: 4)
        }
        try directory.create(nodes: Topology.homelab.nodes.map(\.name))
        let userNamespace = geteuid() != 0
        var arguments = [unshare] + (userNamespace ? ["--user", "--map-root-user"] : [])
        arguments += ["--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
        arguments += [try Executables.own(), "keeper", "--dir", directory.path]
        if userNamespace { arguments.append("--user-namespace") }
        let leash = leashed ? try makePipe() : nil
        if leashed { arguments.append("--leash") }
        let said = try firstLine(
            of: arguments, input: leash.map { .descriptor($0.reading) } ?? .nothing,
            log: try directory.appending(directory.keeperLog))
        guard said == "ready" else { throw try explain(said, directory: directory, userNamespace: userNamespace) }
        var client = try KeeperClient(directory)
        client.leash = leash?.writing
        return client
    }

    private static func firstLine(of arguments: [String], input: Stream, log: Descriptor) throws -> String {
        let (reading, child) = try startKeeper(arguments, input: input, log: log)
        let deadline = Deadline.after(milliseconds: 30_000)
        var bytes: [UInt8] = []
        while bytes.last != UInt8(ascii: "\n") {
            guard !waitReadable([reading.number], until: deadline).isEmpty else {
                child.signal(SIGKILL)
                throw LabError.timedOut("the lab's machines did not start within 30 s")
            }
            guard let more = readAvailable(reading.number) else { break }
            bytes += more
        }
        return String(decoding: bytes.filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    private static func startKeeper(
        _ arguments: [String], input: Stream, log: Descriptor
    ) throws -> (Descriptor, ChildProcess) {
        let pipe = try makePipe()
        let child = try ChildProcess(
            arguments, input: input, output: .descriptor(pipe.writing), errors: .descriptor(log), ownSession: true)
        return (pipe.reading, child)
    }

    /// Why the keeper did not start.
    private static func explain(_ said: String, directory: LabDirectory, userNamespace: Bool) throws -> LabError {
        if !said.isEmpty { return LabError("start the lab: \(said)") }
        let log = (try? lastLine(of: directory.keeperLog)) ?? "nothing in \(directory.keeperLog)"
        guard userNamespace else {
            return LabError(
                "start the lab: \(log); as root this needs CAP_SYS_ADMIN and CAP_NET_ADMIN (in a container: --privileged)"
            )
        }
        return LabError(
            "start the lab: \(log); an ordinary user needs user namespaces: sysctl user.max_user_namespaces above 0, "
                + "kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0 where they exist; "
                + "or run it as root")
    }

    private static func lastLine(of file: String) throws -> String {
        let number = open(file, O_RDONLY | O_CLOEXEC)
        let descriptor = try Descriptor(checking: number < 0 ? -errno : number, "read \(file)")
        let text = String(decoding: readAvailable(descriptor.number) ?? [], as: UTF8.self)
        return text.split(separator: "\n").last.map(String.init) ?? "no reason given"
    }
}
