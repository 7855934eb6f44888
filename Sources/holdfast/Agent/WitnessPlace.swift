// Where a witness stands. A witness that runs on a host of the cluster is lost together with that host, and of two hosts and a
// witness then one vote is left of three. So it is not let in; and one that was let in before its host could tell is told of
// by `doctor`.

import Cluster
import NIOPosix
import ProxmoxDriver
import Runtime

/// What this member knows of it.
struct WitnessPlace: Sendable {
    /// This member, and its hypervisor when it has one.
    let member: String
    let hypervisor: HostDriver?
    /// Nil on a member that is a container: what shares its boot does not run on it.
    var boot = MachinePlace.ownBoot()
    /// This machine's own, which a container with the right to it reads.
    var machine = MachinePlace.here().machine
    /// The boots that the containers of this machine see; blocks.
    var containers: @Sendable () -> Set<String> = { ContainerBoots.here() }

    /// The host of the cluster on which a machine runs; nil: on none that is known.
    @Sendable func carrier(of place: MachinePlace, in state: ClusterState) async -> String? {
        if let theirs = place.boot, boot != nil {
            if await boots().contains(theirs) { return member }
            if let host = state.hosts.pairs.first(where: { $0.1.facts.boot == theirs })?.0 { return host }
        }
        guard let machine = place.machine else { return nil }
        if boot != nil, machine == self.machine { return member }
        guard let guest = await hypervisor?.guest(ofMachine: machine) else { return nil }
        if guest.isHere { return member }
        return state.member(named: guest.node)?.kind == .host ? guest.node : nil
    }

    /// The witnesses that run in guests of this host: `witness in vm:105`, `witness in a container of this host`.
    func witnessesHere(_ members: [MemberRecord]) async -> [String] {
        let witnesses = members.filter { $0.kind == .witness && $0.machine != nil }
        guard !witnesses.isEmpty else { return [] }
        let boots = await boots()
        var found: [String] = []
        for witness in witnesses {
            guard let machine = witness.machine else { continue }
            if boots.contains(machine) || boot != nil && machine == self.machine {
                found.append("\(witness.name) in a container of this host")
            } else if let guest = await hypervisor?.guest(ofMachine: machine), guest.isHere {
                found.append("\(witness.name) in \(guest.name)")
            }
        }
        return found
    }

    /// Every boot that a container of this machine may tell.
    private func boots() async -> Set<String> {
        guard let boot else { return [] }
        // Fails only when the process ends.
        let others = try? await NIOThreadPool.singleton.runIfActive { [containers] in containers() }
        return (others ?? []).union([boot])
    }
}
