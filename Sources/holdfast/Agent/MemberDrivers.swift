// The drivers of one member. A witness holds no role and gets none.

import Cluster
import Drivers
import Kinds
import Logging
import Runtime
import ServiceLifecycle

struct MemberDrivers {
    let addresses: (any AddressOrderTaker)?
    let health: HealthCheckRunner?
    private let end: () -> Void

    init(
        record: MemberRecord, dataDirectory: String, log: Logger, report: @escaping @Sendable (RoleReport) -> Void
    ) throws {
        guard record.kind != .witness else {
            addresses = nil
            health = nil
            end = {}
            return
        }
        let runner = HealthCheckRunner(log: log, report: report)
        let driver = try AddressDriver(log: log, stateDirectory: dataDirectory, report: report)
        addresses = driver
        health = runner
        end = { driver.shutDown() }
    }

    /// Takes every address away. Bounded in time.
    func shutDown() { end() }
}

/// Runs the health checks until the member stops.
struct HealthService: Service {
    let runner: HealthCheckRunner

    func run() async throws { await cancelWhenGracefulShutdown { await runner.serve() } }
}

extension AddressDriver: AddressOrderTaker {}
extension HealthCheckRunner: HealthCheckTaker {}
