// What a task does. The values are plans: what was asked, with everything already looked at that Proxmox looks at before
// it answers. Host+Work carries them out.

/// The work of a task.
enum Work: Hashable, Sendable {
    case start(GuestID)
    case stop(GuestID, overrulesShutdown: Bool)
    case shutdown(GuestID, timeoutMilliseconds: Int64, forces: Bool)
    case reboot(GuestID, timeoutMilliseconds: Int64)
    case reset(GuestID)
    case pause(GuestID)
    case resume(GuestID)
    case create(CreatePlan)
    case destroy(GuestID, purges: Bool)
    case configure(GuestID, ConfigurationChange)
    case clone(ClonePlan)
    case template(GuestID)
    case migrate(MigrationPlan)
    case resize(GuestID, disk: String, size: String)
    case moveDisk(MovePlan)
    case snapshot(GuestID, name: String, description: String, withState: Bool)
    case rollback(GuestID, name: String, starts: Bool)
    case deleteSnapshot(GuestID, name: String)
    case haRequest(HARequest)
    /// Already done when the task begins; it only says so.
    case nothing
    /// Ends with this error at once.
    case fails(String)

    /// The guest whose lock the task takes; nil when it takes none.
    var lockedGuest: GuestID? {
        switch self {
        case .start(let guest), .stop(let guest, _), .shutdown(let guest, _, _), .reboot(let guest, _),
            .reset(let guest), .pause(let guest), .resume(let guest), .destroy(let guest, _), .configure(let guest, _),
            .template(let guest), .resize(let guest, _, _), .snapshot(let guest, _, _, _),
            .rollback(let guest, _, _), .deleteSnapshot(let guest, _):
            guest
        case .create(let plan): plan.guest
        case .clone(let plan): plan.source
        case .migrate(let plan): plan.guest
        case .moveDisk(let plan): plan.guest
        case .haRequest, .nothing, .fails: nil
        }
    }

    /// Whether it is a shutdown of this guest, which a stop may overrule.
    func isShutdown(of guest: GuestID) -> Bool {
        switch self {
        case .shutdown(guest, _, _), .reboot(guest, _): true
        default: false
        }
    }
}

/// A guest to be made.
struct CreatePlan: Hashable, Sendable {
    var guest: GuestID
    var configuration: GuestConfiguration
    var starts: Bool
    /// The image a container is unpacked from.
    var template: String?
}

/// What is asked of Proxmox's HA in place of being done.
struct HARequest: Hashable, Sendable {
    var sid: String
    var state: String?
    var node: String?
    var text: String
}

/// Settings to be changed and removed.
struct ConfigurationChange: Hashable, Sendable {
    var settings: [String: String] = [:]
    var deletions: [String] = []
    var reverts: [String] = []
    var description: String?
    var digest: String?
}

struct ClonePlan: Hashable, Sendable {
    var source: GuestID
    var newID: Int
    var name: String?
    var description: String?
    var isFull: Bool
    var target: String?
    var storage: String?
    var snapshot: String?

    var guest: GuestID { GuestID(source.kind, newID) }
}

struct MigrationPlan: Hashable, Sendable {
    var guest: GuestID
    var target: String
    var isOnline: Bool
    var withLocalDisks: Bool
    var restarts: Bool
    var targetStorage: String?
    /// A phase of its own: what has been asked of the target.
    var isHandedOver = false
}

struct MovePlan: Hashable, Sendable {
    var guest: GuestID
    var disk: String
    var storage: String
    var format: String?
    var deletesSource: Bool
}

/// How long things take, in milliseconds: medians of the recordings.
public struct WorkDurations: Hashable, Sendable, Codable {
    public var fork: Int64 = 15
    public var start: Int64 = 1_400
    public var stop: Int64 = 250
    public var create: Int64 = 150
    public var perDisk: Int64 = 120
    public var destroy: Int64 = 250
    public var configure: Int64 = 150
    public var clone: Int64 = 400
    public var template: Int64 = 250
    public var migrateOffline: Int64 = 3_500
    public var migrateOnline: Int64 = 13_000
    /// Per GiB of local disk that is copied.
    public var copyPerGiB: Int64 = 7_500
    public var resize: Int64 = 250
    public var snapshot: Int64 = 250
    public var brief: Int64 = 120

    public init() {}

    /// Everything in this share of the time, in per mille.
    public func scaled(permille: Int64) -> WorkDurations {
        var scaled = self
        for path in [
            \WorkDurations.fork, \.start, \.stop, \.create, \.perDisk, \.destroy, \.configure, \.clone, \.template,
            \.migrateOffline, \.migrateOnline, \.copyPerGiB, \.resize, \.snapshot, \.brief,
        ] as [WritableKeyPath<WorkDurations, Int64>] {
            scaled[keyPath: path] = scaled[keyPath: path] * permille / 1_000
        }
        return scaled
    }
}
