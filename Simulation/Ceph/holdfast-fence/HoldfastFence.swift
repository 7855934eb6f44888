// The product's own fence against whatever Ceph its settings name, told by lines what to do: what Simulation/Ceph/fence.sh
// fences with. The orders take the way they take in an agent (ProxmoxNode: lanes, claims, steps, the `ceph` and `rbd`
// programs); what stands in for the cluster is only the answer to claims, since there is none here.
//
// Relies on: a settings file as deploy/OPERATING.md describes it. Its API is not asked for anything.

import Cluster
import Consensus
import Foundation
import Kinds
import Logging
import ProxmoxDriver
import Synchronization

/// Reads orders line by line until the input ends, and answers each with one line:
///
///     fence HOST EPOCH ADDRESS    fenced EPOCH MILLISECONDS PROOF | failed EPOCH MILLISECONDS REASON
///     lift HOST EPOCH ADDRESS     lifted EPOCH MILLISECONDS       | failed EPOCH MILLISECONDS REASON
///     clean HOST EPOCH            clean EPOCH            from now on the fence with this epoch may be lifted
///     clients POOL/IMAGE          clients ADDRESS:0/NONCE...      | failed REASON
///     machines                    machines NUMBER:PROCESS...      the QEMU processes that run on this host
///     end NUMBER                  ended NUMBER                    | failed REASON
@main struct HoldfastFence {
    static func main() async {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        guard CommandLine.arguments.count == 2, let path = CommandLine.arguments.last else {
            complain("usage: holdfast-fence SETTINGS.json; then orders on standard input")
            exit(2)
        }
        do {
            let session = try Session(settings: ProxmoxSettings(file: path, hostName: ProcessInfo.processInfo.hostName))
            await session.run()
        } catch {
            complain("error: \(error)")
            exit(1)
        }
    }

    private static func complain(_ words: String) { FileHandle.standardError.write(Data("\(words)\n".utf8)) }
}

private final class Session: Sendable {
    /// What the cluster would know of one host's fence.
    private struct Fence {
        var epoch: UInt64 = 0
        var isClean = false
    }

    private let settings: ProxmoxSettings
    private let node: ProxmoxNode
    private let fences: SharedFences
    private let outcomes: AsyncStream<FenceReport>

    private final class SharedFences: Sendable {
        let byHost = Mutex<[String: Fence]>([:])

        func answer(_ claim: OrderClaim) -> ClaimAnswer {
            byHost.withLock { fences in
                switch claim {
                case .fence(let host, let epoch, _):
                    fences[host]?.epoch == epoch ? .holds : .superseded("\(host) was fenced anew since")
                case .lift(let host, let epoch):
                    if fences[host]?.epoch != epoch {
                        .superseded("\(host) was fenced anew since")
                    } else if fences[host]?.isClean != true {
                        .superseded("\(host) has not said that no old machine is left on it")
                    } else {
                        .holds
                    }
                case .start, .take, .migrate, .lowerVotes: .superseded("nothing is started here")
                }
            }
        }
    }

    init(settings: ProxmoxSettings) throws {
        var settings = settings
        settings.lookInterval = .seconds(3_600)
        let fences = SharedFences()
        let (outcomes, reports) = AsyncStream<FenceReport>.makeStream()
        self.settings = settings
        self.fences = fences
        self.outcomes = outcomes
        node = try ProxmoxNode(
            settings, log: Logger(label: "holdfast-fence"), declaration: { _ in nil }, claim: { fences.answer($0) },
            report: { _ in }, reportFence: { reports.yield($0) })
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.node.serve() }
            var outcomes = outcomes.makeAsyncIterator()
            while let line = readLine() {
                let answer = await answer(line.split(separator: " ").map(String.init), &outcomes)
                FileHandle.standardOutput.write(Data((answer + "\n").utf8))
            }
            group.cancelAll()
        }
    }

    private func answer(_ words: [String], _ outcomes: inout AsyncStream<FenceReport>.Iterator) async -> String {
        let began = ContinuousClock.now
        switch (words.first, words.count) {
        case ("fence", 4), ("lift", 4):
            guard let epoch = UInt64(words[2]) else { break }
            let isLifting = words[0] == "lift"
            if !isLifting {
                fences.byHost.withLock { if $0[words[1]]?.epoch != epoch { $0[words[1]] = Fence(epoch: epoch) } }
            }
            node.carryOut(
                isLifting
                    ? .unblocklist(host: words[1], epoch: epoch, addresses: [words[3]])
                    : .blocklist(host: words[1], epoch: epoch, addresses: [words[3]]))
            guard let outcome = await outcomes.next() else { return "failed \(epoch) 0 it ended" }
            let milliseconds = (ContinuousClock.now - began) / .milliseconds(1)
            let time = String(Int(milliseconds.rounded()))
            switch outcome {
            case .fenced(_, let proof): return "fenced \(epoch) \(time) \(proof)"
            case .lifted: return "lifted \(epoch) \(time)"
            case .failed(_, let reason): return "failed \(epoch) \(time) \(reason)"
            }
        case ("clean", 3):
            guard let epoch = UInt64(words[2]) else { break }
            fences.byHost.withLock { $0[words[1]] = Fence(epoch: epoch, isClean: true) }
            return "clean \(epoch)"
        case ("clients", 2):
            guard let ceph = settings.ceph else { return "failed the settings name no Ceph" }
            do {
                return try await (["clients"] + ceph.watchers(of: words[1]).map(\.text)).joined(separator: " ")
            } catch { return "failed \(error)" }
        case ("machines", 1):
            let found = settings.machines.runningAnywhere()
            return (["machines"] + found.map { "\($0.guest.number):\($0.process)" }).joined(separator: " ")
        case ("end", 2):
            for machine in settings.machines.runningAnywhere() where "\(machine.guest.number)" == words[1] {
                guard await settings.machines.kill(machine, limit: settings.killLimit) else {
                    return "failed \(words[1]) is still there"
                }
            }
            return "ended \(words[1])"
        default: break
        }
        return "failed not understood: \(words.joined(separator: " "))"
    }
}
