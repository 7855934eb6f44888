// Announcing held addresses, again and again in the beginning, and heeding others who claim them. Nothing here lets an
// address speak or takes it away: an announcement without a lease does not leave this host, and a claim of somebody else
// is no reason to let go, because anybody on the network can make one.

import Cluster
import Consensus
import Glibc
import Kinds

extension AddressHolder {
    func announce(_ present: HeldRole) {
        for place in present.places {
            guard BootClock.now() < present.until else { return }
            let code = announcer.announce(place.address, on: place.link)
            guard code != 0 else { continue }
            log.notice(
                "announcing \(place.address) on \(place.link.name): \(AddressDriverError.text(of: code)); repeated")
        }
    }

    func repeatAnnouncement(_ role: ResourceKey, _ present: HeldRole) {
        let isFirst = present.announcements.count == Announcer.repeats.count
        announce(present)
        _ = held.update(role) { $0.announcements.removeFirst() }
        // An answer arrives as a conflict. Taking over did not wait for it: the lease already says whose it is.
        if isFirst { for place in present.places { announcer.probe(place.address, on: place.link) } }
    }

    /// Reads what others said about our addresses: the cluster is told, and the network hears once more where the
    /// addresses are (RFC 5227 section 2.4 c), at most once a second.
    func heedConflicts() {
        for conflict in announcer.conflicts() {
            for (role, present) in held.pairs where present.stage == .holding {
                let now = BootClock.now()
                guard let place = present.places.first(where: { $0.address == conflict.address }),
                    now >= present.quietAboutConflictsUntil,
                    announcer.hardwareAddress(of: place.link) != conflict.hardwareAddress
                else { continue }
                let other = conflict.hardwareAddress.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                    .joined(separator: ":")
                log.warning("\(conflict.address) of \(role) is also used by \(other); find that machine")
                report(.conflict(role: role, address: conflict.address.description, hardwareAddress: other))
                _ = held.update(role) { $0.quietAboutConflictsUntil = now + .seconds(1) }
                announce(present)
            }
        }
    }
}
