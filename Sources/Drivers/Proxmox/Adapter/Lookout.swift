// Turns looks into reports: of the guests when something changed or a step has ended, of the host when it is another one
// than before, and of not being able to look. Now and then it finds out, a guest at a time, how it differs from its
// declaration.

import Cluster
import Consensus
import Kinds
import Logging

struct Lookout: Sendable {
    private var looker: HostLooker
    private let steps: GuestSteps
    private let log: Logger
    private var lastObservations: [GuestObservation]?
    private var lastFacts: HostFacts?
    private var lastBlindness: String?
    private var capacity: (memoryBytes: Int64, processors: Int64)?
    /// The guest whose declaration was read last, and the one that was compared with its declaration last.
    private var read: Int64 = 0
    private var compared: Int64 = 0
    /// The declared health checks, as far as they are known.
    private var checks: SortedMap<ResourceKey, HealthCheck> = [:]
    /// Declarations that are read at each look, and guests that are compared with theirs at each thorough one: the API
    /// of Proxmox is slow, and costs the host more than the answer is worth.
    static let readings = 4
    static let comparisons = 2

    struct Outcome {
        var reports: [GuestReport] = []
        var notes: GuestNotes
        /// The machines of watched guests that run.
        var machines: [MachineProcess] = []
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
        var outcome = Outcome(notes: notes)
        do throws(ProxmoxError) {
            let look = try await looker.look(at: watched, isReportDue: isReportDue || lastBlindness != nil)
            if capacity == nil {
                let found = try await looker.host.capacity()
                capacity = (found.memoryBytes, found.processors)
            }
            outcome.machines = look.machines.filter { machine in watched.contains { GuestNumber($0) == machine.guest } }
            await takeDeclarations(look, watched, &outcome.notes)
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
            let facts = facts(look, storageAddress, watchdog)
            if facts != lastFacts { outcome.reports.append(.host(facts)) }
            lastFacts = facts
        } catch {
            let reason = error.description
            if reason != lastBlindness || isReportDue {
                // Before the first look the cluster's word on this host is all there is, and what of it is certainly otherwise:
                // a watchdog that the process before has left armed is to be fed meanwhile.
                outcome.reports.append(
                    lastFacts == nil
                        ? .refused(boot: boot, watchdogMilliseconds: watchdog.milliseconds, reason: reason)
                        : .blind(reason: reason))
            }
            if reason != lastBlindness { log.warning("\(reason)") }
            lastBlindness = reason
        }
        return outcome
    }

    private var boot: String {
        String((FileText.read(looker.settings.bootFile, most: 64) ?? "").filter { !$0.isWhitespace })
    }

    private func facts(_ look: HostLook, _ storageAddress: String, _ watchdog: Interval) -> HostFacts {
        var facts = HostFacts(
            boot: boot,
            memoryBytes: max(0, (capacity?.memoryBytes ?? 0) - looker.settings.reservedMemoryBytes),
            cores: capacity?.processors ?? 0, storageAddress: storageAddress,
            watchdogMilliseconds: watchdog.milliseconds, isQuorate: look.isQuorate)
        facts.pauseMilliseconds = looker.settings.corosyncTimes().map { Int64($0.pause) }
        return facts
    }

    // MARK: Declaration and configuration

    /// Reads the next declarations for their health checks, and now and then compares guests with theirs. What was found
    /// of the others stands.
    private mutating func takeDeclarations(_ look: HostLook, _ watched: [Guest], _ notes: inout GuestNotes) async {
        for workload in checks.keys where !watched.contains(where: { $0.workload == workload }) {
            checks[workload] = nil
        }
        let here = watched.filter { guest in look.summaries.contains { $0.guest == GuestNumber(guest) } }
            .sorted { $0.vmid < $1.vmid }
        for guest in Self.turn(here, after: read).prefix(Self.readings) {
            read = guest.vmid
            // What is wrong with a declaration is told when it is compared.
            if let declared = try? await steps.declared(guest) { checks[guest.workload] = declared.check }
        }
        guard look.isThorough else { return }
        for guest in Self.turn(here, after: compared).prefix(Self.comparisons) {
            compared = guest.vmid
            guard let number = GuestNumber(guest), let words = await differences(of: guest, number) else { continue }
            notes.words[number.number] = words.isEmpty ? nil : String(words.joined(separator: "; ").prefix(600))
        }
    }

    /// From behind a guest on, and around.
    private static func turn(_ guests: [Guest], after vmid: Int64) -> [Guest] {
        guests.filter { $0.vmid > vmid } + guests.filter { $0.vmid <= vmid }
    }

    /// What is to be said of a guest beside its state; nil: it could not be looked at.
    private func differences(of guest: Guest, _ number: GuestNumber) async -> [String]? {
        let declared: DeclaredGuest?
        do throws(StepFailure) { declared = try await steps.declared(guest) } catch { return [error.reason] }
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
}
