// The virtual machines of the lab: their numbers, addresses, and where each of them is when the lab begins. The manifests
// in deploy/lab declare the same. No behaviour.

/// A virtual machine, as the emulated Proxmox has it.
struct LabGuest: Equatable {
    let name: String
    let vmid: Int
    /// Where it is when the lab is built.
    let host: String
    /// IPv4 in 192.168.1.0/24.
    let address: String
    /// A storage of `LabStorage`.
    var storage: LabStorage = .ceph
    var memoryMebibytes = 512
    /// Between two writes to its disk.
    var pauseMilliseconds = 5

    /// Of its network card, wherever it runs: 02:03:c0:a8:01:78 is 192.168.1.120.
    var hardwareAddress: String {
        "02:03" + address.split(separator: ".").compactMap { UInt8($0) }.map { ":" + hexadecimal($0) }.joined()
    }

    /// Its image, as Proxmox names it.
    var volume: String {
        switch storage {
        case .ceph: "\(storage.rawValue):vm-\(vmid)-disk-0"
        case .shared: "\(storage.rawValue):\(vmid)/vm-\(vmid)-disk-0.raw"
        }
    }

    static let all = [
        LabGuest(name: "gitlab", vmid: 120, host: "pve1", address: "192.168.1.120"),
        LabGuest(name: "vault", vmid: 121, host: "pve1", address: "192.168.1.121"),
        LabGuest(name: "paperless", vmid: 130, host: "pve2", address: "192.168.1.130"),
        LabGuest(name: "wiki", vmid: 131, host: "pve2", address: "192.168.1.131"),
    ]

    /// Declared by the bench alone: their storage cannot keep a lost host out.
    static let onFiles = [
        LabGuest(name: "files", vmid: 140, host: "pve1", address: "192.168.1.140", storage: .shared),
        LabGuest(name: "mail", vmid: 141, host: "pve2", address: "192.168.1.141", storage: .shared),
    ]

    /// Most guests of `crowd`.
    static let mostOfACrowd = 100

    /// Declared by the bench alone: many small guests of one host, which write less often.
    static func crowd(_ count: Int, on host: String = "pve1") -> [LabGuest] {
        precondition((0...mostOfACrowd).contains(count), "there are addresses for \(mostOfACrowd)")
        return (0..<count).map { number in
            LabGuest(
                name: "crowd-\(100 + number)", vmid: 200 + number, host: host, address: "192.168.1.\(150 + number)",
                memoryMebibytes: 128, pauseMilliseconds: 200)
        }
    }

    static func guest(_ vmid: Int) -> LabGuest? {
        (all + onFiles + crowd(mostOfACrowd)).first { $0.vmid == vmid }
    }
}

/// The storages that both hosts reach, by their names in Proxmox.
enum LabStorage: String, CaseIterable {
    /// Images in Ceph: a lost host is kept from them by the blocklist.
    case ceph = "rbd-vms"
    /// Files on a server: a lost host must be proven to be off.
    case shared = "nfs-vms"

    /// As Proxmox calls it.
    var type: String {
        switch self {
        case .ceph: "rbd"
        case .shared: "nfs"
        }
    }
}
