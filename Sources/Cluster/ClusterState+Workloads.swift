// The part of a snapshot's bytes that concerns workloads and the hosts that run them. Fields 44 to 46, 51 and 52 of the state;
// StateCoding.swift has the form.

import Consensus

extension StateWriter {
    mutating func write(_ state: ClusterState) {
        for (key, placement) in state.placements.pairs { record(44) { $0.write(placement, of: key) } }
        for (name, host) in state.hosts.pairs { record(45) { $0.write(host, named: name) } }
        if let disarmed = state.disarmed {
            record(46) {
                $0.field(1, disarmed.revision)
                $0.field(2, UInt64(bitPattern: disarmed.milliseconds))
                $0.field(3, disarmed.actor)
            }
        }
        writeLeftFences(state)
    }

    private mutating func write(_ placement: Placement, of key: ResourceKey) {
        field(1, key.kind)
        field(2, key.name)
        switch placement.phase {
        case .nowhere: break
        case .on(let host): present(3, host)
        case .moving(let from, let to, let live):
            present(3, from)
            present(4, to)
            field(5, live ? 1 : 0)
        }
        field(6, placement.epoch)
        for (host, sighting) in placement.sightings.pairs { record(7) { $0.write(sighting, on: host) } }
        field(8, placement.failures)
        for host in placement.tried { present(9, host) }
        if let wanted = placement.wanted { present(10, wanted ? 1 : 0) }
        field(11, placement.wish)
        field(12, placement.wishIsLive ? 1 : 0)
        field(13, placement.obstacle)
        field(14, placement.reason)
        field(15, placement.since)
        field(16, UInt64(bitPattern: placement.sinceMilliseconds))
        field(17, placement.sources.first ?? "")
        field(18, placement.lastEvent)
        for host in placement.barredFrom { present(19, host) }
        if placement.care != Care() { record(20) { $0.write(placement.care) } }
        field(23, placement.isUnseen ? 1 : 0)
        for host in placement.sources.dropFirst() { present(24, host) }
        field(35, placement.isDeclined ? 1 : 0)
        for host in placement.leftovers { present(40, host) }
    }

    private mutating func write(_ sighting: Sighting, on host: String) {
        field(1, host)
        field(2, sighting.state.rawValue)
        if let healthy = sighting.healthy { present(3, healthy ? 1 : 0) }
        field(4, sighting.detail)
        for client in sighting.clients { present(5, client) }
    }

    private mutating func write(_ host: HostRecord, named name: String) {
        field(1, name)
        field(2, host.facts.boot)
        field(3, UInt64(bitPattern: host.facts.memoryBytes))
        field(4, UInt64(bitPattern: host.facts.cores))
        field(5, host.facts.storageAddress)
        field(6, UInt64(bitPattern: host.facts.watchdogMilliseconds))
        field(7, host.facts.isQuorate ? 1 : 0)
        field(8, host.isDraining ? 1 : 0)
        if let leaving = host.leaving { present(9, leaving.rawValue) }
        write(host.fence)
        field(14, host.fenceEpoch)
        for attempt in host.attempts { present(15, attempt) }
        field(16, host.failures)
        field(17, host.lastEvent)
        field(18, host.facts.isGuarded ? 1 : 0)
        for address in host.barred { present(19, address) }
        for declaration in host.retired.values { record(20) { $0.write(declaration) } }
        if let restart = host.restart { record(21) { $0.write(restart) } }
        field(23, host.orderedAt)
        for proof in host.proofs {
            record(24) {
                $0.field(1, proof.method.rawValue)
                $0.field(2, proof.words)
                $0.field(3, proof.ordered)
                $0.field(4, proof.since)
            }
        }
        if let further = host.further {
            record(25) {
                $0.field(1, further.method.rawValue)
                $0.field(2, further.member.rawValue)
            }
        }
        for member in host.ordered { present(26, member.rawValue) }
        if let isBlind = host.facts.isBlind { present(35, isBlind ? 1 : 0) }
        field(36, host.failuresAtOrder)
        if let pause = host.facts.pauseMilliseconds { present(37, UInt64(bitPattern: pause)) }
        for address in host.earlierAddresses { present(41, address) }
    }

    /// Fields 10 to 13.
    private mutating func write(_ fence: FencePhase) {
        switch fence {
        case .none: break
        case .wanted(let method, let member):
            field(10, 1)
            field(11, method.rawValue)
            present(12, member.rawValue)
        case .proven(let method, let proof):
            field(10, 2)
            field(11, method.rawValue)
            field(13, proof)
        case .clean(let method):
            field(10, 3)
            field(11, method.rawValue)
        case .lifting(let method, let member):
            field(10, 4)
            field(11, method.rawValue)
            present(12, member.rawValue)
        case .withdrawn(let method, let member):
            field(10, 5)
            field(11, method.rawValue)
            present(12, member.rawValue)
        }
    }
}

extension ClusterState {
    /// Hosts a state may have; a cluster has far fewer.
    private static let mostHosts = 10_000

    /// Reads one of the fields 44 to 46, 51 and 52.
    mutating func readWorkloads(_ field: UInt8, _ reader: inout StateReader) throws(StateDecodingError) {
        switch field {
        case 44:
            let (key, placement) = try reader.record { (inner) throws(StateDecodingError) in try inner.placement() }
            try Self.add(key, placement, to: &placements, most: Self.mostResources, reader)
        case 45:
            let (name, host) = try reader.record { (inner) throws(StateDecodingError) in try inner.host() }
            try Self.add(name, host, to: &hosts, most: Self.mostHosts, reader)
        case 51: retiredFenceEpoch = try reader.count()
        case 52:
            let (address, left) = try reader.record { (inner) throws(StateDecodingError) in try inner.leftFence() }
            try Self.add(address, left, to: &leftFences, most: Self.mostLeftFences, reader)
        case 46: disarmed = try reader.record { (inner) throws(StateDecodingError) in try inner.disarmed() }
        default: throw reader.unknown(field, of: "the state")
        }
    }
}

extension StateReader {
    fileprivate mutating func disarmed() throws(StateDecodingError) -> Disarmed {
        var disarmed = Disarmed(revision: 0, milliseconds: 0, actor: "")
        while let field = try next() {
            switch field {
            case 1: disarmed.revision = try count()
            case 2: disarmed.milliseconds = Int64(bitPattern: try number())
            case 3: disarmed.actor = try text()
            default: throw unknown(field, of: "a disarming")
            }
        }
        return disarmed
    }

    fileprivate mutating func placement() throws(StateDecodingError) -> (ResourceKey, Placement) {
        var (kind, name) = ("", "")
        var placement = Placement()
        var host: String?
        var to: String?
        var live = false
        while let field = try next() {
            switch field {
            case 1: kind = try text()
            case 2: name = try text()
            case 3: host = try text()
            case 4: to = try text()
            case 5: live = try number() == 1
            case 7:
                let (host, sighting) = try record { (inner) throws(StateDecodingError) in try inner.sighting() }
                try ascend(host, after: placement.sightings.keys.last)
                placement.sightings[host] = sighting
            case 9:
                placement.tried.append(try text())
                guard placement.tried.count <= Placement.mostTried else { throw fault("more hosts than are kept") }
            case 19:
                placement.barredFrom.append(try text())
                guard placement.barredFrom.count <= Placement.mostTried else { throw fault("more hosts than are kept") }
            case 20: placement.care = try record { (inner) throws(StateDecodingError) in try inner.care() }
            default: try read(field, of: &placement)
            }
        }
        guard to == nil || host != nil else { throw fault("a workload that moves from nowhere") }
        if let host { placement.phase = to.map { .moving(from: host, to: $0, live: live) } ?? .on(host) }
        return (ResourceKey(kind: kind, name: name), placement)
    }

    private mutating func read(_ field: UInt8, of placement: inout Placement) throws(StateDecodingError) {
        switch field {
        case 6: placement.epoch = try count()
        case 8: placement.failures = try count()
        case 10: placement.wanted = try number() == 1
        case 11: placement.wish = try text()
        case 12: placement.wishIsLive = try number() == 1
        case 13: placement.obstacle = try text()
        case 14: placement.reason = try text()
        case 15: placement.since = try count()
        case 16: placement.sinceMilliseconds = Int64(bitPattern: try number())
        case 17: placement.sources = [try text()]
        case 18: placement.lastEvent = try count()
        case 23: placement.isUnseen = try number() == 1
        case 24:
            guard (1..<Placement.mostTried).contains(placement.sources.count) else {
                throw fault("more hosts than are kept")
            }
            placement.sources.append(try text())
        case 35: placement.isDeclined = try number() == 1
        case 40: placement.leftovers.append(try text())
        default: throw unknown(field, of: "a placement")
        }
    }

    private mutating func sighting() throws(StateDecodingError) -> (String, Sighting) {
        var host = ""
        var sighting = Sighting(.absent)
        while let field = try next() {
            switch field {
            case 1: host = try text()
            case 2:
                let name = try text()
                guard let state = GuestState(rawValue: name) else { throw .newer(what: "a guest that is \(name)") }
                sighting.state = state
            case 3: sighting.healthy = try number() == 1
            case 4: sighting.detail = try text()
            case 5:
                sighting.clients.append(try text())
                guard sighting.clients.count <= Placement.mostClients else { throw fault("more clients than are kept") }
            default: throw unknown(field, of: "a sighting")
            }
        }
        return (host, sighting)
    }

    fileprivate mutating func host() throws(StateDecodingError) -> (String, HostRecord) {
        var name = ""
        var host = HostRecord(facts: HostFacts(boot: "", memoryBytes: 0, cores: 0, isQuorate: false))
        var fence = FenceFields()
        while let field = try next() {
            switch field {
            case 1: name = try text()
            case 2: host.facts.boot = try text()
            case 3: host.facts.memoryBytes = Int64(bitPattern: try number())
            case 4: host.facts.cores = Int64(bitPattern: try number())
            case 5: host.facts.storageAddress = try text()
            case 6: host.facts.watchdogMilliseconds = Int64(bitPattern: try number())
            case 7: host.facts.isQuorate = try number() == 1
            case 8: host.isDraining = try number() == 1
            case 9:
                let word = try text()
                guard let leaving = HostRecord.Leaving(rawValue: word) else {
                    throw .newer(what: "a host that leaves for \(word)")
                }
                host.leaving = leaving
            case 10: fence.phase = try number()
            case 11: fence.method = try text()
            case 12: fence.member = MemberID(rawValue: try number())
            case 13: fence.proof = try text()
            case 14: host.fenceEpoch = try count()
            case 15:
                host.attempts.append(try text())
                guard host.attempts.count <= HostRecord.mostAttempts else {
                    throw fault("more attempts than are kept")
                }
            case 16: host.failures = try count()
            case 17: host.lastEvent = try count()
            case 18: host.facts.isGuarded = try number() == 1
            case 19:
                host.barred.append(try text())
                guard host.barred.count <= HostRecord.mostBarred else { throw fault("more addresses than are kept") }
            case 20: try retired(of: &host)
            case 21: host.restart = try record { (inner) throws(StateDecodingError) in try inner.restart() }
            case 23: host.orderedAt = try count()
            case 24:
                host.proofs.append(try record { (inner) throws(StateDecodingError) in try inner.proof() })
                guard host.proofs.count <= FenceMethod.allCases.count else { throw fault("more proofs than there are") }
            case 25: host.further = try record { (inner) throws(StateDecodingError) in try inner.task() }
            case 26: host.ordered.append(MemberID(rawValue: try number()))
            case 35: host.facts.isBlind = try number() == 1
            case 36: host.failuresAtOrder = try count()
            case 37: host.facts.pauseMilliseconds = Int64(bitPattern: try number())
            case 41:
                host.earlierAddresses.append(try text())
                guard host.earlierAddresses.count <= HostRecord.mostBarred else {
                    throw fault("more addresses than are kept")
                }
            default: throw unknown(field, of: "a host")
            }
        }
        host.fence = try phase(fence)
        // Earlier versions kept one proof only and one member, in the phase.
        if host.ordered.isEmpty, let task = host.task, task.method != .watchdog { host.ordered = [task.member] }
        if host.proofs.isEmpty, host.fence.isProven, let method = host.fence.method {
            host.proofs = [FenceProof(method, words: fence.proof, ordered: 0, since: 0)]
        }
        return (name, host)
    }

    private mutating func task() throws(StateDecodingError) -> FenceTask {
        var (method, member) = ("", MemberID(rawValue: 0))
        while let field = try next() {
            switch field {
            case 1: method = try text()
            case 2: member = MemberID(rawValue: try number())
            default: throw unknown(field, of: "what is to prove a fence")
            }
        }
        guard let known = FenceMethod(rawValue: method) else { throw .newer(what: "the fence method \(method)") }
        return FenceTask(known, by: member)
    }

    private mutating func proof() throws(StateDecodingError) -> FenceProof {
        var proof = FenceProof(.word, words: "", ordered: 0, since: 0)
        var method = ""
        while let field = try next() {
            switch field {
            case 1: method = try text()
            case 2: proof.words = try text()
            case 3: proof.ordered = try count()
            case 4: proof.since = try count()
            default: throw unknown(field, of: "the proof of a fence")
            }
        }
        guard let known = FenceMethod(rawValue: method) else { throw .newer(what: "the fence method \(method)") }
        proof.method = known
        return proof
    }

    mutating func retiredDeclaration() throws(StateDecodingError) -> Declaration {
        try record { (inner) throws(StateDecodingError) in
            var declaration = Declaration(kind: "", name: "", spec: .null)
            while let field = try inner.next() { try inner.read(field, of: &declaration) }
            return declaration
        }
    }

    private mutating func retired(of host: inout HostRecord) throws(StateDecodingError) {
        let declaration = try retiredDeclaration()
        try ascend(declaration.key, after: host.retired.keys.last)
        host.retired[declaration.key] = declaration
        guard host.retired.count <= HostRecord.mostRetired + ClusterState.mostResources else {
            throw fault("more deleted workloads than are kept")
        }
    }

    private struct FenceFields {
        var phase: UInt64 = 0
        var method = ""
        var member = MemberID(rawValue: 0)
        var proof = ""
    }

    private func phase(_ fields: FenceFields) throws(StateDecodingError) -> FencePhase {
        guard fields.phase != 0 else { return .none }
        guard let method = FenceMethod(rawValue: fields.method) else {
            throw .newer(what: "the fence method \(fields.method)")
        }
        switch fields.phase {
        case 1: return .wanted(method, by: fields.member)
        case 2: return .proven(method, proof: fields.proof)
        case 3: return .clean(method)
        case 4: return .lifting(method, by: fields.member)
        case 5: return .withdrawn(method, by: fields.member)
        default: throw .newer(what: "the fence phase \(fields.phase)")
        }
    }
}
