// What the kernel says about this process, under the names every Prometheus client library uses for it.
// Read from /proc/self (proc_pid_stat(5)); what cannot be read is left out.

import FoundationEssentials
import Glibc

public enum ProcessFigures {
    public static func families() -> [MetricFamily] {
        var families: [MetricFamily] = []
        if let line = text("/proc/self/stat"), let figures = Figures(stat: line) {
            families.append(
                MetricFamily(
                    .counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                    value: figures.cpuSeconds))
            families.append(
                MetricFamily(
                    .gauge, "process_resident_memory_bytes", "Resident memory size in bytes.",
                    value: figures.residentBytes))
            if let boot = bootSeconds() {
                families.append(
                    MetricFamily(
                        .gauge, "process_start_time_seconds",
                        "Start time of the process since unix epoch in seconds.", value: boot + figures.startSeconds))
            }
        }
        if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            families.append(
                MetricFamily(
                    .gauge, "process_open_fds", "Number of open file descriptors.", value: Double(open.count)))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            families.append(
                MetricFamily(
                    .gauge, "process_max_fds", "Maximum number of open file descriptors.",
                    value: Double(limit.rlim_cur)))
        }
        return families
    }

    /// Those of this process; nil when the kernel does not say.
    static var own: Figures? { text("/proc/self/stat").flatMap { Figures(stat: $0) } }

    /// Resident memory of this process in bytes; nil when the kernel does not say.
    public static var residentBytes: Double? { own?.residentBytes }

    struct Figures {
        let cpuSeconds: Double
        let startSeconds: Double
        let residentBytes: Double

        /// - Parameter line: the one line of /proc/PID/stat. The second field is a name in brackets that may hold anything.
        init?(stat line: String) {
            guard let end = line.lastIndex(of: ")") else { return nil }
            let fields = line[line.index(after: end)...].split(whereSeparator: \.isWhitespace)
            // Fields count from 3 here: utime 14, stime 15, starttime 22, rss 24.
            guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
                let start = Double(fields[19]), let pages = Double(fields[21])
            else { return nil }
            let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
            cpuSeconds = (user + system) / ticks
            startSeconds = start / ticks
            residentBytes = pages * Double(sysconf(Int32(_SC_PAGESIZE)))
        }
    }

    private static func bootSeconds() -> Double? {
        guard let text = text("/proc/stat") else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst("btime ".count)) }
    }

    static func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
