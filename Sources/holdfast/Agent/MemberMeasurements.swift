// Everything a running member measures of itself, gathered from its parts: for `/metrics`, and for `doctor` and `top`.

import Agent
import Cluster
import Consensus
import Decisions
import Runtime

struct MemberMeasurements: Sendable {
    let record: MemberRecord
    let current: CurrentIdentity
    let dataDirectory: String
    let guardProblem: String?
    let network: (@Sendable () -> NetworkReadings)?
    let hypervisor: (@Sendable () async -> HypervisorReadings)?
    let loop: AgentLoop
    let store: LogStore
    let transport: PeerTransport

    private static let build: MetricFamily = {
        var family = MetricFamily(.gauge, "holdfast_build_info", "1, labelled with the version of this program.")
        family.add(1, .init("version", Version.current))
        return family
    }()

    func families() async -> [MetricFamily] {
        var ways = MetricFamily(
            .gauge, "holdfast_peer_round_trip_seconds", "Round-trip time to a member, as the kernel smooths it.")
        for trip in await transport.roundTrips() {
            ways.add(Double(trip.microseconds) / 1e6, .init("member", trip.member))
        }
        // An event loop that has ended has no connections either.
        let connections = (try? await transport.onLoop { $0.families() }) ?? []
        return store.families() + (await loop.families()) + connections + [ways, Self.build]
    }

    /// Nil when the agent has too much waiting to tell.
    func readings() async -> SelfReadings? {
        guard case .state(let state, let view) = await loop.submit(.readLocal) else { return nil }
        var readings = SelfReadings(
            member: current.value.settings.name, version: Version.current,
            wallMilliseconds: BootClock.wallMilliseconds())
        readings.kernelGuardProblem = guardProblem
        readings.snapshotProblem = view.snapshotProblem
        readings.network = network?()
        readings.hypervisor = await hypervisor?()
        readings.certificateExpires =
            state.members[record.id]?.certificateExpires ?? record.certificateExpires ?? .max
        readings.heartbeatMilliseconds = view.timing.heartbeat.nanoseconds / 1_000_000
        readings.quorumLeaseMilliseconds = view.timing.quorumLease.nanoseconds / 1_000_000
        readings.roundTrips = await transport.roundTrips().map {
            SelfReadings.RoundTrip(member: $0.member, microseconds: $0.microseconds)
        }
        SelfMeasurements.take(store.flushDurations, into: &readings)
        SelfMeasurements.take(
            into: &readings, dataDirectory: dataDirectory, holdsAddresses: record.kind != .witness)
        return readings
    }
}
