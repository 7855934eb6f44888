// Several hosts in one process on loopback addresses, for tests that talk to them over real HTTPS. They see each other as
// separate processes would; only a power cut needs a process of its own.

import Foundation

/// Hosts that run for the time of a closure.
public enum EmulatedHosts {
    /// - Parameters:
    ///   - count: nodes pve1, pve2, ...
    ///   - configure: changes each host's settings before it starts.
    ///   - options: changes what each process is started with.
    public static func run<Result: Sendable>(
        count: Int, release: Release = .eight, configure: (inout HostSettings) -> Void = { _ in },
        options change: (inout HostProcessOptions) throws -> Void = { _ in },
        _ body: @escaping @Sendable ([HostProcess]) async throws -> Result
    ) async throws -> Result {
        let shared = SharedVolumes()
        var hosts: [HostProcess] = []
        for var settings in EmulatedCluster.nodes(count, release: release) {
            configure(&settings)
            var options = HostProcessOptions(settings: settings, listen: PeerAddress(host: "127.0.0.1", port: 0))
            try change(&options)
            hosts.append(try await HostProcess(options, shared: shared))
        }
        let addresses = Dictionary(
            uniqueKeysWithValues: hosts.map { ($0.name, PeerAddress(host: "127.0.0.1", port: $0.port)) })
        for host in hosts {
            await host.setPeers(addresses.filter { $0.key != host.name })
            await host.change { $0.settle(online: Array(addresses.keys)) }
        }
        let running = hosts
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            for host in running {
                group.addTask {
                    try await host.run()
                    return nil
                }
            }
            group.addTask { try await body(running) }
            defer { group.cancelAll() }
            while let finished = try await group.next() {
                if let finished { return finished }
            }
            throw CancellationError()
        }
    }
}
