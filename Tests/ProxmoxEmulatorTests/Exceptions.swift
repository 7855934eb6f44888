// Where the emulator answers otherwise than a recording, and why that is right so. Anything not listed fails the test.

import ProxmoxEmulator

/// An allowed difference.
struct ConformanceException {
    /// The recording, "8.4/t-misc"; nil for all.
    var transcript: String?
    /// Part of the request or command.
    var request: String
    /// Every difference has to contain one of these; empty allows all.
    var differences: [String] = []
    var reason: String
}

enum Exceptions {
    private static let moment =
        "a list is up to ten seconds old: the rounds of the recorded node's status daemon fell otherwise"

    static let all: [ConformanceException] = [
        // MARK: The recorder's own machine
        ConformanceException(
            transcript: "8.4/t-misc", request: "vzdump", differences: ["sendmail", "TASK OK"],
            reason: "the recorded node had no sendmail, so its backups failed"),
        ConformanceException(
            transcript: "8.4/t-misc", request: "qmstart:160", differences: ["elements"],
            reason: "the recorded node's KVM failed, and QEMU said so in the log; the emulator has no QEMU"),
        ConformanceException(
            transcript: "8.4/t-misc", request: "/hosts", reason: "the recorded /etc/hosts names a node that had left"),
        ConformanceException(
            transcript: "8.4/t-misc", request: "/rrddata", differences: ["missing"],
            reason: "a history of measurements; the emulator's has none"),
        ConformanceException(
            transcript: "8.4/t-misc", request: "/certificates/info",
            reason: "another certificate, and the authority's beside it"),
        ConformanceException(
            transcript: "8.4/t-lifecycle", request: "/cluster/tasks", differences: ["elements"],
            reason: "tasks of before the recording: the joining of the nodes"),
        ConformanceException(
            transcript: "8.4/t-lifecycle", request: "/cluster/log",
            reason: "lines are numbered from the start of the cluster, which the recording does not begin with"),
        ConformanceException(
            transcript: "9.1/t-lifecycle2", request: "/tasks/UPID:pve2", differences: ["elements", ".t:"],
            reason: "the recorded node's Perl warned of an experimental feature in every log"),
        ConformanceException(
            transcript: "9.1/t-lifecycle2", request: "GET /nodes/pve1/qemu/100/status/current",
            differences: ["not recorded"],
            reason: "the recorded node's QEMU was older than its Proxmox and did not answer what it was asked"),

        // MARK: What differs by the moment
        ConformanceException(
            transcript: "8.4/t-lifecycle2", request: "/cluster/resources", differences: ["status"], reason: moment),
        ConformanceException(
            transcript: "9.1/t-lifecycle2", request: "GET /cluster/resources", differences: ["[100].status"],
            reason: "just started: its node's status daemon had its next round after the recorded one's"),
        ConformanceException(
            transcript: "8.4/t-lifecycle2", request: "/qemu/100/status/current", differences: ["idle_time_ns"],
            reason: "QEMU leaves out the idle time of a disk that was never read"),
        ConformanceException(
            transcript: "8.4/t-ha", request: "manager_status", differences: ["results"],
            reason: "results are listed under drawn identifiers"),

        // MARK: What the emulator does not do
        ConformanceException(
            request: "qmigrate:112", differences: ["elements"],
            reason: "the progress of copying a local disk, as dd prints it, is left out"),
        ConformanceException(
            transcript: "8.4/t-misc", request: "/journal", reason: "the journal is not emulated"),
        ConformanceException(
            transcript: "8.4/t-noquorum", request: "ls -ld /etc/pve", reason: "a command of the shell, not of Proxmox"),
        ConformanceException(
            transcript: "8.4/t-noquorum2", request: "ls /var/lib/vz",
            reason: "a look into a folder of images; "
                + "that the image is gone is tested by itself"),
        ConformanceException(
            transcript: "8.4/t-noquorum2", request: "; ", differences: ["not a command"],
            reason: "several commands in one line; their effects are carried out, their output is not compared"),
    ]

    static func reason(for finding: Finding, of transcript: Transcript) -> String? {
        all.first { exception in
            (exception.transcript == nil || exception.transcript == transcript.label)
                && finding.request.contains(exception.request)
                && (exception.differences.isEmpty
                    || finding.differences.allSatisfy { difference in
                        exception.differences.contains { difference.contains($0) }
                    })
        }?.reason
    }
}
