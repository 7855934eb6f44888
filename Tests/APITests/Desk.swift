// The desk of a small lab's pve1, which holds the authority: where machines join, and members have their certificates renewed.

import Logging

@testable import Runtime
@testable import holdfast

extension Lab {
    func desk() throws -> EnrollmentDesk {
        let key = memberKeys[0]
        let identity = try MemberIdentity(
            settings: MemberSettings(
                cluster: cluster, member: members[0], name: "pve1", kind: .host, address: "127.0.0.1", peerPort: 1,
                apiPort: 2),
            key: key, certificate: authority.issue(member: "pve1", key: key.publicKey), trust: authority.trust,
            authority: authority)
        return EnrollmentDesk(
            current: CurrentIdentity(identity), access: agent, known: [], log: Logger(label: "test"))
    }
}
