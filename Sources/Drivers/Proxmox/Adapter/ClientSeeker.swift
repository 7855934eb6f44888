// Finds out under which addresses the disks of guests here are open in Ceph, while they live: looking for them after a
// failure may name the wrong host. On its own beside the looks, since Ceph hangs exactly when looking matters most.

import Cluster
import Consensus
import Logging
import NIOCore

/// What was found.
struct FoundClients: Sendable {
    /// By the numbers of guests; a guest that ends loses its entry.
    var clients: SortedMap<Int, [String]> = [:]
    /// The address of this host's clients; empty until one was found.
    var storageAddress = ""
}

struct ClientSeeker: Sendable {
    private let host: ProxmoxHost
    private let ceph: CephFence
    private let log: Logger
    /// The machines whose clients were asked for.
    private var asked: SortedMap<Int, MachineProcess> = [:]

    init(host: ProxmoxHost, ceph: CephFence, log: Logger) {
        self.host = host
        self.ceph = ceph
        self.log = log
    }

    /// Asks for the clients of the machines that have come up since.
    mutating func seek(_ machines: [MachineProcess], _ found: FoundClients) async -> FoundClients {
        var found = found
        for number in asked.keys where !machines.contains(where: { $0.guest.number == number }) {
            asked[number] = nil
            found.clients[number] = nil
        }
        for machine in machines where asked[machine.guest.number] != machine {
            if Task.isCancelled { break }
            guard let watchers = await watchers(of: machine.guest) else { continue }
            asked[machine.guest.number] = machine
            found.clients[machine.guest.number] = Array(SortedMap(watchers.map { ($0.text, true) }).keys.prefix(64))
            note(watchers, machine.guest, &found)
        }
        return found
    }

    /// nil: it could not be asked, or has not opened its disks yet; next time.
    private func watchers(of guest: GuestNumber) async -> [ImageWatcher]? {
        var watchers: [ImageWatcher] = []
        var hasImages = false
        do throws(ProxmoxError) {
            let configuration = try await host.configuration(of: guest)
            let pools = try await host.poolsOfCeph()
            let local = Self.localAddresses()
            for disk in configuration.disks {
                guard let storage = disk.storage, let pool = pools[storage],
                    let image = disk.volume.split(separator: ":").last
                else { continue }
                hasImages = true
                do throws(LocalProgramError) {
                    // Those of this host; in the middle of a move the other host has it open too.
                    watchers += try await ceph.watchers(of: "\(pool)/\(image)").filter { local.contains($0.address) }
                } catch {
                    log.notice("\(error)")
                    return nil
                }
            }
        } catch {
            log.debug("\(error)")
            return nil
        }
        // A machine is there a while before it has opened its disks: asked in between, and never again, this host's address
        // for Ceph would stay unknown, and nobody could fence it.
        return hasImages && watchers.isEmpty ? nil : watchers
    }

    private func note(_ watchers: [ImageWatcher], _ guest: GuestNumber, _ found: inout FoundClients) {
        guard let address = watchers.first?.address else { return }
        if found.storageAddress.isEmpty { found.storageAddress = address }
        guard watchers.contains(where: { $0.address != found.storageAddress }) else { return }
        log.error(
            """
            \(guest) has its disks open from \(watchers.map(\.address)), but this host's address for Ceph is \
            \(found.storageAddress); a fence bars all of them. Configure the host's storage address
            """)
    }

    private static func localAddresses() -> [String] {
        ((try? System.enumerateDevices()) ?? []).compactMap { $0.address?.ipAddress }
    }
}

extension ProxmoxHost {
    /// The pools of Ceph (with their namespaces) behind the storages that are images in them.
    func poolsOfCeph() async throws(ProxmoxError) -> SortedMap<String, String> {
        let attempted = "ask which storages lie in Ceph"
        let data = try await client.get("/storage", [("type", "rbd")], attempted: attempted)
        guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
        var pools: SortedMap<String, String> = [:]
        for entry in entries {
            guard let storage = entry["storage"]?.lenientText, entry["type"]?.lenientText == "rbd" else { continue }
            let pool = entry["pool"]?.lenientText ?? "rbd"
            pools[storage] = entry["namespace"]?.lenientText.map { "\(pool)/\($0)" } ?? pool
        }
        return pools
    }
}
