// Real agents in a network and a process tree of their own, driven by a shell script as a person would.

import Foundation
import Subprocess
import Testing

enum Shell {
    static var program: URL {
        // The test bundle lies beside the programs that were built with it.
        URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "holdfast")
    }

    static func canMakeNamespaces() async -> Bool {
        let probe = try? await Subprocess.run(
            .path("/usr/bin/unshare"), arguments: ["--net", "--pid", "--fork", "/usr/bin/true"], output: .discarded,
            error: .discarded)
        return probe?.terminationStatus.isSuccess ?? false
    }

    /// What a script begins with: `$H` is the program, `$D` a folder for it alone.
    private static let preamble = """
        export HOLDFAST_CONFIG=$D/config.yaml HOLDFAST_TIMEOUT=10s; mkdir -p $D/bin; ip link set lo up
        found() {
            "$H" cluster init --name home --data-dir $D/$1 --member $1 --address 127.0.0.1 \
                --peer-port $2 --api-port $3 "${@:4}"
        }
        joined() {
            TOKEN=$("$H" cluster token create --kind $4 2>$D/token.log) || { cat $D/token.log; exit 70; }
            "$H" cluster join "$TOKEN" --data-dir $D/$1 --name $1 --address 127.0.0.1 \
                --peer-port $2 --api-port $3 "${@:5}" >$D/join.log 2>&1 || { cat $D/join.log; exit 71; }
        }
        # Starts an agent, and again whenever it ends, as a service manager does.
        supervise() {
            (
                trap 'kill -9 $AGENT; wait $AGENT; exit' TERM
                while :; do
                    "${P-$H}" agent --supervised --data-dir $D/$1 >>$D/$1.log 2>&1 & AGENT=$!
                    wait $AGENT; sleep 0.1
                done
            ) & echo $! >$D/$1.supervisor
        }
        # When it returns, the agent is no more: its port and its folder are free.
        end() { kill -TERM $(cat $D/$1.supervisor); wait $(cat $D/$1.supervisor); }
        # Asks again and again, for a minute.
        until_true() {
            local until=$((SECONDS + 60))
            while ((SECONDS < until)); do "$@" >$D/last.log 2>&1 && return; sleep 0.1; done
            echo "not within a minute: $*"; cat $D/last.log $D/*.log; exit 72
        }
        # Whether the agent at an API port itself answers for the cluster. What the others know of it may be from before it was
        # ended, as long as they have not noticed.
        answers() { "$H" status --endpoints 127.0.0.1:$1; }
        can_lose() { [ "$("$H" cluster tolerance -o name | tr '\\n' ' ')" = "$1" ]; }

        """

    /// Runs a script to its end; everything it started ends with it.
    static func run(_ script: String) async throws -> (status: TerminationStatus, output: String) {
        try #require(
            FileManager.default.isExecutableFile(atPath: program.path), "build the products first: swift build")
        let folder = FileManager.default.temporaryDirectory.appending(path: "hf-shell-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let end = try await Subprocess.run(
            .path("/usr/bin/timeout"),
            arguments: [
                "-k", "5", "240", "/usr/bin/unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                "/bin/bash", "-uc", "D=\(folder); H=\(program.path)\n\(preamble)\(script)",
            ],
            output: .string(limit: 4 << 20), error: .string(limit: 4 << 20))
        return (end.terminationStatus, end.standardOutput + end.standardError)
    }
}
