// Makes one attempt of a health check: a TCP connection, an HTTP request, or a program. Nothing outlives its timeout,
// except that a program gets half a second to end by itself before it is killed.

import AsyncHTTPClient
import Consensus
import Kinds
import NIOCore
import NIOPosix
import NIOSSL
import Subprocess

/// What an attempt found, in one line.
public struct ProbeResult: Hashable, Sendable {
    public let isSuccess: Bool
    public let detail: String

    public init(isSuccess: Bool, detail: String) {
        self.isSuccess = isSuccess
        self.detail = detail
    }
}

/// Attempts health checks. One for all checks of a member.
struct HealthProber: Sendable {
    private let client: HTTPClient
    private static let group = MultiThreadedEventLoopGroup.singleton

    init() {
        var tls = TLSConfiguration.makeClientConfiguration()
        // A candidate asks itself, by an address that no certificate names.
        tls.certificateVerification = .none
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls, redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        client = HTTPClient(eventLoopGroupProvider: .shared(Self.group), configuration: configuration)
    }

    func shutDown() async throws { try await client.shutdown() }

    /// One attempt. Always returns, at the latest shortly after the check's timeout.
    func attempt(_ check: HealthCheck) async -> ProbeResult {
        switch check.probe {
        case .tcp(let host, let port): await connect(host, port, timeout: check.timeout)
        case .http(let url): await get(url, timeout: check.timeout)
        case .agent: ProbeResult(isSuccess: false, detail: "only the host of a guest can ask for its agent")
        case .exec(let command): await execute(command, timeout: check.timeout)
        }
    }

    private func connect(_ host: String, _ port: Int, timeout: Interval) async -> ProbeResult {
        guard (1...65_535).contains(port) else {
            return ProbeResult(isSuccess: false, detail: "tcp \(host):\(port): no such port")
        }
        let attempted = "tcp \(host):\(port)"
        do {
            // Also bounds the look-up of a name, which connectTimeout does not.
            try await within(timeout) {
                let channel = try await ClientBootstrap(group: Self.group)
                    .connectTimeout(.nanoseconds(timeout.nanoseconds))
                    .connect(host: host, port: port).get()
                try await channel.close()
            }
            return ProbeResult(isSuccess: true, detail: "\(attempted): connected")
        } catch {
            return ProbeResult(isSuccess: false, detail: "\(attempted): \(error)")
        }
    }

    private func get(_ url: String, timeout: Interval) async -> ProbeResult {
        var request = HTTPClientRequest(url: url)
        // Each attempt on a connection of its own: a server that accepts no more must be noticed.
        request.headers.add(name: "Connection", value: "close")
        do {
            let response = try await client.execute(request, timeout: .nanoseconds(timeout.nanoseconds))
            let code = Int(response.status.code)
            return ProbeResult(isSuccess: (200..<400).contains(code), detail: "GET \(url): \(code)")
        } catch {
            return ProbeResult(isSuccess: false, detail: "GET \(url): \(error)")
        }
    }

    private func execute(_ command: [String], timeout: Interval) async -> ProbeResult {
        guard let program = command.first, !program.isEmpty else {
            return ProbeResult(isSuccess: false, detail: "no command is given")
        }
        var options = PlatformOptions()
        // A session of its own, so that what the program started ends with it.
        options.createSession = true
        options.teardownSequence = [
            .gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: .milliseconds(500))
        ]
        let platformOptions = options
        do {
            let status = try await within(timeout) {
                try await Subprocess.run(
                    program.contains("/") ? .path(.init(program)) : .name(program),
                    arguments: Arguments(Array(command.dropFirst())), platformOptions: platformOptions,
                    output: .discarded
                ).terminationStatus
            }
            switch status {
            case .exited(0): return ProbeResult(isSuccess: true, detail: "\(program): status 0")
            case .exited(let code): return ProbeResult(isSuccess: false, detail: "\(program): status \(code)")
            case .signaled(let signal):
                return ProbeResult(isSuccess: false, detail: "\(program): killed by signal \(signal)")
            }
        } catch {
            return ProbeResult(isSuccess: false, detail: "\(program): \(error)")
        }
    }

    /// Runs `body`, cancelling it when it takes longer.
    private func within<Result: Sendable>(
        _ timeout: Interval, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await Task.sleep(for: .nanoseconds(timeout.nanoseconds))
                throw ProbeTimeout(milliseconds: timeout.milliseconds)
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() else { throw CancellationError() }
            return result
        }
    }
}

private struct ProbeTimeout: Error, CustomStringConvertible {
    let milliseconds: Int64
    var description: String { "no answer in \(milliseconds) ms" }
}
