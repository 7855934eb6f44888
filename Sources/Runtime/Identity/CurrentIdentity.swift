// A member's identity as it is at this moment, for everything in the process that signs or shows something: certificates are
// renewed, and the cluster's authority is replaced, while the agent runs.

import Cluster
import Synchronization

public final class CurrentIdentity: Sendable {
    private let present: Mutex<MemberIdentity>
    private let making = Mutex(())

    public init(_ identity: MemberIdentity) { present = Mutex(identity) }

    public var value: MemberIdentity { present.withLock { $0 } }

    public func set(_ identity: MemberIdentity) { present.withLock { $0 = identity } }

    /// A new authority for the cluster, whose key is kept in `folder` before anybody else hears of it.
    /// Blocks on the disk.
    /// - Parameter folder: nil when it is only a rehearsal.
    /// - Returns: nil when this member cannot sign.
    public func newAuthority(
        graceMilliseconds: Int64, keptIn folder: IdentityFolder?
    ) throws -> AuthorityRotation.Plan? {
        guard let made = try Enrollment(identity: value).newAuthority(graceMilliseconds: graceMilliseconds) else {
            return nil
        }
        if let folder { try making.withLock { _ in try folder.keepNext(made.authority) } }
        return made.plan
    }
}
