// The two generations of Proxmox VE that the emulator knows, and where their answers differ in ways that are no endpoint
// of their own. Recorded from 8.4.1 and 9.1.6.

/// A release of Proxmox VE.
public enum Release: String, Sendable, Codable, CaseIterable {
    case eight = "8.4"
    case nine = "9.1"

    var version: String { self == .eight ? "8.4.1" : "9.1.6" }
    var repositoryID: String { self == .eight ? "d0ea9d2b" : "71482d1833ded40a" }
    var qemuVersion: String { self == .eight ? "7.2.22" : "10.0.11" }
    var machine: String { self == .eight ? "pc-i440fx-7.2" : "pc-i440fx-10.0" }

    /// In 9.1 a wrong token is one error, whatever is wrong with it.
    func authenticationText(_ detail: String) -> String { self == .eight ? detail : "Authentication failed!" }
}
