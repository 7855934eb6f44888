// Secrets on the disk of real agents: what was stored as one is nowhere to be found.

import Foundation
import Subprocess
import Testing

@Suite(.enabled("network namespaces are needed: run as root") { await Shell.canMakeNamespaces() }) struct SecretTests {
    @Test func aSecretIsOnNoDiskInTheClear() async throws {
        let (status, output) = try await Shell.run(
            """
            found pve1 7401 7411 >$D/init.log 2>&1; supervise pve1
            until_true "$H" status
            joined pve2 7402 7412 host; supervise pve2
            until_true answers 7412
            # The secret first: a disk that has the other one has it too.
            "$H" kv put password "SECRET-c2FtcGxl-FINDME" --secret >/dev/null || exit 4
            "$H" kv put plain "PLAIN-c2FtcGxl-FINDME" >/dev/null || exit 3
            # Enough for snapshots, which are the state once more.
            for n in $(seq 30); do "$H" kv put n$n $n >/dev/null || exit 5; done
            "$H" kv get password
            "$H" kv get password --endpoints 127.0.0.1:7412
            "$H" kv list
            "$H" context add vera --role viewer --file $D/vera.yaml >/dev/null 2>&1 || exit 6
            HOLDFAST_CONFIG=$D/vera.yaml "$H" kv get password; echo "viewer: $?"
            "$H" kv put password other --secret --if-value "SECRET-c2FtcGxl-FINDME" >/dev/null; echo "cas: $?"
            "$H" kv put password third --secret --if-value "SECRET-c2FtcGxl-FINDME" >/dev/null; echo "cas again: $?"
            "$H" kv put faked "hfs1:AAAA"; echo "faked: $?"
            "$H" support --file $D/pve1/support.tar >/dev/null 2>&1
            until_true grep -rqaF PLAIN-c2FtcGxl-FINDME $D/pve2
            echo "plain files: $(grep -rlaF PLAIN-c2FtcGxl-FINDME $D/pve1 $D/pve2 | wc -l)"
            echo "secret files: $(grep -rlaF SECRET-c2FtcGxl-FINDME $D/pve1 $D/pve2 $D/*.log | wc -l)"
            stat -c 'mode %a' $D/pve1/identity/secrets-key $D/pve2/identity/secrets-key
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("plain files: 2"), "the grep finds what is not a secret\n\(output)")
        #expect(output.contains("secret files: 0"), "\(output)")
        #expect(output.contains("SECRET-c2FtcGxl-FINDME"), "\(output)")
        #expect(output.contains("viewer: 6"), "\(output)")
        #expect(output.contains("cas: 0") && output.contains("cas again: 4"), "\(output)")
        #expect(output.contains("faked: 2") && output.contains("mode 600\nmode 600"), "\(output)")
    }
}
