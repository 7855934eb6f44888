// The drivers of one member. A witness holds no role and gets none.

import Cluster
import Drivers
import Kinds
import Logging
import Runtime

struct MemberDrivers {
    let addresses: (any AddressOrderTaker)?
    let health: (any HealthCheckTaker)?
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
        let driver = try AddressDriver(log: log, stateDirectory: dataDirectory, report: report)
        addresses = driver
        health = nil
        end = { driver.shutDown() }
    }

    /// Takes every address away. Bounded in time.
    func shutDown() { end() }
}

extension AddressDriver: AddressOrderTaker {}
