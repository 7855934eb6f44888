// Proxmox's privileges and the roles that come with an installation, as 8.4.1 answered GET /access/roles; 9.1 has other
// privileges for the guest agent and no VM.Monitor.

enum Roles {
    static func privileges(of role: String, _ release: Release, custom: [String: [String]]) -> [String] {
        if role == "Administrator" { return all(release) }
        if let privileges = custom[role] { return privileges }
        guard let eight = builtIn[role] else { return [] }
        let list = eight.split(separator: ",").map(String.init)
        guard release == .nine, list.contains("VM.Monitor") else { return list }
        return list.filter { $0 != "VM.Monitor" } + nineOnly
    }

    static func all(_ release: Release) -> [String] {
        let both = administrator.split(separator: ",").map(String.init)
        return release == .eight ? both : both.filter { $0 != "VM.Monitor" } + nineOnly
    }

    static var names: [String] { ["Administrator"] + builtIn.keys.sorted() }

    private static let nineOnly = [
        "VM.GuestAgent.Audit", "VM.GuestAgent.FileRead", "VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.FileWrite",
        "VM.GuestAgent.Unrestricted", "VM.Replicate",
    ]

    private static let guest =
        "VM.Allocate,VM.Audit,VM.Backup,VM.Clone,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,VM.Config.Disk,"
        + "VM.Config.HWType,VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.Console,VM.Migrate,VM.Monitor,"
        + "VM.PowerMgmt,VM.Snapshot,VM.Snapshot.Rollback"

    private static let administrator =
        "Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit,Group.Allocate,"
        + "Mapping.Audit,Mapping.Modify,Mapping.Use,Permissions.Modify,Pool.Allocate,Pool.Audit,Realm.Allocate,"
        + "Realm.AllocateUser,SDN.Allocate,SDN.Audit,SDN.Use,Sys.AccessNetwork,Sys.Audit,Sys.Console,Sys.Incoming,"
        + "Sys.Modify,Sys.PowerMgmt,Sys.Syslog,User.Modify," + guest

    private static let builtIn: [String: String] = [
        "NoAccess": "",
        "PVEAdmin": "Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit,"
            + "Group.Allocate,Mapping.Audit,Mapping.Use,Pool.Allocate,Pool.Audit,Realm.AllocateUser,SDN.Allocate,"
            + "SDN.Audit,SDN.Use,Sys.Audit,Sys.Console,Sys.Syslog,User.Modify," + guest,
        "PVEAuditor": "Datastore.Audit,Mapping.Audit,Pool.Audit,SDN.Audit,Sys.Audit,VM.Audit",
        "PVEDatastoreAdmin": "Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit",
        "PVEDatastoreUser": "Datastore.AllocateSpace,Datastore.Audit",
        "PVEMappingAdmin": "Mapping.Audit,Mapping.Modify,Mapping.Use",
        "PVEMappingUser": "Mapping.Audit,Mapping.Use",
        "PVEPoolAdmin": "Pool.Allocate,Pool.Audit",
        "PVEPoolUser": "Pool.Audit",
        "PVESDNAdmin": "SDN.Allocate,SDN.Audit,SDN.Use",
        "PVESDNUser": "SDN.Audit,SDN.Use",
        "PVESysAdmin": "Sys.Audit,Sys.Console,Sys.Syslog",
        "PVETemplateUser": "VM.Audit,VM.Clone",
        "PVEUserAdmin": "Group.Allocate,Realm.AllocateUser,User.Modify",
        "PVEVMAdmin": guest,
        "PVEVMUser": "VM.Audit,VM.Backup,VM.Config.CDROM,VM.Config.Cloudinit,VM.Console,VM.PowerMgmt",
    ]
}
