// swift-tools-version: 6.2
// The package: one program, its simulator and its laboratory.
//
// HOLDFAST_PURE=1 leaves out everything that touches the world (sockets, TLS, HTTP), so the deciding half and the
// simulator build and test in well under a minute: HOLDFAST_PURE=1 swift test --scratch-path .build-pure
// HOLDFAST_TESTS=A,B leaves out all test targets but those, so that one module and its tests build on their own:
// HOLDFAST_TESTS=ProxmoxDriverTests swift build --product holdfastPackageTests
// HOLDFAST_OPTIMIZED=1 has debug builds optimize the pure half and the simulator: the tests run thousands of simulated labs, and
// that takes a tenth of the time. What is checked while it runs stays. deploy/test.sh sets it.
import PackageDescription

let pureOnly = Context.environment["HOLDFAST_PURE"] == "1"
let optimized = Context.environment["HOLDFAST_OPTIMIZED"] == "1"

let settings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .swiftLanguageMode(.v6),
]

// The pure half is small values that call each other across modules at every event of a simulated lab; compiled one module
// at a time, most of what they do is not inlined.
let pureSettings =
    settings + [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]
    + (optimized ? [.unsafeFlags(["-O"], .when(configuration: .debug))] : [])

// In release nobody asks, at every property of a simulated machine, whether two places change it at once: a world is run
// by one thread. Debug builds, and with them the tests, do ask.
let simulationSettings =
    pureSettings + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

// MARK: The pure half. Imports point only upward in this list (Tests/LintTests checks it).

var dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams.git", exact: "6.2.2"),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

var targets: [Target] = [
    .target(name: "Consensus", exclude: ["DESIGN.md"], swiftSettings: pureSettings),
    .target(name: "Cluster", dependencies: ["Consensus"], swiftSettings: pureSettings),
    .target(name: "Kinds", dependencies: ["Consensus", "Cluster"], swiftSettings: pureSettings),
    .target(name: "Decisions", dependencies: ["Consensus", "Cluster", "Kinds"], swiftSettings: pureSettings),
    .target(name: "Agent", dependencies: ["Consensus", "Cluster", "Kinds", "Decisions"], swiftSettings: pureSettings),

    // Reads YAML: manifests of the product, scenarios of the simulator. Not pure, but in need of nothing slow to build.
    .target(name: "Manifests", dependencies: ["Consensus", "Cluster", "Kinds", yams], swiftSettings: settings),

    // The simulator. Its pure parts are held to the rules of the pure half.
    .target(
        name: "SimulationChecks", dependencies: ["Consensus", "Cluster"], path: "Simulation/Checks",
        swiftSettings: simulationSettings),
    .target(
        name: "SimulationRaft", dependencies: ["Consensus", "Cluster"], path: "Simulation/RaftAlone",
        exclude: ["README.md", "oracle", "differential.sh"], swiftSettings: simulationSettings),
    .target(
        name: "SimulationWorld",
        dependencies: ["Consensus", "Cluster", "Kinds", "Decisions", "Agent", "SimulationChecks"],
        path: "Simulation/World", swiftSettings: simulationSettings),
    .target(
        name: "SimulationFaults", dependencies: ["Consensus", "Cluster", "SimulationWorld"], path: "Simulation/Faults",
        swiftSettings: simulationSettings),
    .target(
        name: "SimulationTraces", dependencies: ["Consensus", "Agent", "SimulationWorld"], path: "Simulation/Traces",
        swiftSettings: simulationSettings),
    .target(
        name: "SimulationScenarios", dependencies: ["Consensus", "Cluster", "Kinds", "SimulationWorld"],
        path: "Simulation/Scenarios", swiftSettings: simulationSettings),
    .target(
        name: "SimulationWhatIf",
        dependencies: ["Consensus", "Cluster", "Kinds", "Decisions", "SimulationWorld"],
        path: "Simulation/WhatIf", swiftSettings: simulationSettings),
    .executableTarget(
        name: "holdfast-sim",
        dependencies: [
            "Consensus", "Cluster", "Kinds", "Manifests", "SimulationChecks", "SimulationFaults", "SimulationRaft",
            "SimulationScenarios", "SimulationTraces", "SimulationWhatIf", "SimulationWorld", argumentParser,
        ],
        path: "Simulation/holdfast-sim", swiftSettings: simulationSettings),

    .testTarget(name: "ConsensusTests", dependencies: ["Consensus"], swiftSettings: settings),
    .testTarget(name: "ClusterTests", dependencies: ["Cluster"], swiftSettings: settings),
    .testTarget(name: "KindsTests", dependencies: ["Kinds"], swiftSettings: settings),
    .testTarget(name: "DecisionsTests", dependencies: ["Decisions"], swiftSettings: settings),
    .testTarget(name: "AgentTests", dependencies: ["Agent", "Kinds"], swiftSettings: settings),
    .testTarget(name: "ManifestsTests", dependencies: ["Manifests"], swiftSettings: settings),
    .testTarget(
        name: "SimulationChecksTests", dependencies: ["SimulationChecks", "Cluster", "Consensus"],
        swiftSettings: settings),
    .testTarget(
        name: "SimulationTests",
        dependencies: [
            "Consensus", "Cluster", "Kinds", "Agent", "Manifests", "SimulationFaults", "SimulationScenarios",
            "SimulationWorld", "holdfast-sim",
        ],
        swiftSettings: settings),
    .testTarget(
        name: "WhatIfTests",
        dependencies: ["Consensus", "Cluster", "Kinds", "Decisions", "SimulationWhatIf", "SimulationWorld"],
        swiftSettings: settings),
    .testTarget(
        name: "SimulationRaftTests", dependencies: ["SimulationRaft", "Consensus", "holdfast-sim"],
        swiftSettings: settings),
    .testTarget(name: "LintTests", swiftSettings: settings),
]

// MARK: The world half.

if !pureOnly {
    dependencies += [
        .package(url: "https://github.com/apple/swift-log.git", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-crypto.git", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates.git", exact: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1.git", exact: "1.7.4"),
        .package(url: "https://github.com/apple/swift-protobuf.git", exact: "1.39.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client.git", exact: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", exact: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", exact: "1.0.2"),
    ]

    let pure: [Target.Dependency] = ["Consensus", "Cluster", "Kinds", "Decisions", "Agent"]
    let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
    let nio: [Target.Dependency] = [
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
    ]
    let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
    let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
    let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
    let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")

    targets += [
        .target(name: "CKernel"),
        .target(
            name: "Drivers",
            dependencies: ["Consensus", "Cluster", "Kinds", "CKernel", logging, httpClient, subprocess] + nio,
            exclude: ["Proxmox"], swiftSettings: settings),
        .target(
            name: "Runtime",
            dependencies: pure + nio + [
                "CKernel", "Drivers", logging,
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            exclude: ["Wire/peer.proto", "Storage/DESIGN.md", "Storage/DISK-FORMAT.md"],
            swiftSettings: settings),
        .target(
            name: "API",
            dependencies: pure + nio + [
                "Runtime", "Manifests", logging, x509,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "holdfast",
            dependencies: pure + [
                "Manifests", "Drivers", "ProxmoxDriver", "Runtime", "API", "SimulationWhatIf", logging, httpClient,
                argumentParser, crypto, x509, yams,
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        // A whole lab of real agents on this machine. It talks to `holdfast` as a person does: by its command line.
        .executableTarget(
            name: "holdfast-lab", dependencies: [argumentParser, "CKernel"], path: "Simulation/holdfast-lab",
            swiftSettings: settings),
        .testTarget(name: "LabTests", dependencies: ["holdfast-lab"], swiftSettings: settings),

        .target(
            name: "ProxmoxDriver",
            dependencies: [
                "Consensus", "Cluster", "Kinds", "CKernel", "Drivers", logging, subprocess, crypto,
                .product(name: "NIOTLS", package: "swift-nio"),
            ] + nio,
            path: "Sources/Drivers/Proxmox", exclude: ["DESIGN.md"], swiftSettings: settings),
        // Proxmox VE as its clients meet it, one process per host: what the driver is tested against.
        .target(
            name: "ProxmoxEmulator",
            dependencies: nio + [
                crypto, httpClient, x509,
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            path: "Simulation/Emulators/Proxmox", exclude: ["DESIGN.md"], swiftSettings: settings),
        .executableTarget(
            name: "holdfast-proxmox", dependencies: ["ProxmoxEmulator", argumentParser],
            path: "Simulation/Emulators/holdfast-proxmox", swiftSettings: settings),
        // The driver's fence on its own, against a real Ceph: what Simulation/Ceph/fence.sh fences with.
        .executableTarget(
            name: "holdfast-fence", dependencies: ["Consensus", "Cluster", "Kinds", "ProxmoxDriver", logging],
            path: "Simulation/Ceph/holdfast-fence", swiftSettings: settings),
        .testTarget(
            name: "ProxmoxEmulatorTests", dependencies: ["ProxmoxEmulator", httpClient] + nio,
            swiftSettings: settings),
        .testTarget(
            name: "ProxmoxDriverTests",
            dependencies: [
                "ProxmoxDriver", "ProxmoxEmulator", crypto, x509, .product(name: "NIOHTTP1", package: "swift-nio"),
            ] + nio, swiftSettings: settings),

        .testTarget(name: "DriversTests", dependencies: ["Drivers"], swiftSettings: settings),
        .testTarget(
            name: "RuntimeTests", dependencies: ["Runtime", .product(name: "NIOEmbedded", package: "swift-nio")],
            swiftSettings: settings),
        .testTarget(
            name: "APITests",
            dependencies: pure + nio + [
                "API", "Runtime", "holdfast", logging, httpClient, crypto, x509, subprocess,
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests", dependencies: [subprocess], path: "Tests/Integration", swiftSettings: settings),
    ]
}

if let only = Context.environment["HOLDFAST_TESTS"]?.split(separator: ",") {
    targets.removeAll { $0.type == .test && !only.contains($0.name[...]) }
}

let package = Package(name: "holdfast", dependencies: dependencies, targets: targets)
