// Every route in words, for the OpenAPI document: what it is for, what it takes, what it gives. A test holds this list
// against the routes that are served.

import Cluster
import Decisions
import Runtime

/// One route as it is published.
struct Operation: Sendable {
    enum Answer: Sendable {
        case json(any (Decodable & Sendable).Type)
        case text
        /// Server-sent events when they are asked for, else this.
        case eventsOr(any (Decodable & Sendable).Type)
        /// This very document.
        case openAPI
    }

    let method: String
    let path: String
    let summary: String
    /// Needs no client certificate.
    var isOpen = false
    var query: [(name: String, about: String)] = []
    var takes: (any (Decodable & Sendable).Type)?
    let gives: Answer

    init(
        _ method: String, _ path: String, _ summary: String, isOpen: Bool = false,
        query: [(name: String, about: String)] = [], takes: (any (Decodable & Sendable).Type)? = nil, gives: Answer
    ) {
        self.method = method
        self.path = path
        self.summary = summary
        self.isOpen = isOpen
        self.query = query
        self.takes = takes
        self.gives = gives
    }

    private static let consistency = (
        name: "consistency", about: "linearizable (the default), or local: what the asked member has, at once."
    )
    private static let after = (name: "after", about: "Only what comes after this id.")

    static let all: [Operation] =
        open + reads + workloads + changes + clusterChanges + operators + authorities + revisions + upgrades + backups

    private static let open: [Operation] = [
        Operation("GET", "/healthz", "Whether the member answers at all.", isOpen: true, gives: .text),
        Operation(
            "GET", "/readyz", "Whether the member knows a leader and its state is current.", isOpen: true, gives: .text),
        Operation("GET", "/metrics", "Measurements for Prometheus.", isOpen: true, gives: .text),
        Operation("GET", "/openapi.json", "This document.", isOpen: true, gives: .openAPI),
        Operation(
            "POST", "/v1/join", "Lets a machine join that has a token.", isOpen: true, takes: JoinRequest.self,
            gives: .json(JoinResponse.self)),
        Operation(
            "POST", "/v1/renew", "Signs for a member anew, which proves itself by its key.", isOpen: true,
            takes: RenewRequest.self, gives: .json(RenewResponse.self)),
    ]

    private static let reads: [Operation] = [
        Operation(
            "GET", "/v1/status", "Everything one needs to know at a glance.", query: [consistency],
            gives: .json(StatusDocument.self)),
        Operation(
            "GET", "/v1/members", "Who belongs to the cluster.", query: [consistency],
            gives: .json(MembersDocument.self)),
        Operation(
            "GET", "/v1/tolerance", "What can be lost now.", query: [consistency], gives: .json(ToleranceReport.self)),
        Operation(
            "GET", "/v1/what-if", "The cluster as a rehearsal of a loss begins with it.", query: [consistency],
            gives: .json(PresentDocument.self)),
        Operation(
            "GET", "/v1/self", "What the asked member measures of itself.", gives: .json(SelfReadings.self)),
        Operation(
            "GET", "/v1/resources", "Everything declared.", query: [consistency],
            gives: .json(ResourcesDocument.self)),
        Operation(
            "GET", "/v1/resources/:kind", "Everything declared of a kind.", query: [consistency],
            gives: .json(ResourcesDocument.self)),
        Operation(
            "GET", "/v1/resources/:kind/:name", "One resource.", query: [consistency],
            gives: .json(ResourceAnswer.self)),
        Operation(
            "GET", "/v1/why/:kind/:name", "The chain of causes behind a resource's place or state.",
            query: [consistency], gives: .json(WhyDocument.self)),
        Operation(
            "GET", "/v1/events", "What happened; as a stream with Accept: text/event-stream.",
            query: [after, consistency], gives: .eventsOr(EventsDocument.self)),
        Operation(
            "GET", "/v1/kv", "Values in the order of their keys.",
            query: [
                ("prefix", "Only keys that begin so."), (after.name, "Only keys after this one."),
                ("limit", "At most so many, up to 1,000."), consistency,
            ], gives: .json(ValuesDocument.self)),
        Operation("GET", "/v1/kv/:key", "One value.", query: [consistency], gives: .json(ValueDocument.self)),
    ]

    private static let workloads: [Operation] = [
        Operation(
            "GET", "/v1/workloads", "Where each workload runs, and the hosts that run them.", query: [consistency],
            gives: .json(WorkloadsDocument.self)),
        Operation(
            "POST", "/v1/workloads/steer", "Starts, stops or moves a workload.", takes: SteerRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/hosts/steer", "Drains a host, or fences it by a person's word.", takes: HostRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/hosts/reboot", "Has the asked host emptied and restarted, or takes that back.",
            takes: RebootRequest.self, gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/disarm", "For a while fences no host and moves no workload.", takes: DisarmRequest.self,
            gives: .json(OutcomeDocument.self)),
    ]

    private static let changes: [Operation] = [
        Operation(
            "POST", "/v1/plan", "What an apply would change.", query: [consistency], takes: PlanRequest.self,
            gives: .json(PlanDocument.self)),
        Operation(
            "POST", "/v1/apply", "Declares resources, for good or on trial.", takes: ApplyRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/delete", "Deletes resources.", takes: DeleteRequest.self, gives: .json(OutcomeDocument.self)),
        Operation(
            "PUT", "/v1/kv/:key",
            "Writes a value; with If-Match or If-None-Match only if the present one is as expected.",
            takes: ValueRequest.self, gives: .json(OutcomeDocument.self)),
        Operation("DELETE", "/v1/kv/:key", "Removes a value.", gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/vip/move", "Moves an address to a member.", takes: MoveRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/vip/release", "Moves an address away from its holder, to the first other candidate that can.",
            takes: ReleaseRequest.self, gives: .json(OutcomeDocument.self)),
    ]

    private static let clusterChanges: [Operation] = [
        Operation(
            "POST", "/v1/tokens", "Lets one machine join.", takes: TokenRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/members/remove", "Removes a member for good.", takes: RemoveMemberRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/members/rename", "Gives a member another name.", takes: RenameMemberRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/recover", "Goes on without a majority that is gone for good.", takes: RecoverRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/transfer-leader", "Hands leadership to another voter.", takes: TransferRequest.self,
            gives: .json(OutcomeDocument.self)),
    ]

    private static let operators: [Operation] = [
        Operation(
            "GET", "/v1/audit", "Who asked for what, and what became of it.", query: [after, consistency],
            gives: .json(AuditDocument.self)),
        Operation(
            "GET", "/v1/operators", "Who may use the cluster.", query: [consistency],
            gives: .json(OperatorsDocument.self)),
        Operation(
            "POST", "/v1/operators", "Signs for a person.", takes: OperatorRequest.self,
            gives: .json(OperatorCertificate.self)),
        Operation(
            "POST", "/v1/operators/renew", "Signs anew for who asks.", takes: OperatorRenewal.self,
            gives: .json(OperatorCertificate.self)),
        Operation(
            "POST", "/v1/operators/revoke", "Takes a person's rights away.", takes: RevokeRequest.self,
            gives: .json(OutcomeDocument.self)),
    ]

    private static let authorities: [Operation] = [
        Operation(
            "GET", "/v1/authority", "The authorities that are trusted, and the rotation that is under way.",
            query: [consistency], gives: .json(AuthorityDocument.self)),
        Operation(
            "POST", "/v1/authority/rotate", "Begins to put another authority in the place of the present one.",
            takes: RotateRequest.self, gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/authority/cancel", "Ends a rotation whose new authority has not signed yet.",
            gives: .json(OutcomeDocument.self)),
    ]

    private static let upgrades: [Operation] = [
        Operation(
            "GET", "/v1/upgrade", "Which version each member runs, and which may be restarted now.",
            query: [consistency], gives: .json(UpgradeDocument.self)),
        Operation(
            "GET", "/v1/installed", "Which version the asked member would run after a restart.",
            gives: .json(InstalledDocument.self)),
        Operation(
            "POST", "/v1/restart", "Restarts the asked member's agent.", takes: RestartRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/level", "Raises the feature level and leaves members behind that do not understand it.",
            takes: RaiseLevelRequest.self, gives: .json(OutcomeDocument.self)),
    ]

    private static let backups: [Operation] = [
        Operation("GET", "/v1/backup", "The whole state, for a backup.", gives: .json(BackupDocument.self))
    ]

    private static let revisions: [Operation] = [
        Operation(
            "GET", "/v1/revisions", "The changes of what is declared.", query: [consistency],
            gives: .json(RevisionsDocument.self)),
        Operation(
            "GET", "/v1/revisions/:revision", "What rolling back to it would change.", query: [consistency],
            gives: .json(PlanDocument.self)),
        Operation(
            "POST", "/v1/rollback", "Declares again what was declared at a revision.", takes: RollBackRequest.self,
            gives: .json(OutcomeDocument.self)),
        Operation(
            "POST", "/v1/trial", "Keeps or undoes what is on trial.", takes: TrialRequest.self,
            gives: .json(OutcomeDocument.self)),
    ]
}
