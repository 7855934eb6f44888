// How an agent starts, or does not, where something is missing: real processes in a network of their own.

import Foundation
import Subprocess
import Testing

private var program: URL {
    // The test bundle lies beside the programs that were built with it.
    URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "holdfast")
}

private func canMakeNamespaces() async -> Bool {
    let probe = try? await run(
        .path("/usr/bin/unshare"), arguments: ["--net", "/usr/bin/true"], output: .discarded, error: .discarded)
    return probe?.terminationStatus.isSuccess ?? false
}

@Suite(.enabled("network namespaces are needed: run as root") { await canMakeNamespaces() }) struct AgentStartTests {
    /// Runs a shell script with `holdfast` as `$H` and a folder for itself as `$D`, and returns what was printed.
    private func shell(_ script: String) async throws -> (status: TerminationStatus, output: String) {
        try #require(
            FileManager.default.isExecutableFile(atPath: program.path), "build the products first: swift build")
        let folder = FileManager.default.temporaryDirectory.appending(path: "hf-start-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let preamble = """
            D=\(folder); H=\(program.path); export HOLDFAST_CONFIG=$D/config.yaml HOLDFAST_TIMEOUT=10s
            mkdir -p $D; ip link set lo up
            found() {
                "$H" cluster init --name $1 --data-dir $D/$1 --member $1 --address 127.0.0.1 \
                    --peer-port $2 --api-port $3 >$D/$1.init 2>&1
            }
            # Reads what the process on descriptor 3 says until it says $1.
            until_it_says() { while read -r line <&3; do case $line in *"$1"*) echo "$line"; return;; esac; done; }
            # Until a member has noted that it is at work, which it does beside everything else.
            until_noted() { until [ -e $D/$1/peers.json ]; do sleep 0.1; done; }

            """
        let end = try await run(
            .path("/usr/bin/timeout"),
            arguments: ["-k", "5", "240", "/usr/bin/unshare", "--net", "/bin/bash", "-uc", "\(preamble)\(script)"],
            output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
        return (end.terminationStatus, end.standardOutput + end.standardError)
    }

    /// Two agents that want the same port of the same address; the second has to end by itself, and to say why.
    private func second(peerPort: Int, apiPort: Int) async throws -> (status: TerminationStatus, output: String) {
        try await shell(
            """
            found first 7400 7443; found second \(peerPort) \(apiPort)
            exec 3< <(exec "$H" agent --data-dir $D/first 2>&1); FIRST=$!
            until_it_says "the API listens"
            timeout -k 5 60 "$H" agent --data-dir $D/second; STATUS=$?
            kill -9 $FIRST
            exit $STATUS
            """)
    }

    @Test func anAgentWhosePeerPortIsTakenSaysSoAndEnds() async throws {
        let (status, output) = try await second(peerPort: 7_400, apiPort: 7_444)
        #expect(status == .exited(2), "\(output)")
        #expect(output.contains("cannot listen for peers on 127.0.0.1:7400: Address already in use"), "\(output)")
    }

    @Test func anAgentWhoseAPIPortIsTakenSaysSoAndEnds() async throws {
        let (status, output) = try await second(peerPort: 7_401, apiPort: 7_443)
        #expect(status == .exited(2), "\(output)")
        #expect(output.contains("cannot listen for the CLI on 127.0.0.1:7443: Address already in use"), "\(output)")
    }

    /// Alone it can be given nothing back: it runs, says so, and founds no second cluster.
    @Test func aVoterWhoseLogIsGoneDoesNotFoundTheClusterAgain() async throws {
        let (status, output) = try await shell(
            """
            found first 7400 7443
            exec 3< <(exec "$H" agent --data-dir $D/first 2>&1); FIRST=$!
            until_it_says "the API listens"
            "$H" kv put k v >$D/put 2>&1 || exit 9
            until_noted first
            kill $FIRST
            until_it_says "stopped"
            rm -r $D/first/log
            exec 3< <(exec "$H" agent --data-dir $D/first 2>&1); FIRST=$!
            until_it_says "the log is empty, but this member has been at work"
            until_it_says "the API listens"
            timeout -k 5 60 "$H" kv put k w; echo "put: $?"
            kill $FIRST
            until_it_says "stopped"
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("does not vote until the leader has taken it back"), "\(output)")
        #expect(!output.contains("put: 0"), "\(output)")
    }

    /// Three voters on one machine. One loses its log while the cluster runs, and is a voter again by itself.
    @Test func aVoterWhoseLogIsGoneIsTakenBackByTheOthers() async throws {
        let (status, output) = try await shell(
            """
            found first 7400 7443
            exec 3< <(exec "$H" agent --data-dir $D/first 2>&1); STARTED=$!
            until_it_says "the API listens"
            exec 5<&3
            for N in 1 2; do
                TOKEN=$("$H" cluster token create --kind host | grep -o 'hf1[^ ]*' | head -n 1)
                exec 3< <(exec "$H" agent --data-dir $D/m$N --join "$TOKEN" --name m$N --address 127.0.0.1 \
                    --peer-port 740$N --api-port 745$N 2>&1); LAST=$!
                until_it_says "the API listens"
                [ $N = 1 ] && exec 6<&3
                STARTED="$STARTED $LAST"
            done
            "$H" kv put k v >/dev/null || exit 9
            until [ "$("$H" cluster members -o json | grep -c '"voter" *: *true')" = 3 ]; do :; done
            until_noted m2
            "$H" status
            kill -9 $LAST; wait $LAST 2>/dev/null; rm -r $D/m2/log
            exec 3< <(exec "$H" agent --data-dir $D/m2 2>&1); LAST=$!
            until_it_says "does not vote until the leader has taken it back"
            until_it_says "is made good"
            "$H" status
            kill $LAST; until_it_says "stopped"
            for PROCESS in $STARTED; do kill -9 $PROCESS 2>/dev/null; done
            exit 0
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("what this disk had lost is made good"), "\(output)")
    }

    /// The log of the first agent no longer begins at its beginning when the second one joins, and both come back.
    @Test func aMemberThatJoinsLateBeginsWithASnapshotAndBothRestartFromTheirs() async throws {
        let (status, output) = try await shell(
            """
            found first 7400 7443
            exec 3< <(exec "$H" agent --snapshot-every 10 --data-dir $D/first 2>&1); FIRST=$!
            until_it_says "the API listens"
            for n in $(seq 1 45); do "$H" kv put key$n value$n >/dev/null || exit 9; done
            ls $D/first/log
            TOKEN=$("$H" cluster token create --kind guest | grep -o 'hf1[^ ]*' | head -n 1)
            exec 4<&3
            exec 3< <(exec "$H" agent --snapshot-every 10 --data-dir $D/second --join "$TOKEN" --name second \
                --address 127.0.0.1 --peer-port 7401 --api-port 7444 --host first 2>&1); SECOND=$!
            until_it_says "the state is the leader's as of entry"
            kill $SECOND; until_it_says "stopped"
            ls $D/second/log
            exec 3< <(exec "$H" agent --snapshot-every 10 --data-dir $D/second 2>&1); SECOND=$!
            until_it_says "the API listens"
            kill $SECOND; until_it_says "stopped"
            exec 3<&4
            kill $FIRST; until_it_says "stopped"
            exec 3< <(exec "$H" agent --snapshot-every 10 --data-dir $D/first 2>&1); FIRST=$!
            until_it_says "the API listens"
            "$H" kv get key1; "$H" kv get key45
            kill $FIRST; until_it_says "stopped"
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("snapshot-00000000000000000"), "\(output)")
        #expect(output.contains("the state is the leader's as of entry"), "\(output)")
        #expect(output.contains("value1") && output.contains("value45"), "\(output)")
    }

    /// Two of three voters are killed; the third goes on without them, and one that comes back is told and ends.
    @Test func aSurvivorGoesOnAndTheOldSideEndsInWords() async throws {
        let (status, output) = try await shell(
            """
            found first 7400 7443
            "$H" agent --data-dir $D/first >$D/first.log 2>&1 & FIRST=$!
            until "$H" kv put k 1 >/dev/null 2>&1; do :; done
            join() {
                TOKEN=$("$H" cluster token create --kind $2 | grep -o 'hf1[^ ]*' | head -n 1)
                "$H" agent --data-dir $D/$1 --join "$TOKEN" --name $1 --address 127.0.0.1 \
                    --peer-port $3 --api-port $4 >$D/$1.log 2>&1 &
            }
            join second host 7401 7444; SECOND=$!
            join third witness 7402 7445; THIRD=$!
            until [ "$("$H" cluster members -o json | grep -c '"voter" *: *true')" = 3 ]; do :; done
            "$H" kv put k 2 >/dev/null || exit 9
            "$H" cluster recover --i-verified-dead second third --yes --endpoints 127.0.0.1:7443; echo "with all: $?"
            # One that is still about to die would answer, and nobody may be called dead who does.
            kill -9 $SECOND $THIRD; wait $SECOND $THIRD 2>/dev/null
            until "$H" cluster recover --i-verified-dead second third --yes --endpoints 127.0.0.1:7443 \
                --reason fire 2>$D/why; do grep -q 'a leader was known' $D/why || { cat $D/why; exit 8; }; done
            "$H" kv get k --endpoints 127.0.0.1:7443
            "$H" kv put k 3 --endpoints 127.0.0.1:7443 || exit 7
            "$H" audit --endpoints 127.0.0.1:7443
            timeout -k 5 60 "$H" agent --data-dir $D/second; echo "second: $?"
            "$H" kv get k --endpoints 127.0.0.1:7443
            kill $FIRST
            wait $FIRST
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("with all: 8"), "\(output)")
        #expect(output.contains("the cluster was recovered without this member"), "\(output)")
        #expect(output.contains("second: 2"), "\(output)")
        #expect(output.contains("recover as epoch 1"), "\(output)")
    }

    @Test func anAgentWithoutTheCapabilitiesForAddressesGoesOnInWords() async throws {
        let (status, output) = try await shell(
            """
            found first 7400 7443
            exec 3< <(exec setpriv --bounding-set -net_admin,-net_raw --inh-caps -net_admin,-net_raw \
                "$H" agent --data-dir $D/first 2>&1); FIRST=$!
            until_it_says "can hold no address"
            until_it_says "the API listens"
            kill $FIRST
            until_it_says "stopped"
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("CAP_NET_RAW"), "\(output)")
        #expect(output.contains("the API listens"), "\(output)")
        #expect(output.contains("stopped"), "\(output)")
    }

    @Test(
        .enabled(
            if: ["/usr/bin/promtool", "/usr/bin/curl"].allSatisfy(FileManager.default.isExecutableFile),
            "promtool and curl are needed: apt install prometheus curl"))
    func theMetricsOfARealAgentPassPromtoolAndItsLogIsJSON() async throws {
        let (status, output) = try await shell(
            """
            found first 7400 7443
            exec 3< <(exec "$H" agent --data-dir $D/first --log-format json 2>&1); FIRST=$!
            until_it_says '"the API listens'
            "$H" kv put k v >$D/put 2>&1 || exit 9
            curl --silent --insecure https://127.0.0.1:7443/metrics >$D/page || exit 3
            grep -E '^(holdfast_(log_flush_duration_seconds_count|peers_connected|proposals_total|build_info)|process_res)' $D/page
            promtool check metrics <$D/page || exit 4
            curl --silent --insecure https://127.0.0.1:7443/readyz
            kill $FIRST
            until_it_says '"stopped"'
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("holdfast_proposals_total{outcome=\"done\"} 1"), "\(output)")
        #expect(output.contains("holdfast_peers_connected 0"), "\(output)")
        #expect(output.contains("ok"), "\(output)")
        #expect(output.contains("\"level\":\"notice\""), "\(output)")
    }
}
