// A cluster and short ways to ask it, for the tests of the model's behaviours.

@testable import ProxmoxEmulator

struct Bench {
    var cluster: EmulatedCluster
    static let token = Credentials.token(name: "ops@pve!agent", secret: "secret")
    static let machine = GuestID(.qemu, 100)

    init(
        nodes count: Int = 2, release: Release = .eight, hasQDevice: Bool = false, sharedType: String = "dir",
        configure: (inout HostSettings) -> Void = { _ in }
    ) {
        var settings = EmulatedCluster.nodes(count, release: release, hasQDevice: hasQDevice)
        for position in settings.indices { configure(&settings[position]) }
        cluster = EmulatedCluster(settings: settings, now: Moment(seconds: 1_795_000_000))
        var access = Access()
        access.addUser("ops@pve", password: "password")
        access.addToken("ops@pve!agent", secret: "secret")
        access.grant("Administrator", to: "ops@pve")
        cluster.install(Host.accessFile, Host.encoded(access))
        let shared = Storage(
            name: "shared1", type: sharedType, isShared: true, content: ["images"], path: "/mnt/shared",
            total: 1 << 40)
        cluster.install(Host.storageFile, Host.text(of: [.local, shared]))
    }

    func host(_ name: String) -> Host? { cluster.hosts[name] }

    mutating func add(
        _ vmid: Int, on node: String = "pve1", _ kind: GuestKind = .qemu, isRunning: Bool = false,
        settings: [String: String]? = nil
    ) throws {
        let disk = "shared1:\(vmid)/vm-\(vmid)-disk-0.qcow2,size=1G"
        let usual = kind == .qemu ? ["memory": "64", "scsi0": disk] : ["memory": "64", "rootfs": disk]
        try cluster.change(node) { host throws(APIError) in
            do { try host.addGuest(GuestID(kind, vmid), settings: settings ?? usual, isRunning: isRunning) } catch {
                throw .died("\(error)")
            }
        }
    }

    @discardableResult
    mutating func ask(
        _ method: String, _ path: String, _ parameters: [String: JSON] = [:], at node: String = "pve1",
        as credentials: Credentials = Bench.token
    ) -> APIResponse {
        cluster.ask(node, APIRequest(method: method, path: path, parameters: parameters, credentials: credentials))
    }

    /// Sets a task off and follows it.
    /// - Returns: how it ended; the reason when there was no task.
    @discardableResult
    mutating func run(
        _ method: String, _ path: String, _ parameters: [String: JSON] = [:], at node: String = "pve1"
    ) -> String {
        let response = ask(method, path, parameters, at: node)
        guard let upid = response.body?["data"]?.string.flatMap(UPID.init) else { return response.reason }
        return end(of: upid) ?? "still running"
    }

    mutating func end(of upid: UPID) -> String? {
        for _ in 0..<2_000 {
            if let status = cluster.hosts[upid.node]?.tasks[upid]?.exitStatus { return status }
            cluster.advance(milliseconds: 100)
        }
        return nil
    }

    func isRunning(_ guest: GuestID = Bench.machine, on node: String) -> Bool {
        cluster.hosts[node]?.running[guest] != nil
    }
}
