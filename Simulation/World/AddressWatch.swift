// What an onlooker who sees everything knows of each address: who answered when, how long nobody did, and what a client
// that probes it noticed.

import Cluster
import Consensus

struct AddressWatch {
    struct Record {
        let name: String
        let role: ResourceKey
        /// True time until which somebody answers, as things stand.
        var coveredUntil: Int64 = .min
        /// Since when nobody has answered.
        var silentSince: Int64?
        var gaps: [RunResult.Gap] = []
        var mostOwners = 0
        /// The machine the client sends to.
        var cached: Int?
        var lastEcho: Int64 = .min
        var lastSent: Int64 = .min
        var silences: [RunResult.Gap] = []

        /// Takes note of who answers now. `coveredUntil` is in the past when nobody does.
        /// - Returns: whether the last holder had fallen silent because nobody renewed it.
        mutating func saw(owners: Int, coveredUntil next: Int64, now: Int64) -> Bool {
            mostOwners = max(mostOwners, owners)
            let ranOut = silentSince == nil && coveredUntil != .min && coveredUntil < now
            if ranOut { silentSince = coveredUntil }
            if next > now {
                if let from = silentSince { gaps.append(RunResult.Gap(from: from, to: now)) }
                silentSince = nil
                coveredUntil = next
            } else if coveredUntil != .min {
                if silentSince == nil { silentSince = min(coveredUntil, now) }
                coveredUntil = min(coveredUntil, now)
            }
            return ranOut
        }

        mutating func echoed(sent: Int64, now: Int64, every: Int64, began: Int64) {
            if lastSent != .min, sent - lastSent > 2 * every {
                silences.append(RunResult.Gap(from: lastSent - began, to: sent - began))
            }
            lastSent = max(lastSent, sent)
            lastEcho = max(lastEcho, now)
        }
    }

    var records: [Record]

    init(addresses: [Plan.Address], machines: Int) {
        records = addresses.map {
            Record(name: $0.name, role: ResourceKey(kind: "VirtualIP", name: $0.name))
        }
    }

    func index(of role: ResourceKey) -> Int? { records.firstIndex { $0.role == role } }

    mutating func cache(_ number: Int, _ owner: Int) { records[number].cached = owner }
}
