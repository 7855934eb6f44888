// How agents connect with their certificates and have them replaced: what Sources/Runtime/Peers and CertificateKeeper do,
// on the clocks of the world.
//
// Nothing of it is an event of the queue, and nothing draws from what others draw from: as long as everybody believes
// everybody, a run is what it would be without certificates.
//
// Does not: send requests for a signature frame by frame (an attempt is over at once, and what it would have taken is added
// to the pause after it), wait for the next attempt to connect (at most a second in the product), or check what clients of
// the API are shown.

import Cluster
import Consensus
import Decisions

extension World {
    /// Milliseconds an attempt takes with a host that is not there, and with one whose agent says nothing (PinnedRequest).
    private static let connectTimeout: Int64 = 5_000
    private static let answerTimeout: Int64 = 10_000

    func wallMilliseconds(of machine: Machine) -> Int64 {
        machine.clock.wallMilliseconds(of: machine.reading(at: now))
    }

    // MARK: Connections

    /// Whether a frame finds a connection, or one can be made for it now.
    func connects(_ from: Machine, to: Machine) -> Bool { certificates.isCalm || connectsInDoubt(from, to) }

    private func connectsInDoubt(_ from: Machine, _ to: Machine) -> Bool {
        if certificates.stands(from: from.index, to: to.index) { return true }
        guard isThere(from), isThere(to) else { return false }
        guard believes(from, to), believes(to, from) else {
            if certificates.tellOnce(from: from.index, to: to.index) {
                note(27, from.index, UInt64(to.index))
                let (one, other) = believes(from, to) ? (to, from) : (from, to)
                tell(
                    "\(from.name) cannot connect to \(to.name): "
                        + "\(one.name) does not accept the certificate of \(other.name)")
            }
            return false
        }
        certificates.connect(from: from.index, to: to.index)
        return true
    }

    private func believes(_ machine: Machine, _ other: Machine) -> Bool {
        certificates.isBelieved(other.index, at: wallMilliseconds(of: machine))
    }

    /// Whether its agent takes part in a handshake.
    private func isThere(_ machine: Machine) -> Bool { machine.process?.isPaused == false && !machine.isFrozen }

    /// A process that ended, and a machine that is held still, which answers no TCP (TCP_USER_TIMEOUT is a second).
    func endConnections(of machine: Machine) {
        guard !certificates.isCalm else { return }
        for other in machines.indices {
            certificates.disconnect(from: machine.index, to: other)
            certificates.disconnect(from: other, to: machine.index)
        }
    }

    /// A cut ends a connection at once, which is more hostile than TCP; and one way is enough, since TCP needs both.
    func endCutConnections() {
        guard !certificates.isCalm else { return }
        for from in machines.indices {
            for to in machines.indices where !areWired(from, to) { certificates.disconnect(from: from, to: to) }
        }
    }

    private func areWired(_ one: Int, _ other: Int) -> Bool {
        isReachable(from: one, to: other) && isReachable(from: other, to: one)
    }

    /// Something changed of which it depends who is believed.
    func reconsiderCertificates() {
        certificates.reconsider(now: now, walls: machines.map { wallMilliseconds(of: $0) }) { from, to in
            machines[from].process != nil && machines[to].process != nil && !machines[from].isFrozen
                && !machines[to].isFrozen && areWired(from, to)
        }
    }

    // MARK: Looking

    /// An agent starts: with the certificate it has, or with the one it has joined with.
    func takeUpCertificate(of machine: Machine) {
        let index = machine.index
        if certificates.held[index] == nil {
            let hosts = machines.filter { $0.plan.kind == .host && $0.hasJoined }
            let signer = hosts.first { $0.process != nil && $0 !== machine } ?? hosts.first ?? machine
            certificates.admit(
                index, signerWall: wallMilliseconds(of: signer), isNew: machine.plan.joinsLater,
                draws: Draws(seed: plan.seed, purpose: 20_000 + UInt64(index)))
        }
        if var held = certificates.held[index] {
            held.renewal = Self.renewal(of: held.shown, &held.draws)
            held.nextReading = machine.reading(at: now)
            certificates.held[index] = held
        }
        lookAtCertificate(of: machine)
        reconsiderCertificates()
    }

    private static func renewal(of shown: Certificates.Certificate, _ draws: inout Draws) -> CertificateRenewal {
        CertificateRenewal(begins: shown.begins, ends: shown.ends, jitterPermille: draws.number(0...999))
    }

    /// All looks up to a moment at which something else happens. Before that nothing changes that they depend on.
    func lookAtCertificates(through end: Int64) {
        while certificates.nextLook <= end {
            now = max(now, certificates.nextLook)
            for index in certificates.lookers(at: now) { lookAtCertificate(of: machines[index]) }
            reconsiderCertificates()
        }
    }

    /// The next look, as the boot clock goes now. While its process or its machine stands still it does not look.
    func planLook(of machine: Machine) {
        guard let held = certificates.held[machine.index] else { return }
        let isAble = isThere(machine)
        certificates.held[machine.index]?.nextLook =
            isAble ? max(machine.clock.trueTime(of: held.nextReading), now) : .max
        certificates.findNextLook()
    }

    private func lookAtCertificate(of machine: Machine) {
        let reading = machine.reading(at: now)
        guard isThere(machine), var held = certificates.held[machine.index], held.nextReading <= reading else {
            return planLook(of: machine)
        }
        let wall = machine.clock.wallMilliseconds(of: reading)
        var spent: Int64 = 0
        if case .renew = held.renewal.step(now: wall) { spent = renew(&held, of: machine, wall) }
        var pause: Int64 = 1_000
        if case .wait(let milliseconds) = held.renewal.step(now: wall) { pause = milliseconds }
        held.nextReading = reading + .milliseconds(pause + spent)
        certificates.held[machine.index] = held
        planLook(of: machine)
    }

    // MARK: Renewing

    /// - Returns: how long the attempt took, milliseconds.
    private func renew(_ held: inout Certificates.Held, of machine: Machine, _ wall: Int64) -> Int64 {
        // A host holds the authority's key.
        let (signed, spent) =
            machine.plan.kind == .host ? (certificates.signed(at: wall), 0) : signature(for: machine, wall)
        guard let signed, signed.isValid(at: wall), certificates.authority?.isValid(at: wall) == true else {
            fail(&held, of: machine, wall)
            return spent
        }
        note(26, machine.index, 1)
        tell("\(machine.name): the certificate is renewed")
        let isLonger = signed.ends > held.shown.ends || wall < held.shown.begins
        held.shown = signed
        if isLonger { held.renewal = Self.renewal(of: signed, &held.draws) } else { fail(&held, of: machine, wall) }
        return spent
    }

    private func fail(_ held: inout Certificates.Held, of machine: Machine, _ wall: Int64) {
        note(26, machine.index, 0)
        held.renewal.failed(now: wall, jitterPermille: held.draws.number(0...999))
        if held.renewal.failures == 1 { tell("\(machine.name): the certificate was not renewed; asking again") }
    }

    /// Asks one host after the other, until one has signed what is valid by the asker's clock.
    private func signature(for machine: Machine, _ wall: Int64) -> (Certificates.Certificate?, spent: Int64) {
        let known = machine.process?.core.state.members ?? [:]
        let hosts = machines.filter { host in
            host.plan.kind == .host && host.hasJoined && host !== machine && (known.isEmpty || known[host.id] != nil)
        }
        var spent: Int64 = 0
        for host in hosts.sorted(by: { $0.id < $1.id }) {
            guard host.isPowered, areWired(machine.index, host.index) else {
                spent += Self.connectTimeout
                continue
            }
            guard let process = host.process else { continue }
            guard !process.isPaused else {
                spent += Self.answerTimeout
                continue
            }
            // Its own certificate need not be valid any more: the key proves who asks. The host's must be.
            guard certificates.isBelieved(host.index, at: wall) else { continue }
            let members = process.core.state.members
            guard members.isEmpty || members[machine.id] != nil else { continue }
            let signed = certificates.signed(at: wallMilliseconds(of: host))
            if signed.isValid(at: wall) { return (signed, spent) }
        }
        return (nil, spent)
    }
}
