// What Proxmox's watchdog-mux and the device behind it do, as a value: clients that are to be heard of, and when the machine
// is reset. Pure: it is told what happens and when, nanoseconds of any clock that does not go back.
//
//     a client falls silent ──── 60 s ───▶ ┐
//     a client goes without leave ───────▶ ┴ the device is fed no more ──── 10 s ───▶ reset
//
// As in the real one there is no way back: once the device is fed no more, nothing that a client says helps.

struct WatchdogModel: Equatable {
    /// A client that is silent for longer has hung. Proxmox's program waits 60 s (watchdog-mux.c: client_watchdog_timeout).
    private let clientNanoseconds: Int64
    /// From the last feeding of the device to the reset (watchdog-mux.c: watchdog_timeout).
    static let deviceNanoseconds: Int64 = 10_000_000_000
    static let farewell = UInt8(ascii: "V")

    private struct Client: Equatable {
        var heardAt: Int64
        var tookLeave = false
    }

    /// - Parameter seconds: from the last word of a client that hangs to the reset, the device's ten included.
    init(seconds: Int = 70) {
        let client = Int64(seconds) * 1_000_000_000 - Self.deviceNanoseconds
        precondition(client > 0, "the device alone takes ten seconds")
        clientNanoseconds = client
    }

    private var clients: [Int32: Client] = [:]
    /// Since when the device is fed no more.
    private(set) var starvedAt: Int64?

    /// When the machine is reset; nil: nobody lets it be.
    var resetsAt: Int64? { starvedAt.map { $0 + Self.deviceNanoseconds } }

    /// When it must be looked at again at the latest; nil: whenever something happens.
    var nextLook: Int64? {
        resetsAt ?? clients.values.map { $0.heardAt + clientNanoseconds }.min()
    }

    mutating func connected(_ client: Int32, at now: Int64) { clients[client] = Client(heardAt: now) }

    /// Whatever a client says keeps the machine alive; its last word counts as its farewell or does not.
    mutating func said(_ bytes: [UInt8], by client: Int32, at now: Int64) {
        guard clients[client] != nil, !bytes.isEmpty else { return }
        clients[client] = Client(heardAt: now, tookLeave: bytes.contains(Self.farewell))
    }

    mutating func ended(_ client: Int32, at now: Int64) {
        if clients.removeValue(forKey: client)?.tookLeave == false { starve(now) }
    }

    /// Time has passed.
    mutating func look(at now: Int64) {
        if clients.values.contains(where: { now - $0.heardAt >= clientNanoseconds }) { starve(now) }
    }

    private mutating func starve(_ now: Int64) { if starvedAt == nil { starvedAt = now } }
}
