// A replicated state on a bench: commands go straight into it, as every member applies them.

import Cluster
import Consensus

/// A founded cluster of two hosts and a witness, and a client that numbers its requests.
struct ClusterBench {
    static let api = ResourceKey(kind: "VirtualIP", name: "api")
    static let pve1 = MemberID(rawValue: 1)
    static let pve2 = MemberID(rawValue: 2)
    static let witness = MemberID(rawValue: 3)

    var state = ClusterState()
    var milliseconds: Int64 = 1_000
    private var request: UInt64 = 0

    /// The administrator of `founded(by: root)`.
    static let root = OperatorRecord(name: "root", role: .admin, key: "k0", certificateExpires: 5_000)

    /// A cluster with three members and one declared address.
    static func founded(by founder: OperatorRecord? = nil) -> ClusterBench {
        var bench = ClusterBench()
        bench.apply(.bootstrap(clusterName: "home", member: record(pve1, "pve1", .host), founder: founder))
        bench.admit(record(pve2, "pve2", .host))
        bench.admit(record(witness, "witness", .witness))
        bench.declare(api)
        return bench
    }

    static func record(_ id: MemberID, _ name: String, _ kind: MemberKind) -> MemberRecord {
        MemberRecord(
            id: id, name: name, kind: kind, peerEndpoint: "\(name):7400", apiEndpoint: "\(name):7443", version: "1")
    }

    static func token(_ id: String, kind: MemberKind = .host, expires: Int64 = .max) -> JoinToken {
        JoinToken(id: id, secretHash: "secret of \(id)", kind: kind, expiresMilliseconds: expires)
    }

    @discardableResult
    mutating func apply(_ command: Command) -> Outcome {
        request += 1
        return apply(command, RequestStamp(session: 1, request: request, settled: request - 1))
    }

    /// The same by a person.
    @discardableResult
    mutating func apply(_ command: Command, by origin: CommandOrigin) -> Outcome {
        request += 1
        let stamp = RequestStamp(session: 1, request: request, settled: request - 1)
        return state.apply(
            CommandRecord(
                stamp: stamp, milliseconds: milliseconds, actor: origin.name, origin: origin, command: command))
    }

    @discardableResult
    mutating func apply(_ command: Command, _ stamp: RequestStamp) -> Outcome {
        state.apply(CommandRecord(stamp: stamp, milliseconds: milliseconds, actor: "tester", command: command))
    }

    mutating func admit(_ member: MemberRecord) {
        apply(.createToken(Self.token(member.name, kind: member.kind)))
        apply(.join(tokenID: member.name, secretHash: "secret of \(member.name)", member: member))
    }

    mutating func declare(_ key: ResourceKey, label: String = "1", address: String = "192.168.1.99/24") {
        apply(
            .apply(
                declarations: [
                    Declaration(
                        kind: key.kind, name: key.name, labels: ["n": label], spec: ["address": .string(address)])
                ],
                checkRevision: nil))
    }

    var role: RoleRecord? { state.roles[Self.api] }
    var epoch: UInt64 { role?.epoch ?? 0 }

    @discardableResult
    mutating func assign(to member: MemberID, epoch: UInt64? = nil, because: MemberID? = nil) -> Outcome {
        apply(.assign(role: Self.api, epoch: epoch ?? self.epoch, to: member, reason: "test", because: because))
    }

    @discardableResult
    mutating func release(to member: MemberID?, epoch: UInt64? = nil) -> Outcome {
        apply(.release(role: Self.api, epoch: epoch ?? self.epoch, to: member, reason: "test"))
    }

    @discardableResult
    mutating func released(epoch: UInt64? = nil) -> Outcome {
        apply(.released(role: Self.api, epoch: epoch ?? self.epoch))
    }
}
