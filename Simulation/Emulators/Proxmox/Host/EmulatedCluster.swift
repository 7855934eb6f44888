// Several hosts in one process, with links between them that can be cut and a clock that is turned by hand: what tests of
// the model use. Messages arrive at once, in the order they were sent.

/// A cluster of hosts in one process.
public struct EmulatedCluster: Sendable {
    public private(set) var hosts: [String: Host] = [:]
    public let names: [String]
    public let shared: SharedVolumes
    public private(set) var now: Moment
    private var cuts: Set<String> = []
    private var off: [String: HostDisk] = [:]
    private var settingsByName: [String: HostSettings] = [:]
    private var witness = QuorumWitness()
    private var withoutWitness: Set<String> = []
    private var nextWord: Moment
    /// The interval of the nodes' words, in milliseconds.
    private static let wordInterval: Int64 = 500

    /// A cluster that has been in order for a while.
    public init(settings: [HostSettings], shared: SharedVolumes = SharedVolumes(), now: Moment) {
        self.now = now
        self.shared = shared
        nextWord = now + Self.wordInterval
        names = settings.map(\.node.name)
        for setting in settings {
            var host = Host(settings: setting, shared: shared, now: now)
            host.settle(online: names)
            if setting.hasQDevice { host.qdevice(votes: setting.node.id == 1) }
            hosts[setting.node.name] = host
            settingsByName[setting.node.name] = setting
        }
        exchangeWords()
        deliver()
        for name in hosts.keys { hosts[name]?.settle(online: names) }
    }

    /// Nodes pve1, pve2, ... of one release.
    public static func nodes(_ count: Int, release: Release = .eight, hasQDevice: Bool = false) -> [HostSettings] {
        let nodes = (1...count).map { Node(name: "pve\($0)", id: $0, address: "10.77.0.1\($0)") }
        return nodes.map { node in
            var settings = HostSettings(node: node, nodes: nodes)
            settings.release = release
            settings.hasQDevice = hasQDevice
            return settings
        }
    }

    // MARK: Hosts

    /// Reads and changes one host; what it says is delivered.
    public mutating func change<Result>(_ name: String, _ body: (inout Host) throws(APIError) -> Result)
        throws(APIError) -> Result
    {
        guard var host = hosts[name] else { throw .proxy("Connection refused") }
        let outcome: Swift.Result<Result, APIError>
        do throws(APIError) { outcome = .success(try body(&host)) } catch { outcome = .failure(error) }
        hosts[name] = host
        deliver()
        return try outcome.get()
    }

    /// Puts a file in place on all hosts.
    public mutating func install(_ path: String, _ content: String) {
        guard let first = names.first(where: { hosts[$0] != nil }) else { return }
        hosts[first]?.install(path, content)
        guard let files = hosts[first]?.files else { return }
        for name in hosts.keys { hosts[name]?.adoptFiles(files) }
    }

    public mutating func powerOff(_ name: String) {
        guard let host = hosts.removeValue(forKey: name) else { return }
        off[name] = host.disk
        shared.powerLost(name)
    }

    public mutating func powerOn(_ name: String) {
        guard let disk = off.removeValue(forKey: name), let settings = settingsByName[name] else { return }
        hosts[name] = Host(settings: settings, disk: disk, shared: shared, now: now)
    }

    public mutating func cut(_ one: String, _ other: String) {
        cuts.insert([one, other].sorted().joined(separator: "|"))
    }
    public mutating func mend(_ one: String, _ other: String) {
        cuts.remove([one, other].sorted().joined(separator: "|"))
    }
    public mutating func cutFromWitness(_ name: String) { withoutWitness.insert(name) }

    private func areConnected(_ one: String, _ other: String) -> Bool {
        !cuts.contains([one, other].sorted().joined(separator: "|"))
    }

    // MARK: Time

    /// Lets time pass.
    public mutating func advance(milliseconds: Int64) {
        let end = now + milliseconds
        while true {
            let due = ([nextWord] + hosts.values.compactMap(\.nextDue)).min() ?? end
            guard due <= end else { break }
            now = max(now, due)
            for name in names { hosts[name]?.advance(to: now) }
            if nextWord <= now {
                nextWord = now + Self.wordInterval
                exchangeWords()
            }
            deliver()
        }
        now = end
        for name in names { hosts[name]?.advance(to: now) }
        deliver()
    }

    private mutating func exchangeWords() {
        for name in names {
            guard let host = hosts[name] else { continue }
            for other in names where other != name && areConnected(name, other) {
                hosts[other]?.receive(host.alive(), from: name)
            }
            guard host.settings.hasQDevice, !withoutWitness.contains(name) else { continue }
            let votes = witness.report(
                node: host.settings.node.id, sees: host.membership.onlineNodes.map(\.id), now: now)
            hosts[name]?.qdevice(votes: votes)
        }
    }

    private mutating func deliver() {
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            for name in names {
                let waiting = hosts[name]?.outbox ?? []
                hosts[name]?.outbox = []
                for outgoing in waiting where areConnected(name, outgoing.node) {
                    isQuiet = false
                    hosts[outgoing.node]?.receive(outgoing.message, from: name)
                }
            }
        }
    }

    // MARK: Requests

    /// Asks a host, lets time pass while the request waits, and follows it to the node that has to answer.
    public mutating func ask(_ name: String, _ request: APIRequest) -> APIResponse {
        let arrived = now
        for _ in 0..<10_000 {
            guard var host = hosts[name] else { return APIResponse(.proxy("Connection refused")) }
            let verdict = host.answer(request, arrived: arrived)
            hosts[name] = host
            deliver()
            switch verdict {
            case .answer(let response):
                advance(milliseconds: response.delayMilliseconds)
                return response
            case .wait: advance(milliseconds: 100)
            case .forward(let node):
                guard hosts[node] != nil, areConnected(name, node) else {
                    return APIResponse(.proxy("Connection refused"))
                }
                return ask(node, request)
            }
        }
        return APIResponse(.proxy("Connection timed out"))
    }
}
