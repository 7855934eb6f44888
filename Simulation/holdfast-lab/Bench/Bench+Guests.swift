// The part of the bench about virtual machines: which labs its cases take, and in what order. Each way of fencing has a lab of
// its own; what is planned, rehearsed and at rest share one.

extension Bench {
    func measureGuests(into result: inout BenchResult) throws {
        for fencing in GuestFencing.allCases {
            let all = fencing.losses.flatMap { means in
                [false, true].map { GuestCaseResult(fencing: fencing, means: means, hitsLeader: $0) }
            }
            let wanted = all.filter { isWanted("guests", $0.name) }
            guard !wanted.isEmpty else { continue }
            try withGuestLab(fencing.outfit) { client, holdfast, folder in
                let bench = GuestBench(client: client, holdfast: holdfast, fencing: fencing)
                try bench.declare(manifests: folder)
                for empty in wanted { result.guests.append(try measure(empty, bench)) }
            }
        }
    }

    private func withGuestLab(
        _ outfit: LabOutfit, _ body: (KeeperClient, HoldfastClient, _ manifests: String) throws -> Void
    ) throws {
        let binary = try program.binary()
        let folder = try Manifests.folder(manifests)
        try withLab(lab.directory) { client in
            try Bootstrap(client: client, binary: binary, outfit: outfit).run { note($0) }
            try body(client, HoldfastClient(client: client, binary: binary), folder)
        }
    }

    private func measure(_ empty: GuestCaseResult, _ bench: GuestBench) throws -> GuestCaseResult {
        var result = empty
        for number in 0..<repetitions {
            do {
                result.repetitions.append(try bench.repeatOnce(result.means, hitsLeader: result.hitsLeader))
            } catch {
                result.failures.append("\(error)")
                note("guests, \(result.name), repetition \(number + 1): \(error)")
                try bench.recover()
            }
        }
        result.disksWithTwoWriters = try bench.disksWithTwoWriters()
        note(GuestCaseResult.table([result]))
        return result
    }

    // MARK: Many guests

    func measureCrowds(into result: inout BenchResult) throws {
        let departures = Departure.allCases.filter { isWanted("guests", $0.rawValue) }
        let wantsRehearsal = isWanted("guests", RehearsalResult.name)
        if !departures.isEmpty || wantsRehearsal {
            let crowd = LabGuest.crowd(Departure.most)
            try withGuestLab(LabOutfit(crowd: crowd)) { client, holdfast, folder in
                let bench = CrowdBench(client: client, holdfast: holdfast, guests: crowd)
                try bench.declare(manifests: folder)
                if wantsRehearsal { result.rehearsals.append(try rehearse(bench)) }
                for departure in departures { result.departures.append(try measure(departure, bench)) }
            }
        }
        if isWanted("guests", RestResult.name) { try measureRest(into: &result, wantsRehearsal: wantsRehearsal) }
    }

    private func measure(_ departure: Departure, _ bench: CrowdBench) throws -> DepartureResult {
        var result = DepartureResult(departure: departure)
        for number in 0..<repetitions {
            do { result.repetitions.append(try bench.leave(departure)) } catch {
                result.failures.append("\(error)")
                note("guests, \(departure.rawValue), repetition \(number + 1): \(error)")
                try bench.recover()
            }
        }
        result.disksWithTwoWriters = try bench.disksWithTwoWriters()
        note(DepartureResult.table([result]))
        return result
    }

    private func rehearse(_ bench: CrowdBench) throws -> RehearsalResult {
        var result = RehearsalResult(guests: bench.guests.count)
        for number in 0..<repetitions {
            do { result.milliseconds.append(try bench.rehearse()) } catch {
                result.failures.append("\(error)")
                note("guests, \(RehearsalResult.name), repetition \(number + 1): \(error)")
            }
        }
        note(RehearsalResult.table([result]))
        return result
    }

    /// The same host without and with a hundred guests, so that what the guests cost shows.
    private func measureRest(into result: inout BenchResult, wantsRehearsal: Bool) throws {
        let crowd = LabGuest.crowd(LabGuest.mostOfACrowd)
        try withGuestLab(LabOutfit(crowd: crowd)) { client, holdfast, folder in
            let host = try Topology.homelab.node("pve1")
            let none = CrowdBench(client: client, holdfast: holdfast, guests: [])
            try none.declare(manifests: folder)
            result.rests.append(none.rest(on: host))
            let all = CrowdBench(client: client, holdfast: holdfast, guests: crowd)
            try all.declare(manifests: folder)
            result.rests.append(all.rest(on: host))
            if wantsRehearsal { result.rehearsals.append(try rehearse(all)) }
            note(RestResult.table(result.rests))
        }
    }
}
