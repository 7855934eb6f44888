// `holdfast cluster rename` on real agents: the member goes on, under another name, also after a restart.

import Foundation
import Subprocess
import Testing

@Suite(.enabled("network namespaces are needed: run as root") { await Shell.canMakeNamespaces() }) struct RenameTests {
    @Test func aRenamedHostGoesOnAndItsGuestsWithIt() async throws {
        let (status, output) = try await Shell.run(
            """
            found pve1 7401 7411 >$D/init.log 2>&1; supervise pve1
            until_true "$H" status
            joined pve2 7402 7412 host; supervise pve2
            joined cp1 7403 7413 guest --host pve2; supervise cp1
            until_true eval '"$H" cluster members | grep -q "cp1 .*yes"'
            "$H" cluster rename pve2 pve9
            until_true grep -q pve9 $D/pve2/identity/member.json
            "$H" cluster members
            end pve2; supervise pve2; end cp1; supervise cp1
            until_true answers 7412; until_true answers 7413
            until_true eval '"$H" cluster members | grep -q "pve9 .*yes"'
            until_true eval '"$H" cluster members | grep -q "cp1 .*pve9 .*yes"'
            grep -c "a connection ended" $D/pve1.log
            "$H" cluster rename pve2 pve1; echo "taken: $?"
            "$H" cluster rename pve2 vault && "$H" why member/vault | head -5
            "$H" kv put k v; "$H" audit | grep rename
            """)
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("pve2 is called pve9"), "\(output)")
        #expect(output.contains("taken: 4"), "\(output)")
        #expect(output.contains("pve9 is called vault"), "\(output)")
    }
}
