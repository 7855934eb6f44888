// Whether an order still holds, asked as the real driver asks (Sources/Drivers/Proxmox/Adapter/OrderClaims.swift): just before
// what cannot be undone, by a linearizable read of the agent whose driver it is, judged by the same function of the state.
//
//     driver     step ── claim ─────────────────────────── goes on, or has failed
//     agent              └─ read ──▶ leader ──▶ applied ──┘     no answer within 3 s: nobody says that it holds
//
// The read is the product's own, so it takes as long as its frames take and fails as it fails without a quorum.
//
// Does not: ask for the hypervisor's own tasks, which go on without anybody's agent, nor for what people do by hand.

import Agent
import Cluster
import Consensus
import Kinds

/// What the driver of a machine has asked the cluster about one of its steps.
struct ClaimQuestion: Sendable {
    /// All of them are judged by one state.
    let claims: [OrderClaim]
    let machine: Int
    /// On the machine's own clock.
    var asked: Instant
    /// Which question of this step it is; answers to earlier ones come too late.
    var serial: Int
    var answer: ClaimAnswer?

    // As in the real driver.
    static let patience = Interval.seconds(3)
    static let freshness = Interval.milliseconds(500)
    static let most = 4
}

/// How a step goes on.
enum ClaimWord {
    case holds
    /// It is called again with the answer.
    case waits
    case failed(String)
}

extension World {
    /// Whether the cluster has said just now that these claims hold. Else it is asked, and the step waits.
    /// - Parameter number: of a step or a fence of the machine's present process.
    func confirm(_ claims: [OrderClaim], for number: UInt64, on machine: Machine, _ lab: GuestLab) -> ClaimWord {
        guard machine.process?.isPaused == false, !machine.isFrozen else {
            // The driver stands still with its process.
            queue.push(lab.steps.contains(number) ? .guestStep(number) : .fenceStep(number), at: now + 50_000_000)
            return .waits
        }
        guard let question = lab.claims[number], question.claims == claims else {
            return ask(claims, for: number, on: machine, serial: 1, lab)
        }
        switch question.answer {
        case nil: return .waits
        case .holds?:
            guard machine.reading(at: now) - question.asked >= ClaimQuestion.freshness else {
                lab.claims[number] = nil
                return .holds
            }
            guard question.serial < ClaimQuestion.most else {
                lab.claims[number] = nil
                return .failed("not carried out: the answer of the cluster takes longer than it counts for")
            }
            return ask(claims, for: number, on: machine, serial: question.serial + 1, lab)
        case .superseded(let reason)?:
            lab.claims[number] = nil
            marks.reach(.orderSuperseded)
            return .failed("not carried out: \(reason)")
        case .unknown(let reason)?:
            lab.claims[number] = nil
            return .failed("not carried out, for nobody says that it is still wanted: \(reason)")
        }
    }

    private func ask(
        _ claims: [OrderClaim], for number: UInt64, on machine: Machine, serial: Int, _ lab: GuestLab
    ) -> ClaimWord {
        lab.claims[number] = ClaimQuestion(
            claims: claims, machine: machine.index, asked: machine.reading(at: now), serial: serial)
        let asker = Asker.driver(step: number, serial: serial)
        queue.push(.request(machine: machine.index, .read(deadline: .distantPast), from: asker), at: now + 1)
        return .waits
    }

    /// The agent has read, or could not.
    func claimAnswered(_ number: UInt64, serial: Int, _ response: AgentResponse, by machine: Machine) {
        guard let question = lab?.claims[number], question.serial == serial, question.machine == machine.index else {
            return
        }
        let answer: ClaimAnswer
        switch response {
        case .state(let state, _):
            let objection = question.claims.lazy.compactMap { $0.objection(in: state, of: machine.id) }.first
            answer = objection.map(ClaimAnswer.superseded) ?? .holds
        case .failed(let failure): answer = .unknown("\(failure)")
        case .outcome: answer = .unknown("the agent gave no state")
        }
        queue.push(.claimAnswered(step: number, serial: serial, answer), at: now + 1)
    }

    /// The driver hears it, and goes on with the step.
    func take(_ answer: ClaimAnswer, for number: UInt64, serial: Int) {
        guard let lab, lab.claims[number]?.serial == serial else { return }
        _ = lab.claims.update(number) { $0.answer = answer }
        if lab.steps.contains(number) { return goOn(number) }
        if lab.fences.contains(number) { return goOnWithFence(number) }
        lab.claims[number] = nil
    }

    /// The process of a machine ends, and with it what its driver had not begun yet.
    func dropClaims(of machine: Machine) {
        guard let lab else { return }
        for (number, question) in lab.claims.pairs where question.machine == machine.index {
            lab.claims[number] = nil
            if let step = lab.steps[number] { unlock(step, lab) }
            lab.steps[number] = nil
            lab.fences[number] = nil
        }
    }

    /// A move that was not gone on with holds nothing any more.
    private func unlock(_ step: GuestStepState, _ lab: GuestLab) {
        guard case .order(.migrate, _, _) = step.work, step.stage > 0, lab.guests[step.guest].lock == "migrate" else {
            return
        }
        lab.guests[step.guest].lock = nil
    }

    /// What a step for a guest rests on, as far as it is the driver's to ask; empty: nothing.
    func claims(of order: GuestOrder) -> [OrderClaim] {
        switch order {
        case .start(let guest, let epoch, _, _): [.start(guest.workload, epoch: epoch)]
        case .migrate(let guest, let epoch, let to, _): [.migrate(guest.workload, epoch: epoch, to: to)]
        case .watch, .stop, .destroy: []
        }
    }

    /// Whether a step may do now what cannot be undone. If not it waits for the answer, or has failed and is over.
    func isAllowed(_ number: UInt64, besides others: [OrderClaim] = [], _ lab: GuestLab) -> Bool {
        guard let step = lab.steps[number], case .order(let order, let index, let life) = step.work else { return true }
        let claims = claims(of: order) + others
        // A task of which nobody hears any more goes on by itself.
        guard !claims.isEmpty, machines[index].life == life else { return true }
        switch confirm(claims, for: number, on: machines[index], lab) {
        case .holds: return true
        case .waits: return false
        case .failed(let reason):
            unlock(step, lab)
            end(number, GuestFailure(reason))
            return false
        }
    }
}
