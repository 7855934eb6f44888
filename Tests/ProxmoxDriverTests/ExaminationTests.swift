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
