// A host that is really there: the model with a clock, an HTTPS server, links to the other hosts, and, if wanted, a folder
// that stands for /etc/pve and processes that stand for guests. Power is cut by ending the process; a cable by cutting
// what it is connected with. Everything it has, it keeps in memory, but for the disk's file.

import Foundation
import NIOCore
import NIOPosix

/// What a host process is started with.
public struct HostProcessOptions: Sendable {
    public var settings: HostSettings
    /// Where the API listens.
    public var listen: PeerAddress
    /// Where the other hosts answer, by name.
    public var peers: [String: PeerAddress]
    /// Where a quorum device answers; nil without one.
    public var witness: PeerAddress?
    /// What survives an end of the process; nil keeps nothing.
    public var stateFile: String?
    /// Where the certificate is kept; nil makes a new one at each start.
    public var certificateFile: String?
    /// Where every request that is no GET is noted when it comes, as pveproxy does: milliseconds since 1970, method, path.
    public var accessLog: String?
    /// The folder that stands for /etc/pve.
    public var pveDirectory: PveDirectory?
    /// Processes that stand for guests; nil simulates them.
    public var guestProcesses: GuestProcesses?

    public init(settings: HostSettings, listen: PeerAddress, peers: [String: PeerAddress] = [:]) {
        self.settings = settings
        self.listen = listen
        self.peers = peers
    }
}

/// A running host.
public actor HostProcess {
    private var host: Host
    private let options: HostProcessOptions
    private var peers: [String: PeerAddress]
    private let listener: HTTPSListener
    private let client = PeerClient()
    private let clock = ContinuousClock()
    private let begin: (instant: ContinuousClock.Instant, moment: Moment)
    private var savedVersion: HostDisk?
    private var certificate: ServerCertificate
    /// Of the API, since the start.
    private var requests = 0
    /// What the folder for /etc/pve was last made to show.
    private var shownState = ""

    /// The port the API listens on.
    public nonisolated let port: Int

    public nonisolated var name: String { options.settings.node.name }

    /// Opens the socket. Nothing is answered before `run`.
    /// - Throws: when the address is taken, or the state's file cannot be read.
    public init(_ options: HostProcessOptions, shared: SharedVolumes = SharedVolumes()) async throws {
        var options = options
        let own = options.settings.node
        certificate =
            try options.certificateFile.map { try ServerCertificate(node: own, keptIn: $0) }
            ?? ServerCertificate(node: own)
        options.settings.fingerprint = certificate.fingerprint
        listener = try await HTTPSListener.open(
            host: options.listen.host, port: options.listen.port, certificate: certificate,
            group: MultiThreadedEventLoopGroup.singleton)
        port = listener.port
        let moment = Moment(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
        begin = (clock.now, moment)
        let disk = try options.stateFile.flatMap(Self.readDisk) ?? HostDisk()
        host = Host(settings: options.settings, disk: disk, shared: shared, now: moment)
        self.options = options
        peers = options.peers
    }

    private static func readDisk(_ path: String) throws -> HostDisk? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return try JSONDecoder().decode(HostDisk.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// Where the others answer, when that is known only after all have opened their sockets.
    public func setPeers(_ peers: [String: PeerAddress]) { self.peers = peers }

    public var fingerprint: String { certificate.fingerprint }
    public var authorityPEM: String { certificate.authorityPEM }

    /// Lives until the task is cancelled.
    public func run() async throws {
        syncDirectory()
        var failure: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.listener.run { await self.answer($0) } }
                group.addTask { try await self.tick() }
                for peer in self.options.settings.nodes.map(\.name) where peer != self.name {
                    group.addTask { try await self.speak(to: peer) }
                }
                if self.options.witness != nil { group.addTask { try await self.askWitness() } }
                _ = try await group.next()
                group.cancelAll()
            }
        } catch is CancellationError {
            // Ended as it was asked to.
        } catch { failure = error }
        // However it ended.
        try await client.close()
        options.pveDirectory?.close()
        options.guestProcesses?.endAll()
        if let failure { throw failure }
    }

    /// Says farewell to the others, as a host that is shut down in order does.
    public func leave() async {
        await deliver(peers.keys.map { Outgoing(node: $0, message: .leaves) })
    }

    // MARK: The model's surroundings

    private var now: Moment {
        let passed = begin.instant.duration(to: clock.now)
        return begin.moment
            + (passed.components.seconds * 1_000 + passed.components.attoseconds / 1_000_000_000_000_000)
    }

    /// Reads and changes the model at the present moment, with what happened in the folder taken in before and what
    /// came of it carried out after.
    @discardableResult
    public func change<Result: Sendable>(_ body: @Sendable (inout Host) throws -> Result) async rethrows -> Result {
        host.advance(to: now)
        takeDirectory()
        let result: Result
        do { result = try body(&host) } catch {
            await settle()
            throw error
        }
        await settle()
        return result
    }

    private func settle() async {
        syncDirectory()
        carryOutOrders()
        save()
        let outgoing = host.outbox
        host.outbox = []
        await deliver(outgoing)
    }

    /// Carries words to the others. A write is not answered before the others have it, or have been silent for a second.
    private func deliver(_ outgoing: [Outgoing]) async {
        guard !outgoing.isEmpty else { return }
        let client = client
        let name = name
        await withDiscardingTaskGroup { group in
            for (node, letters) in Dictionary(grouping: outgoing, by: \.node) {
                guard let peer = peers[node] else { continue }
                group.addTask {
                    _ = await client.send(letters.map(\.message), from: name, to: peer, within: .seconds(1))
                }
            }
        }
    }

    private func tick() async throws {
        while true {
            try await clock.sleep(for: .milliseconds(50))
            await change { _ in }
        }
    }

    private func speak(to node: String) async throws {
        while true {
            host.advance(to: now)
            let word = host.alive()
            if let peer = peers[node] {
                // Who answers is there, as who speaks is.
                if await client.send([word], from: name, to: peer, within: .seconds(2)) { await heard(of: node) }
            }
            try await clock.sleep(for: .milliseconds(500))
        }
    }

    private func heard(of node: String) async { await change { $0.heard(of: node) } }

    private func askWitness() async throws {
        while true {
            if let witness = options.witness {
                host.advance(to: now)
                let sees = host.membership.onlineNodes.map(\.id)
                if let votes = await client.askWitness(witness, node: options.settings.node.id, sees: sees) {
                    await change { $0.qdevice(votes: votes) }
                }
            }
            try await clock.sleep(for: .milliseconds(500))
        }
    }

    private func carryOutOrders() {
        let orders = host.orders
        host.orders = []
        guard let processes = options.guestProcesses else { return }
        for order in orders {
            switch order {
            case .stop(let guest, _): processes.stop(guest)
            case .start(let guest, let pid, let isIncoming):
                let node = self
                let real = processes.start(guest, node: name, isIncoming: isIncoming) { ended in
                    Task { await node.ended(guest, ended) }
                }
                if let real {
                    host.processStarted(guest, pid: pid, realPID: real)
                } else {
                    host.processEnded(guest, pid: pid)
                }
            }
        }
    }

    private func ended(_ guest: GuestID, _ pid: Int) async { await change { $0.processEnded(guest, pid: pid) } }

    private func save() {
        guard let path = options.stateFile else { return }
        let disk = host.disk
        guard disk != savedVersion, let data = try? JSONEncoder().encode(disk) else { return }
        do {
            try data.write(to: URL(fileURLWithPath: path), options: .atomic)
            savedVersion = disk
        } catch {
            FileHandle.standardError.write(Data("state not written to \(path): \(error)\n".utf8))
        }
    }

    // MARK: /etc/pve

    private func takeDirectory() {
        guard let directory = options.pveDirectory else { return }
        for change in directory.changes() {
            do throws(APIError) {
                switch change {
                case .renamed(let from, let target): try host.rename(from, to: target)
                case .written(let path, let content): try host.writeByHand(path, content)
                }
                directory.accepted(change)
            } catch {
                host.noteRefusedChange("\(change): \(error.reason)")
            }
        }
    }

    private func syncDirectory() {
        guard let directory = options.pveDirectory else { return }
        let shown = "\(host.files.version) \(host.isFolderWritable) \(host.membership.onlineNodes.map(\.name))"
        guard shown != shownState || directory.wasChanged else { return }
        shownState = shown
        directory.show(host.visibleFiles, isWritable: host.isFolderWritable)
    }

    // MARK: Requests

    private func answer(_ wire: WireRequest) async -> WireResponse {
        let parts = wire.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = PercentText.decode(String(parts[0]))
        if path == PeerClient.path { return await takeLetter(wire) }
        guard path == "/api2/json" || path.hasPrefix("/api2/json/") else {
            return WireResponse(status: 404, reason: "Not found")
        }
        noteAccess(wire.method, path)
        var request = APIRequest(
            method: wire.method, path: String(path.dropFirst("/api2/json".count)),
            credentials: Credentials(
                authorization: wire.headers.first(name: "Authorization"),
                cookie: wire.headers.first(name: "Cookie"), csrf: wire.headers.first(name: "CSRFPreventionToken")))
        if parts.count > 1 { request.addForm(parts[1]) }
        if !wire.body.isEmpty {
            guard addBody(wire, to: &request) else { return Self.wire(APIResponse(.died("malformed JSON string"))) }
        }
        return await answer(request, wire)
    }

    private func noteAccess(_ method: String, _ path: String) {
        requests += 1
        guard let file = options.accessLog, method != "GET" else { return }
        let descriptor = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let line = Array("\(Int64(Date().timeIntervalSince1970 * 1_000)) \(method) \(path)\n".utf8)
        if write(descriptor, line, line.count) != line.count {
            FileHandle.standardError.write(Data("\(file) not written: errno \(errno)\n".utf8))
        }
    }

    private func addBody(_ wire: WireRequest, to request: inout APIRequest) -> Bool {
        let text = String(decoding: wire.body, as: UTF8.self)
        guard wire.headers.first(name: "Content-Type")?.hasPrefix("application/json") == true else {
            request.addForm(text)
            return true
        }
        guard case .object(let members)? = try? JSON(text: text) else { return false }
        request.parameters.merge(members) { _, body in body }
        return true
    }

    private func answer(_ request: APIRequest, _ wire: WireRequest) async -> WireResponse {
        let arrived = now
        do {
            while let until = host.faults.hangsUntil, until > now { try await clock.sleep(for: .milliseconds(50)) }
            let fault = await change { $0.faults.takeAnswer(method: request.method, path: request.path) }
            var ending = WireResponse.Ending.whole
            switch fault {
            case .status(let code, let reason)?:
                return WireResponse(status: code, reason: reason, headers: [(PeerClient.reasonHeader, reason)])
            case .cut?: ending = .cut
            case .half?: ending = .half
            case .slow(let milliseconds)?: try await clock.sleep(for: .milliseconds(milliseconds))
            case nil: break
            }
            var response = try await carryOut(request, wire, arrived: arrived)
            response.ending = ending
            return response
        } catch {
            return WireResponse(status: 599, reason: "cancelled", ending: .cut)
        }
    }

    private func carryOut(_ request: APIRequest, _ wire: WireRequest, arrived: Moment) async throws -> WireResponse {
        while true {
            switch await change({ $0.answer(request, arrived: arrived) }) {
            case .answer(let response):
                if response.delayMilliseconds > 0 {
                    try await clock.sleep(for: .milliseconds(response.delayMilliseconds))
                }
                return Self.wire(response)
            case .wait: try await clock.sleep(for: .milliseconds(50))
            case .forward(let node):
                guard let peer = peers[node] else { return WireResponse(status: 595, reason: "Connection refused") }
                return await client.forward(wire, to: peer)
            }
        }
    }

    private static func wire(_ response: APIResponse) -> WireResponse {
        var headers = [(PeerClient.reasonHeader, response.reason), ("Cache-Control", "max-age=0")]
        guard let body = response.body else {
            return WireResponse(status: response.status, reason: response.reason, headers: headers)
        }
        headers.append(("Content-Type", "application/json;charset=UTF-8"))
        return WireResponse(
            status: response.status, reason: response.reason, headers: headers, body: Array(body.serialized.utf8))
    }

    private func takeLetter(_ wire: WireRequest) async -> WireResponse {
        guard let letter = try? JSONDecoder().decode(PeerLetter.self, from: Data(wire.body)) else {
            return WireResponse(status: 400, reason: "no letter")
        }
        host.advance(to: now)
        takeDirectory()
        for message in letter.messages { host.receive(message, from: letter.from) }
        syncDirectory()
        carryOutOrders()
        save()
        // Answers to other hosts' words go their own way, or two hosts would wait for each other.
        let outgoing = host.outbox
        host.outbox = []
        if !outgoing.isEmpty { Task { await self.deliver(outgoing) } }
        return WireResponse(status: 200, reason: "OK")
    }

    // MARK: Orders

    /// Carries out an order of the control socket.
    public func control(_ order: JSON) async -> JSON {
        do {
            switch order["command"]?.string {
            case "expire-certificate", "renew-certificate":
                let expired = order["command"]?.string == "expire-certificate"
                certificate = try ServerCertificate(node: options.settings.node, expired: expired)
                listener.use(certificate)
                return ["ok": 1, "fingerprint": .string(certificate.fingerprint)]
            case "run": return try await runCommand((order["words"]?.array ?? []).compactMap(\.string))
            case "leave":
                await leave()
                return ["ok": 1]
            default:
                guard let reply = try await change({ try $0.control(order) }) else {
                    return ["error": .string("unknown command \(order["command"]?.string ?? "")")]
                }
                guard order["command"]?.string == "status", case .object(var fields) = reply else { return reply }
                fields["requests"] = .integer(requests)
                return .object(fields)
            }
        } catch let error as APIError {
            return ["error": .string(error.reason)]
        } catch {
            return ["error": .string("\(error)")]
        }
    }

    /// pvecm, qm, pct.
    private func runCommand(_ words: [String]) async throws -> JSON {
        var outcome: CommandOutcome
        switch await change({ $0.command(words) }) {
        case .done(let done): outcome = done
        case .waits(let upid):
            outcome = CommandOutcome(code: 255, errors: "got timeout\n")
            // Longer than any task of the emulator that nobody has delayed.
            let deadline = now + 600_000
            while now < deadline {
                if let done = await change({ $0.outcome(of: upid) }) {
                    outcome = done
                    break
                }
                try await clock.sleep(for: .milliseconds(50))
            }
        }
        return ["code": .integer(Int(outcome.code)), "out": .string(outcome.output), "err": .string(outcome.errors)]
    }
}
