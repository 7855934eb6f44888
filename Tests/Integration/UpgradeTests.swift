// `holdfast cluster upgrade` on real agents: the order, the halt, and that it goes on where it was.

import Foundation
import Subprocess
import Testing

@Suite(.enabled("network namespaces are needed: run as root") { await Shell.canMakeNamespaces() }) struct UpgradeTests {
    private static let three = """
        found pve1 7401 7411 >$D/init.log 2>&1; supervise pve1
        until_true "$H" status
        joined pve2 7402 7412 host; supervise pve2
        joined witness 7403 7413 witness; supervise witness
        until_true can_lose "pve1 pve2 witness "
        # The order is told with pve1 leading, as it does since it founded the cluster, unless it was held up meanwhile.
        "$H" cluster transfer-leader pve1 --wait || exit 4

        """

    @Test func agentsAreRestartedOneByOneAndTheLeaderLast() async throws {
        let (status, output) = try await Shell.run(
            Self.three + """
                "$H" kv put k before
                "$H" cluster upgrade --dry-run
                "$H" cluster upgrade --all --yes --timeout 60s --reason "new kernel" || exit $?
                "$H" kv get k
                "$H" audit
                """)
        #expect(status == .exited(0), "\(output)")
        let restarts = output.split(separator: "\n").filter { $0.contains(": restarts (") }
            .map { $0.prefix { $0 != ":" } }
        #expect(restarts == ["witness", "pve2", "pve1"], "\(output)")
        #expect(output.contains("pve1: hands leadership over"), "\(output)")
        #expect(output.contains("feature level 2 is in force"), "\(output)")
        #expect(output.contains("before"), "\(output)")
        #expect(output.contains("restart the agent of pve2") && output.contains("new kernel"), "\(output)")
    }

    @Test func itHaltsWhenWhatIsLeftWouldNotDecideAndGoesOnLater() async throws {
        let (status, output) = try await Shell.run(
            Self.three + """
                end witness
                until_true eval '"$H" status | grep -q "witness is unreachable"'
                "$H" cluster upgrade --all --yes --timeout 10s; echo "ended with $?"
                "$H" kv put k v
                supervise witness
                until_true can_lose "pve1 pve2 witness "
                "$H" cluster upgrade --all --yes --timeout 60s pve2; echo "ended with $?"
                """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("the upgrade halts before all is done"), "\(output)")
        #expect(output.contains("1 of 3 voters would be left, 2 are needed (away: witness)"), "\(output)")
        #expect(output.contains("ended with 8") && output.contains("ended with 0"), "\(output)")
        #expect(output.contains("left: pve2, pve1"), "\(output)")
    }

    /// What is installed is what the file on disk says, however long the agent has been running.
    @Test func aRestartThatDoesNotBringTheInstalledVersionHalts() async throws {
        let (status, output) = try await Shell.run(
            """
            cp "$H" $D/bin/holdfast; P=$D/bin/holdfast
            found pve1 7401 7411 >$D/init.log 2>&1; supervise pve1
            until_true "$H" status
            "$H" cluster upgrade --dry-run
            printf '#!/bin/sh\\nif [ "$1" = version ]; then echo 9.9.9; else exec %s "$@"; fi\\n' "$H" >$D/bin/new
            chmod +x $D/bin/new; mv $D/bin/new $D/bin/holdfast
            "$H" cluster upgrade --dry-run
            "$H" cluster upgrade --yes --timeout 10s; echo "ended with $?"
            "$H" cluster upgrade --yes --force --timeout 60s; echo "ended with $?"
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("9.9.9"), "\(output)")
        #expect(output.contains("0 of 1 voters would be left"), "\(output)")
        #expect(output.contains("though 9.9.9 is installed"), "\(output)")
    }

    @Test func anAgentThatNothingWouldStartAgainIsNotRestarted() async throws {
        let (status, output) = try await Shell.run(
            """
            found pve1 7401 7411 >$D/init.log 2>&1
            "$H" agent --data-dir $D/pve1 >$D/pve1.log 2>&1 &
            until_true "$H" status
            "$H" cluster upgrade --all --yes --force; echo "ended with $?"
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("nothing would start it again: restart it by hand"), "\(output)")
        #expect(output.contains("ended with 0"), "\(output)")
    }
}
