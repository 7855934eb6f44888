// Which folder is which module, which modules are pure, and what each may import: the layout of the package as a table.
// Every folder of Sources and Simulation that holds Swift must stand here; a test says so when one does not.

/// A module and the folder its source lies in.
struct Module {
    let name: String
    let folder: String
    /// No clock, socket, file, task or randomness of its own.
    let isPure: Bool
    /// Modules of this package that it may import.
    let mayImport: [String]
}

enum Layout {
    /// Modules of the product. Imports point only upward in this list.
    static let order = [
        "Consensus", "Cluster", "Kinds", "Decisions", "Agent", "Manifests", "Drivers", "Runtime", "API", "holdfast",
    ]
    static let pureProduct = Array(order.prefix(5))
    /// Folders of Simulation that are pure like the half they test; a folder F is the module "SimulationF".
    static let pureSimulation = ["World", "Faults", "Checks", "Scenarios", "Traces", "WhatIf"]
    /// Folders of Simulation without Swift.
    static let withoutSwift = ["Specification"]

    static let modules: [Module] =
        [
            // A driver of its own, for it is large; like every driver it performs what was decided elsewhere. It stands
            // before "Drivers", in whose folder it lies.
            Module(
                name: "ProxmoxDriver", folder: "Sources/Drivers/Proxmox", isPure: false,
                mayImport: ["Consensus", "Cluster", "Kinds", "Drivers", "CKernel"])
        ]
        + order.map {
            Module(name: $0, folder: "Sources/\($0)", isPure: pureProduct.contains($0), mayImport: product($0))
        }
        + pureSimulation.map {
            Module(
                name: "Simulation\($0)", folder: "Simulation/\($0)", isPure: true,
                mayImport: pureProduct + pureSimulation.map { "Simulation\($0)" })
        }
        + [
            // The consensus core on its own.
            Module(
                name: "SimulationRaft", folder: "Simulation/RaftAlone", isPure: true,
                mayImport: ["Consensus", "Cluster"]),
            Module(
                name: "holdfast_sim", folder: "Simulation/holdfast-sim", isPure: false,
                mayImport: pureProduct + ["Manifests", "SimulationRaft"] + simulation),
            // Stand-ins for what the drivers talk to. They know nothing of the product: one that shared code with it would
            // share its mistakes.
            Module(name: "ProxmoxEmulator", folder: "Simulation/Emulators/Proxmox", isPure: false, mayImport: []),
            Module(
                name: "holdfast_proxmox", folder: "Simulation/Emulators/holdfast-proxmox", isPure: false,
                mayImport: ["ProxmoxEmulator"]),
            // The driver's fence with a real Ceph under it.
            Module(
                name: "holdfast_fence", folder: "Simulation/Ceph/holdfast-fence", isPure: false,
                mayImport: ["Consensus", "Cluster", "Kinds", "ProxmoxDriver"]),
            // The laboratory talks to `holdfast` as a person does, by its command line.
            Module(name: "holdfast_lab", folder: "Simulation/holdfast-lab", isPure: false, mayImport: ["CKernel"]),
        ]

    private static let simulation = pureSimulation.map { "Simulation\($0)" }

    /// Every module of this package; others come from outside and are not ordered here.
    static let own = order + simulation + ["CKernel", "ProxmoxDriver", "SimulationRaft", "ProxmoxEmulator"]

    /// The only files of the pure half that may import something from outside, and what.
    static let foreignImports = ["Sources/Cluster/JSONValue.swift": ["FoundationEssentials"]]

    static func module(of file: SourceFile) -> Module? { modules.first { file.isInside($0.folder) } }

    private static func product(_ name: String) -> [String] {
        switch name {
        case "Manifests": ["Consensus", "Cluster", "Kinds"]
        // A driver performs what was decided elsewhere; it never sees how.
        case "Drivers": ["Consensus", "Cluster", "Kinds", "CKernel"]
        // `what-if` runs the simulator on a live configuration.
        case "holdfast": order.dropLast() + pureSimulation.map { "Simulation\($0)" } + ["CKernel", "ProxmoxDriver"]
        default:
            Array(order.prefix { $0 != name }) + (pureProduct.contains(name) ? [] : ["CKernel"])
        }
    }
}
