// Every question and every change by its name.

import API
import Cluster
import Consensus
import Decisions
import FoundationEssentials

extension HoldfastClient {
    // MARK: Questions

    func status(_ consistency: ReadConsistency, within limit: Duration) async throws -> StatusDocument {
        try await get("/v1/status", consistency: consistency, within: limit)
    }
    func members(_ consistency: ReadConsistency, within limit: Duration) async throws -> MembersDocument {
        try await get("/v1/members", consistency: consistency, within: limit)
    }
    func tolerance(_ consistency: ReadConsistency, within limit: Duration) async throws -> ToleranceReport {
        try await get("/v1/tolerance", consistency: consistency, within: limit)
    }
    /// The cluster as a rehearsal begins with it.
    func present(_ consistency: ReadConsistency, within limit: Duration) async throws -> PresentDocument {
        try await get("/v1/what-if", consistency: consistency, within: limit)
    }
    /// All resources, or those of one kind.
    func resources(
        ofKind kind: String?, _ consistency: ReadConsistency, within limit: Duration
    ) async throws -> ResourcesDocument {
        let path = "/v1/resources" + (kind.map { "/" + PercentEncoding.encode($0) } ?? "")
        return try await get(path, consistency: consistency, within: limit)
    }
    func resource(
        _ key: ResourceKey, _ consistency: ReadConsistency, within limit: Duration
    ) async throws -> ResourceAnswer {
        try await get(
            "/v1/resources/\(PercentEncoding.encode(key.kind))/\(PercentEncoding.encode(key.name))",
            consistency: consistency, within: limit)
    }
    func why(_ key: ResourceKey, _ consistency: ReadConsistency, within limit: Duration) async throws -> WhyDocument {
        try await get(
            "/v1/why/\(PercentEncoding.encode(key.kind))/\(PercentEncoding.encode(key.name))", consistency: consistency,
            within: limit)
    }
    func events(
        after: UInt64, _ consistency: ReadConsistency, within limit: Duration
    ) async throws -> EventsDocument {
        try await get("/v1/events", [("after", String(after))], consistency: consistency, within: limit)
    }
    func plan(_ request: PlanRequest, within limit: Duration) async throws -> PlanDocument {
        // A plan changes nothing, but has a body: it is sent like a change, and repeated like a question.
        try await change(.POST, "/v1/plan", request, within: limit)
    }

    func audit(
        after: UInt64, _ consistency: ReadConsistency, within limit: Duration
    ) async throws -> AuditDocument {
        try await get("/v1/audit", [("after", String(after))], consistency: consistency, within: limit)
    }
    func operators(_ consistency: ReadConsistency, within limit: Duration) async throws -> OperatorsDocument {
        try await get("/v1/operators", consistency: consistency, within: limit)
    }
    func revisions(_ consistency: ReadConsistency, within limit: Duration) async throws -> RevisionsDocument {
        try await get("/v1/revisions", consistency: consistency, within: limit)
    }
    func planOfRollBack(to revision: UInt64, within limit: Duration) async throws -> PlanDocument {
        try await get("/v1/revisions/\(revision)", within: limit)
    }

    /// What the first endpoint that answers measures of itself.
    func selfReadings(within limit: Duration) async throws -> SelfReadings { try await get("/v1/self", within: limit) }

    func authority(_ consistency: ReadConsistency, within limit: Duration) async throws -> AuthorityDocument {
        try await get("/v1/authority", consistency: consistency, within: limit)
    }

    func upgrade(within limit: Duration) async throws -> UpgradeDocument { try await get("/v1/upgrade", within: limit) }
    /// What the first endpoint that answers would run after a restart.
    func installed(within limit: Duration) async throws -> InstalledDocument {
        try await get("/v1/installed", within: limit)
    }

    func backup(within limit: Duration) async throws -> BackupDocument { try await get("/v1/backup", within: limit) }

    func workloads(_ consistency: ReadConsistency, within limit: Duration) async throws -> WorkloadsDocument {
        try await get("/v1/workloads", consistency: consistency, within: limit)
    }
    func steer(_ request: SteerRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/workloads/steer", request, within: limit)
    }
    func steerHost(_ request: HostRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/hosts/steer", request, within: limit)
    }
    func reboot(_ request: RebootRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/hosts/reboot", request, within: limit)
    }
    func disarm(_ request: DisarmRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/disarm", request, within: limit)
    }

    // MARK: Values

    func value(_ key: String, _ consistency: ReadConsistency, within limit: Duration) async throws -> ValueDocument {
        try await get("/v1/kv/\(PercentEncoding.encode(key))", consistency: consistency, within: limit)
    }
    /// Up to a thousand values whose keys begin with `prefix`, after the key `after`.
    func values(
        prefix: String, after: String?, _ consistency: ReadConsistency, within limit: Duration
    ) async throws -> ValuesDocument {
        let query = [("prefix", prefix)] + (after.map { [("after", $0)] } ?? [])
        return try await get("/v1/kv", query, consistency: consistency, within: limit)
    }
    func put(
        _ value: String, at key: String, expecting expected: ExpectedValue?, secret: Bool = false,
        within limit: Duration
    ) async throws -> OutcomeDocument {
        let condition: [(String, String)] =
            switch expected {
            case nil: []
            case .absent?: [("If-None-Match", "*")]
            case .value(let text)?: [("If-Match", "\"\(Data(text.utf8).base64EncodedString())\"")]
            }
        return try await change(
            .PUT, "/v1/kv/\(PercentEncoding.encode(key))", ValueRequest(value: value, secret: secret ? true : nil),
            headers: condition, within: limit)
    }
    func removeValue(at key: String, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.DELETE, "/v1/kv/\(PercentEncoding.encode(key))", within: limit)
    }

    // MARK: Changes

    func apply(_ request: ApplyRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/apply", request, within: limit)
    }
    func delete(_ request: DeleteRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/delete", request, within: limit)
    }
    func move(_ request: MoveRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/vip/move", request, within: limit)
    }
    func release(_ request: ReleaseRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/vip/release", request, within: limit)
    }
    func rollBack(_ request: RollBackRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/rollback", request, within: limit)
    }
    func settleTrial(_ request: TrialRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/trial", request, within: limit)
    }
    /// Without a stamp: a repetition would be signed for another time, and the answer carries the certificate.
    func admit(_ request: OperatorRequest, within limit: Duration) async throws -> OperatorCertificate {
        try await change(.POST, "/v1/operators", request, stamped: false, within: limit)
    }
    func renewOwn(_ request: OperatorRenewal, within limit: Duration) async throws -> OperatorCertificate {
        try await change(.POST, "/v1/operators/renew", request, stamped: false, within: limit)
    }
    func revoke(_ request: RevokeRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/operators/revoke", request, within: limit)
    }
    func rotate(_ request: RotateRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/authority/rotate", request, within: limit)
    }
    func cancelRotation(within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/authority/cancel", within: limit)
    }
    func createToken(_ request: TokenRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/tokens", request, within: limit)
    }
    func removeMember(_ request: RemoveMemberRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/members/remove", request, within: limit)
    }
    func renameMember(_ request: RenameMemberRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/members/rename", request, within: limit)
    }
    /// Not repeated: the member may be on its way out.
    func restart(_ request: RestartRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/restart", request, stamped: false, within: limit)
    }
    func raiseLevel(_ request: RaiseLevelRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/level", request, within: limit)
    }
    /// Never repeated: a second one would begin a second epoch.
    func recover(_ request: RecoverRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/recover", request, stamped: false, within: limit)
    }
    /// To a named member it may be repeated: it leads already then. Handing on to anybody could happen twice.
    func transferLeader(_ request: TransferRequest, within limit: Duration) async throws -> OutcomeDocument {
        try await change(.POST, "/v1/transfer-leader", request, stamped: request.to != nil, within: limit)
    }
}
