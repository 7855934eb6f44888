// Declaring and deleting resources, and the small store of values.
// Relies on the kinds having checked a declaration before it was proposed; looks at no spec itself.

import Consensus

extension ClusterState {
    mutating func declare(
        _ declarations: [Declaration], check: UInt64?, trialMilliseconds: Int64?, _ record: CommandRecord
    ) -> Outcome {
        if let refusal = refusalOfChange(check: check) { return refusal }
        if let length = trialMilliseconds, !Self.trialMilliseconds.contains(length) {
            return refused(.invalid, "a trial takes from a second to a day")
        }
        let newKeys = declarations.filter { resources[$0.key] == nil }.count
        guard resources.count + newKeys <= Self.mostResources else {
            return refused(.invalid, "a cluster has at most \(Self.mostResources) resources")
        }
        let parts = declarations.compactMap { declare($0, record) }
        guard !parts.isEmpty else { return unchanged("nothing to change") }
        keep(parts, trialMilliseconds == nil ? "applied" : "tried", record)
        if let length = trialMilliseconds {
            trial = Trial(
                revision: revision, actor: record.actor, beganMilliseconds: record.milliseconds,
                lengthMilliseconds: length)
            _ = note(
                "TrialBegan", "cluster/\(clusterName)",
                "revision \(revision) is undone after \(length / 1000) s unless it is confirmed", record)
        }
        return done("\(parts.count) of \(declarations.count) resources changed")
    }

    /// What it replaced; nil when it is declared like that already.
    mutating func declare(_ declaration: Declaration, _ record: CommandRecord) -> DeclarationChange.Part? {
        let key = declaration.key
        let before = resources[key]?.declaration
        if let present = resources[key] {
            guard present.declaration != declaration else { return nil }
            resources[key] = Resource(
                declaration: declaration, created: present.created, modified: revision,
                generation: present.generation + 1)
        } else {
            resources[key] = Resource(declaration: declaration, created: revision, modified: revision, generation: 1)
        }
        let event = note("Applied", key.description, "declared by \(record.actor)", record)
        if Self.isRole(key) {
            if roles[key] == nil {
                var role = RoleRecord()
                role.epoch = retiredEpoch
                role.reason = "declared; nobody holds it yet"
                role.lastEvent = event
                role.since = revision
                role.sinceMilliseconds = record.milliseconds
                roles[key] = role
            } else if case .vacant? = roles[key]?.phase {
                _ = roles.update(key) { $0.lastEvent = event }
            }
        }
        declareWorkload(key, before: before, event: event, record)
        return DeclarationChange.Part(key: key, before: before, isDeclared: true)
    }

    mutating func delete(_ keys: [ResourceKey], check: UInt64?, _ record: CommandRecord) -> Outcome {
        if let refusal = refusalOfChange(check: check) { return refusal }
        let present = keys.filter { resources.contains($0) }
        if present.isEmpty && !keys.isEmpty {
            return refused(.notFound, "no such resource: \(keys.map(\.description).joined(separator: ", "))")
        }
        if let name = hostThatRemembersTooMany(besides: present) {
            return refused(
                .unsafe,
                "\(HostRecord.mostRetired) workloads were deleted since \(name) was fenced, and what may be left of them "
                    + "there is not forgotten; bring \(name) back first (holdfast host list)")
        }
        keep(present.compactMap { undeclare($0, record) }, "deleted", record)
        return done("\(present.count) resources deleted")
    }

    /// What it was; nil when it was not declared.
    mutating func undeclare(_ key: ResourceKey, _ record: CommandRecord) -> DeclarationChange.Part? {
        guard let present = resources[key] else { return nil }
        resources[key] = nil
        let event = note("Deleted", key.description, "deleted by \(record.actor)", record)
        // A role that somebody holds stays until the holder has let go of it.
        if roles[key]?.holder == nil { retire(key) } else { _ = roles.update(key) { $0.lastEvent = event } }
        retireWorkload(key, present.declaration)
        return DeclarationChange.Part(key: key, before: present.declaration, isDeclared: false)
    }

    func checkRevision(_ check: UInt64?) -> Outcome? {
        guard let check else { return nil }
        // Every plan was made before the command that carries it out; a later index is another cluster's.
        guard check < revision else {
            return refused(
                .conflict,
                "this cluster has not reached the index \(check) yet; was the plan made in another one? Run plan again")
        }
        guard declarationsRevision > check else { return nil }
        return refused(
            .conflict,
            "resources changed at revision \(declarationsRevision), after the index \(check) this was planned at; run plan again"
        )
    }

    /// The kinds whose resources are roles: held by one member at a time.
    static func isRole(_ key: ResourceKey) -> Bool { key.kind == "VirtualIP" }

    // MARK: Values

    mutating func put(_ key: String, _ value: String, expected: ExpectedValue?) -> Outcome {
        switch expected {
        case .absent? where values[key] != nil: return refused(.conflict, "\(key) has a value")
        case .value(let wanted)? where values[key]?.value != wanted:
            return refused(.conflict, "\(key) has another value")
        default: break
        }
        guard values.contains(key) || values.count < Self.mostValues else {
            return refused(.invalid, "the store holds at most \(Self.mostValues) values")
        }
        let replaced = values[key].map { Self.bytes(key, $0.value) } ?? 0
        let added = Self.bytes(key, value)
        let sum = valueBytes - replaced + added
        // Less is always welcome, or a store that is over the bound could not be made smaller.
        guard !guardsAreInForce || added <= replaced || sum <= Self.mostStoredBytes else {
            return refused(
                .invalid,
                "the store holds at most \(Self.mostStoredBytes >> 20) MiB of keys and values together, and would have "
                    + "\(sum) bytes; remove values first, or keep what is large elsewhere")
        }
        values[key] = StoredValue(value: value, modified: revision)
        valueBytes = sum
        return done()
    }

    mutating func removeValue(_ key: String) -> Outcome {
        guard let present = values[key] else { return refused(.notFound, "\(key) has no value") }
        values[key] = nil
        valueBytes -= Self.bytes(key, present.value)
        return done()
    }

    /// What a value counts for in `valueBytes`.
    static func bytes(_ key: String, _ value: String) -> Int { key.utf8.count + value.utf8.count }
}
