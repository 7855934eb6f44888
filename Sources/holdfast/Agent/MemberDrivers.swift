// The drivers of one member. A witness holds no role and gets none.

import Cluster
import Consensus
import Decisions
import Drivers
import Kinds
import Logging
import Runtime
import ServiceLifecycle

struct MemberDrivers {
    let addresses: (any AddressOrderTaker)?
    let health: HealthCheckRunner?
    /// Why the kernel does not enforce leases; nil: it does, or there are none.
    let guardProblem: String?
    /// What the network of this machine does to virtual addresses; nil when there are none.
    let network: (@Sendable () -> NetworkReadings)?
    private let end: () -> Void

    /// A host that can hold no address still votes, keeps the log and answers: only the address orders fail, in words.
    init(record: MemberRecord, dataDirectory: String, log: Logger, report: @escaping @Sendable (RoleReport) -> Void) {
        guard record.kind != .witness else {
            addresses = nil
            health = nil
            guardProblem = nil
            network = nil
            end = {}
            return
        }
        health = HealthCheckRunner(log: log, report: report)
        do throws(AddressDriverError) {
            let driver = try AddressDriver(log: log, stateDirectory: dataDirectory, report: report)
            addresses = driver
            guardProblem = driver.guardProblem
            network = { Self.readings(of: driver) }
            end = { driver.shutDown() }
        } catch {
            log.error("this member can hold no address until it is started anew: \(error)")
            guardProblem = error.description
            network = nil
            addresses = UnableAddresses(reason: error.description, report: report)
            end = {}
        }
    }

    private static func readings(of driver: AddressDriver) -> NetworkReadings {
        var readings = NetworkReadings()
        readings.announcementProblem = driver.announcementProblem
        readings.ipv6Problem = driver.problemWithIPv6
        readings.interfaces = driver.interfaces.map { used in
            var interface = NetworkReadings.Interface(name: used.name)
            (interface.takesIPv4, interface.takesIPv6) = (used.takesIPv4, used.takesIPv6)
            interface.lacksNetwork = used.lacksNetwork
            NetworkSettings.take(into: &interface)
            return interface
        }
        return readings
    }

    /// Takes every address away. Bounded in time.
    func shutDown() { end() }
}

/// Stands in for an address driver that could not start: says so to every order.
struct UnableAddresses: AddressOrderTaker {
    let reason: String
    let report: @Sendable (RoleReport) -> Void

    func carryOut(_ order: AddressOrder) {
        if let answer = order.answer(unable: reason) { report(answer) }
    }

    /// Nothing is given to a member that says so beforehand.
    func standReady(for places: SortedMap<ResourceKey, [VirtualAddress]>) {
        for role in places.keys { report(.place(role: role, problem: reason)) }
    }
}

/// Runs the health checks until the member stops.
struct HealthService: Service {
    let runner: HealthCheckRunner

    func run() async throws { await cancelWhenGracefulShutdown { await runner.serve() } }
}

extension AddressDriver: AddressOrderTaker {}
extension HealthCheckRunner: HealthCheckTaker {}
