// Turns looks into reports: of the guests when something changed or a step has ended, of the host when it is another one
// than before, and of not being able to look. Between looks it finds out, a guest at a time, what takes longer: how a
// guest differs from its declaration, and under which addresses its disks are open.

import Cluster
import Consensus
import Kinds
import Logging
import NIOCore

struct Lookout: Sendable {
    private var looker: HostLooker
    private let steps: GuestSteps
    private let log: Logger
    private var lastObservations: [GuestObservation]?
    private var lastFacts: HostFacts?
    private var lastBlindness: String?
    private var capacity: (memoryBytes: Int64, processors: Int64)?
    /// The guest that was compared with its declaration last.
    private var compared: Int64 = 0
    /// The declared health checks, as far as they are known.
    private var checks: SortedMap<ResourceKey, HealthCheck> = [:]
    /// Guests that are compared with their declarations at each look.
    static let comparisons = 4
    /// The machines whose clients were asked for, by process.
    private var asked: SortedMap<Int, MachineProcess> = [:]

    struct Outcome {
        var reports: [GuestReport] = []
        var notes: GuestNotes
        var storageAddress: String
        /// The checks of the guests that run; nil: as before.
        var checks: SortedMap<ResourceKey, HealthCheck>?
    }

    init(looker: HostLooker, steps: GuestSteps, log: Logger) {
        self.looker = looker
        self.steps = steps
        self.log = log
    }

    mutating func look(
        at watched: [Guest], _ notes: GuestNotes, isReportDue: Bool, storageAddress: String, watchdog: Interval
    ) async -> Outcome {
        var outcome = Outcome(notes: notes, storageAddress: storageAddress)
        do throws(ProxmoxError) {
            let look = try await looker.look(at: watched)
            if capacity == nil {
                let found = try await looker.host.capacity()
                capacity = (found.memoryBytes, found.processors)
            }
            await askForClients(look, watched, &outcome)
            await compare(look, watched, &outcome.notes)
            let observations = watched.map { look.observation(of: $0, notes: outcome.notes) }
            outcome.checks = SortedMap(
                observations.compactMap { seen in
                    guard seen.state == .running, let check = checks[seen.guest.workload] else { return nil }
                    return (seen.guest.workload, check)
                })
            if isReportDue || lastBlindness != nil || observations != lastObservations {
                outcome.reports.append(.observed(observations))
            }
            lastObservations = observations
            lastBlindness = nil
            let facts = facts(look, outcome.storageAddress, watchdog)
            if facts != lastFacts { outcome.reports.append(.host(facts)) }
            lastFacts = facts
        } catch {
            let reason = error.description
            if reason != lastBlindness || isReportDue { outcome.reports.append(.blind(reason: reason)) }
            if reason != lastBlindness { log.warning("\(reason)") }
            lastBlindness = reason
        }
        return outcome
    }

    private func facts(_ look: HostLook, _ storageAddress: String, _ watchdog: Interval) -> HostFacts {
        let boot = FileText.read(looker.settings.bootFile, most: 64) ?? ""
        return HostFacts(
            boot: String(boot.filter { !$0.isWhitespace }),
            memoryBytes: max(0, (capacity?.memoryBytes ?? 0) - looker.settings.reservedMemoryBytes),
            cores: capacity?.processors ?? 0, storageAddress: storageAddress,
            watchdogMilliseconds: watchdog.milliseconds, isQuorate: look.isQuorate)
    }

    // MARK: Declaration and configuration

    /// Compares the next guests with their declarations. What was found of the others stands.
    private mutating func compare(_ look: HostLook, _ watched: [Guest], _ notes: inout GuestNotes) async {
        for workload in checks.keys where !watched.contains(where: { $0.workload == workload }) {
            checks[workload] = nil
        }
        let here = watched.filter { guest in look.summaries.contains { $0.guest == GuestNumber(guest) } }
            .sorted { $0.vmid < $1.vmid }
        // From behind the last one on, and around.
        let turn = here.filter { $0.vmid > compared } + here.filter { $0.vmid <= compared }
        for guest in turn.prefix(Self.comparisons) {
            compared = guest.vmid
            guard let number = GuestNumber(guest), let words = await differences(of: guest, number) else { continue }
            notes.words[number.number] = words.isEmpty ? nil : String(words.joined(separator: "; ").prefix(600))
        }
    }

    /// What is to be said of a guest beside its state; nil: it could not be looked at.
    private mutating func differences(of guest: Guest, _ number: GuestNumber) async -> [String]? {
        let declared: DeclaredGuest?
        do throws(StepFailure) { declared = try await steps.declared(guest) } catch { return [error.reason] }
        checks[guest.workload] = declared?.check
        guard let declared else { return [] }
        do throws(ProxmoxError) {
            let present = try await looker.host.configuration(of: number)
            let pending = try await looker.host.pendingChanges(of: number)
            return declared.wanted(over: present).drift(from: present).map(\.description)
                + (pending.isEmpty
                    ? [] : ["a restart is needed for: " + pending.map(\.setting).joined(separator: ", ")])
        } catch {
            log.debug("\(error)")
            return nil
        }
    }

    // MARK: Clients of storage

    /// Asks, for one machine that has come up since, under which addresses its disks are open here.
    private mutating func askForClients(_ look: HostLook, _ watched: [Guest], _ outcome: inout Outcome) async {
        for number in asked.keys where !look.machines.contains(where: { $0.guest.number == number }) {
            asked[number] = nil
            outcome.notes.clients[number] = nil
        }
        guard let ceph = looker.settings.ceph,
            let machine = look.machines.first(where: { machine in
                asked[machine.guest.number] != machine && watched.contains { GuestNumber($0) == machine.guest }
            })
        else { return }
        var watchers: [ImageWatcher] = []
        do throws(ProxmoxError) {
            let configuration = try await looker.host.configuration(of: machine.guest)
            let pools = try await looker.host.poolsOfCeph()
            let local = Self.localAddresses()
            for disk in configuration.disks {
                guard let storage = disk.storage, let pool = pools[storage],
                    let image = disk.volume.split(separator: ":").last
                else { continue }
                do throws(LocalProgramError) {
                    // Those of this host; in the middle of a move the other host has it open too.
                    watchers += try await ceph.watchers(of: "\(pool)/\(image)").filter { local.contains($0.address) }
                } catch {
                    log.notice("\(error)")
                    return
                }
            }
        } catch {
            log.debug("\(error)")
            return
        }
        asked[machine.guest.number] = machine
        outcome.notes.clients[machine.guest.number] = Array(SortedMap(watchers.map { ($0.text, true) }).keys.prefix(64))
        guard let address = watchers.first?.address else { return }
        if outcome.storageAddress.isEmpty { outcome.storageAddress = address }
        if watchers.contains(where: { $0.address != outcome.storageAddress }) {
            log.error(
                """
                \(machine.guest) has its disks open from \(watchers.map(\.address)), but this host's address for Ceph is \
                \(outcome.storageAddress): a fence would miss it; configure the host's storage address
                """)
        }
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
