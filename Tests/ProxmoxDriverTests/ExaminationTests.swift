// What `doctor` hears of a host's Proxmox, and what `vm import` finds there.

import Cluster
import Consensus
import Kinds
import Testing

@testable import ProxmoxDriver

@Suite struct PrivilegeTests {
    private func granted(_ path: String, _ privileges: [String]) -> JSONValue {
        .object([path: .object(SortedMap(privileges.map { ($0, .int(1)) }))])
    }

    @Test func whatTheTokenLacksIsNamedWithItsPath() {
        let all = ProxmoxPrivileges.needed.flatMap(\.privileges)
        #expect(ProxmoxPrivileges.missing(granted("/", all)) == [])
        #expect(
            ProxmoxPrivileges.missing(granted("/", all.filter { $0 != "VM.PowerMgmt" && $0 != "Sys.Audit" }))
                == ["Sys.Audit on /", "VM.PowerMgmt on /vms"])
        // What is said of the path itself goes before what is granted above it.
        let narrowed: JSONValue = [
            "/": granted("/", all)["/"] ?? .null, "/storage": ["Datastore.Audit": 1],
        ]
        #expect(ProxmoxPrivileges.missing(narrowed) == ["Datastore.AllocateSpace on /storage"])
        #expect(ProxmoxPrivileges.missing(.object([:])).count == all.count)
    }

    @Test func whatGuestAgentsNeedIsNamedAsThisVersionCallsIt() throws {
        let eight = try #require(ProxmoxVersion(["version": "8.4.1"]))
        let nine = try #require(ProxmoxVersion(["version": "9.1.6"]))
        let without = granted("/", ProxmoxPrivileges.needed.flatMap(\.privileges))
        #expect(ProxmoxPrivileges.missingForAgents(without, eight)?.hasPrefix("VM.Monitor on /vms") == true)
        #expect(ProxmoxPrivileges.missingForAgents(without, nine)?.hasPrefix("VM.GuestAgent.Audit on /vms") == true)
        for privilege in ["VM.Monitor", "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"] {
            #expect(ProxmoxPrivileges.missingForAgents(granted("/", [privilege]), eight) == nil)
            #expect(ProxmoxPrivileges.missingForAgents(granted("/vms", [privilege]), nine) == nil)
            #expect(ProxmoxPrivileges.missingForAgents(granted("/storage", [privilege]), nine) != nil)
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct AgentPrivilegeTests {
    /// Proxmox answers each such check with 403, which says nothing of the guest: it would never be restarted, and nobody told.
    @Test func aTokenThatMayNotAskAnAgentIsToldWhereOneIsToBeAsked() async throws {
        let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        let held = ProxmoxPrivileges.needed.flatMap(\.privileges).map { "\"\($0)\":1" }.joined(separator: ",")
        let exec: JSONValue = ["exec": ["/usr/bin/true"], "every": "10s", "failures": 1]
        let ping: JSONValue = ["agent": "ping", "every": "10s", "failures": 1]
        let cases: [(String, JSONValue, String?)] = [
            ("9.1.6", exec, nil), ("9.1.6", ping, "VM.GuestAgent.Audit on /vms"), ("8.4.1", ping, "VM.Monitor on /vms"),
        ]
        try await run { node, _ in
            node.carryOut(.watch([web]))
            for (version, health, lacking) in cases {
                run.declared.withLock { declared in
                    declared = Declaration(
                        kind: "VirtualMachine", name: "web", spec: ["proxmox": ["vmid": 120], "health": health])
                }
                run.proxmox.change { state in
                    state.faults.append(("GET /version", .data("{\"version\":\"\(version)\"}")))
                    state.faults.append(("GET /access/permissions", .data("{\"/\":{\(held)}}")))
                }
                let found = await node.examine()
                #expect(found.version == version)
                #expect(found.missingPrivileges.count == (lacking == nil ? 0 : 1), "\(found.missingPrivileges)")
                if let lacking { #expect(found.missingPrivileges.first?.hasPrefix(lacking) == true) }
            }
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct ImportTests {
    @Test func whatNobodyDeclaredIsFoundWithItsStorages() async throws {
        let proxmox = try await SmallProxmox()
        proxmox.put(120, on: "pve1", "name: web\nmemory: 2048\nscsi0: rbd:vm-120-disk-0,size=10G")
        proxmox.put(121, on: "pve1", "name: db\nscsi0: local:121/vm-121-disk-0.raw,size=1G")
        proxmox.put(122, on: "pve1", "name: declared\nscsi0: rbd:vm-122-disk-0,size=10G")
        proxmox.put(123, on: "pve1", "name: managed")
        proxmox.change { $0.managed = [123] }
        let host = try proxmox.server.host()
        let found = try await AdoptableGuests.on(host, declared: [122], pools: [])
        #expect(found.guests.map(\.name) == ["g120", "g121"])
        #expect(found.guests[0].spec["disks"] == [["name": "scsi0", "pool": "rbd", "size": "10Gi"]])
        #expect(
            found.pools.map { "\($0.name) \($0.spec["type"]?.string ?? "")" } == ["local local", "rbd cephRbd"])
        #expect(found.managed == ["vm:123"])
        #expect(found.notes.count == 1)
        #expect(found.notes.first?.contains("vm 121 cannot leave this host") == true)
        // What is declared once is not declared again.
        let again = try await AdoptableGuests.on(host, declared: [120, 121, 122], pools: ["rbd", "local"])
        #expect(again.guests.isEmpty)
        #expect(again.pools.isEmpty)
        for declaration in found.pools { _ = try StoragePoolSpec(declaration) }
        for declaration in found.guests { _ = try WorkloadSpec(declaration) }
    }
}
