// A machine is set back to an earlier copy of its disk, as a restored snapshot of a virtual machine is: real agents.

import Foundation
import Subprocess
import Testing

@Suite(.enabled("network namespaces are needed: run as root") { await Shell.canMakeNamespaces() })
struct DiskSetBackTests {
    private static let three = """
        run() { "$H" agent --data-dir $D/$1 >>$D/$1.log 2>&1 & eval "AGENT_$1=$!"; }
        agent() { eval "echo \\$AGENT_$1"; }
        kill_now() { kill -9 $(agent $1); wait $(agent $1) 2>/dev/null; }
        voters() { [ "$("$H" status -o json --timeout 2s | grep -c '"voter" *: *true')" = 3 ] && can_lose "pve1 pve2 witness "; }
        # The disk as a snapshot of the running machine has it.
        copy() { kill -STOP $(agent $1); cp -a $D/$1 $D/$1.copy; kill -CONT $(agent $1); }
        set_back() { kill_now $1; rm -r $D/$1; mv $D/$1.copy $D/$1; }
        found pve1 7401 7411 >$D/init.log 2>&1; run pve1
        until_true "$H" status
        joined pve2 7402 7412 host; run pve2
        joined witness 7403 7413 witness; run witness
        until_true voters

        """

    /// Nobody heard of a later start: the leader finds out by what the member had acknowledged.
    @Test func aMemberSetBackWithinOneStartIsNoticedAndIsAVoterAgainByItself() async throws {
        let (status, output) = try await Shell.run(
            Self.three + """
                "$H" kv put k before >/dev/null; copy pve2
                for n in $(seq 1 20); do "$H" kv put k after-$n >/dev/null || exit 3; done
                until_true eval '[ "$("$H" kv get k --consistency local --endpoints 127.0.0.1:7412)" = after-20 ]'
                set_back pve2; run pve2
                until_true grep -q "it was set back to an earlier state" $D/pve2.log
                until_true grep -q "what this disk had lost is made good" $D/pve2.log
                until_true voters
                "$H" kv get k --consistency local --endpoints 127.0.0.1:7412
                "$H" kv put k whole >/dev/null && "$H" kv get k
                grep -E "set back|made good|leading" $D/pve2.log
                """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("after-20") && output.contains("whole"), "\(output)")
    }

    /// With the leader gone, its vote would make a leader. Whoever heard of its later start, as the witness did when pve2 led,
    /// does not take it.
    @Test func aMemberSetBackBehindALaterStartGivesNoVote() async throws {
        let (status, output) = try await Shell.run(
            Self.three + """
                "$H" kv put k before >/dev/null; copy pve2
                kill_now pve2; run pve2
                # Its own answer comes by way of the leader: only after that does the leader's word speak of the later start.
                until_true "$H" kv get k --endpoints 127.0.0.1:7412
                until_true voters
                "$H" cluster transfer-leader pve2 --wait --endpoints 127.0.0.1:7411 || exit 4
                "$H" cluster transfer-leader pve1 --wait --endpoints 127.0.0.1:7412 || exit 5
                "$H" kv put k after >/dev/null || exit 3
                set_back pve2; kill_now pve1; run pve2
                # Two of three, and long enough for ten elections.
                "$H" kv put k alone --timeout 10s --endpoints 127.0.0.1:7412,127.0.0.1:7413; echo "alone: $?"
                run pve1
                until_true grep -q "it was set back to an earlier state" $D/pve2.log
                until_true grep -q "what this disk had lost is made good" $D/pve2.log
                until_true voters
                "$H" kv get k
                "$H" kv get k --consistency local --endpoints 127.0.0.1:7412
                """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("alone: 5"), "\(output)")
        #expect(output.contains("after\nafter"), "\(output)")
    }
}
