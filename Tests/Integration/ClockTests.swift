// The wall clock of a member steps past what certificates last, and back: real agents. Nothing that stands falls, whoever is
// refused is told why, and all is well when the clock is right again.

import Foundation
import Subprocess
import Testing

private let libfaketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

@Suite(
    .enabled("network namespaces are needed: run as root") { await Shell.canMakeNamespaces() },
    .enabled(
        if: FileManager.default.fileExists(atPath: libfaketime), "libfaketime is needed: apt install faketime"))
struct ClockTests {
    /// `step pve2 +1000d` changes what pve2 takes for the time, and only that: leases are counted on another clock.
    private static let three = """
        # For the library's semaphore, which it names by the process.
        mount -t tmpfs tmpfs /dev/shm
        # The library would set this itself, and with it move the environment, behind which Swift looks for the arguments.
        exec 9< <(faketime -m -f +0 bash -c 'echo $FAKETIME_SHARED; exec sleep 300'); read -r SHARED <&9
        run() {
            [ -e $D/$1.clock ] || echo "+0" >$D/$1.clock
            FAKETIME_SHARED="$SHARED" LD_PRELOAD=\(libfaketime) FAKETIME_TIMESTAMP_FILE=$D/$1.clock FAKETIME_NO_CACHE=1 \
                FAKETIME_DONT_FAKE_MONOTONIC=1 "$H" agent --data-dir $D/$1 >>$D/$1.log 2>&1 & eval "AGENT_$1=$!"
        }
        agent() { eval "echo \\$AGENT_$1"; }
        kill_now() { kill -9 $(agent $1); wait $(agent $1) 2>/dev/null; }
        # Both others have connected to it.
        is_called() { [ "$(grep "a member connected" $D/$1.log | grep -o 'member=[^ ]*' | sort -u | wc -l)" = 2 ]; }
        step() { echo "$2" >$D/$1.new; mv $D/$1.new $D/$1.clock; }
        voters() { [ "$("$H" status -o json | grep -c '"voter" *: *true')" = 3 ] && can_lose "pve1 pve2 witness "; }
        found pve1 7401 7411 >$D/init.log 2>&1; run pve1
        until_true "$H" status
        joined pve2 7402 7412 host; run pve2
        joined witness 7403 7413 witness; run witness
        until_true voters
        # A majority is enough for what is above; the connection of pve2 and the witness may come later.
        for each in pve1 pve2 witness; do until_true is_called $each; done

        """

    @Test(arguments: ["+1000d", "-1000d"])
    func aClockBesideTheCertificatesEndsNoConnectionAndIsSaidInWords(_ distance: String) async throws {
        let (status, output) = try await Shell.run(
            Self.three + """
                "$H" kv put k before >/dev/null
                CONNECTED=$(grep -c "connected" $D/pve2.log)
                step pve2 \(distance)
                # The connections that stand go on: what is written is on pve2 too, and pve2 counts.
                for n in $(seq 1 50); do "$H" kv put k during-$n --endpoints 127.0.0.1:7411 >/dev/null || exit 3; done
                "$H" cluster members --endpoints 127.0.0.1:7411
                # Again, if one was held up for a moment; a connection that ended would not come back.
                until_true voters
                [ $(grep -c "connected" $D/pve2.log) = $CONNECTED ] && echo "no connection was made anew"
                "$H" kv put k there --endpoints 127.0.0.1:7412; echo "at pve2: $?"
                "$H" doctor --endpoints 127.0.0.1:7411; echo "doctor: $?"
                # A new connection is judged by the clock that is wrong.
                kill_now pve1; run pve1
                until_true grep -q "check both clocks" $D/pve2.log
                # pve2 leads now, and the witness is with it still: with a clock that is right it speaks with everybody.
                until_true "$H" kv put k without-pve1 --endpoints 127.0.0.1:7413
                step pve2 +0
                # What is known of pve1 may be from before it was killed.
                until_true answers 7411
                until_true voters
                "$H" kv put k right --endpoints 127.0.0.1:7412 >/dev/null && "$H" kv get k
                until_true eval '[ "$("$H" kv get k --consistency local --endpoints 127.0.0.1:7412)" = right ]'
                grep -iE "expired|valid|certificate" $D/pve2.log | head -n 20
                """)
        #expect(status == .exited(0), "\(output)")
        for words in [
            "no connection was made anew", "at pve2: 6", "doctor: 1",
            "WRONG   pve2: it refuses this context's certificate",
            "whose clock is wrong", "check both clocks", "right\n",
        ] {
            #expect(output.contains(words), "\(words)\n\(output)")
        }
    }
}
