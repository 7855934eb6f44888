// Keeps the orders for one guest in their order, and those for different guests apart. An order that stands already is
// not taken twice. To end a guest cannot wait: it cuts off what is being done with the guest.

import Cluster
import Consensus
import Kinds

/// A step that was ordered.
struct OrderedStep: Hashable, Sendable {
    enum Work: Hashable, Sendable {
        case start(takeFrom: [String], provenAway: [String])
        case stop(grace: Interval)
        case migrate(to: String, live: Bool)
        case destroy
    }
    let guest: Guest
    let epoch: UInt64
    let work: Work

    /// nil for an order that is no step.
    init?(_ order: GuestOrder) {
        switch order {
        case .watch: return nil
        case .start(let guest, let epoch, let takeFrom, let provenAway):
            self.init(guest, epoch, .start(takeFrom: takeFrom, provenAway: provenAway))
        case .stop(let guest, let epoch, let grace): self.init(guest, epoch, .stop(grace: grace))
        case .migrate(let guest, let epoch, let target, let live):
            self.init(guest, epoch, .migrate(to: target, live: live))
        case .destroy(let guest, let epoch): self.init(guest, epoch, .destroy)
        }
    }

    private init(_ guest: Guest, _ epoch: UInt64, _ work: Work) {
        (self.guest, self.epoch, self.work) = (guest, epoch, work)
    }

    var step: GuestStep {
        switch work {
        case .start: .start
        case .stop: .stop
        case .migrate: .migrate
        case .destroy: .destroy
        }
    }
}

/// What stands before each guest. A value; whoever has it runs the steps.
struct GuestLanes: Sendable {
    struct Lane: Sendable {
        /// The first is under way.
        var steps: [OrderedStep] = []
        /// Ends the work of the first.
        var cut: AsyncStream<Never>.Continuation?
        var isRunning = false
    }
    /// Orders for one guest that may wait.
    static let mostSteps = 8
    private var lanes: SortedMap<Int64, Lane> = [:]

    enum Admission: Equatable {
        /// It is the first: start running the lane.
        case run
        case waits
        case known
        case full
    }

    mutating func admit(_ step: OrderedStep) -> Admission {
        var lane = lanes[step.guest.vmid] ?? Lane()
        defer { lanes[step.guest.vmid] = lane }
        if lane.steps.contains(step) { return .known }
        guard lane.steps.count < Self.mostSteps else { return .full }
        if step.work == .destroy {
            // What waits is of no use any more; what runs is cut off.
            lane.steps = Array(lane.steps.prefix(lane.isRunning ? 1 : 0))
            lane.cut?.finish()
        }
        lane.steps.append(step)
        guard !lane.isRunning else { return .waits }
        lane.isRunning = true
        return .run
    }

    /// The next step of a guest, and what ends it early; nil: there is none, and the lane has stopped running.
    mutating func next(_ vmid: Int64, cut: AsyncStream<Never>.Continuation) -> OrderedStep? {
        guard var lane = lanes[vmid], let first = lane.steps.first else {
            lanes[vmid] = nil
            return nil
        }
        lane.cut = first.work == .destroy ? nil : cut
        lanes[vmid] = lane
        return first
    }

    /// The first step of a guest has ended.
    mutating func ended(_ vmid: Int64) {
        _ = lanes.update(vmid) { lane in
            lane.steps.removeFirst()
            lane.cut = nil
        }
    }

    /// Whether anything is being done with the guest.
    func isBusy(_ vmid: Int64) -> Bool { lanes.contains(vmid) }
}
