// What a corosync.conf says of how long the others wait for a lost host.

import Testing

@testable import ProxmoxDriver

@Suite struct CorosyncTimesTests {
    private func configuration(hosts: Int = 2, totem: String = "", device: String? = nil) -> String {
        let nodes = (1...hosts).map {
            "  node {\n    name: pve\($0)\n    nodeid: \($0)\n    ring0_addr: 192.168.1.\(105 + $0)\n  }\n"
        }
        let third = device.map {
            "  device {\n    model: net\n    votes: 1\n    \($0)\n    net {\n      host: 192.168.1.108\n    }\n  }\n"
        }
        return """
            logging {
              debug: off
            }
            nodelist {
            \(nodes.joined())}
            quorum {
              provider: corosync_votequorum
            \(third ?? "")}
            totem {
              cluster_name: lab
              interface {
                linknumber: 0
              }
              version: 2
              \(totem)
            }
            """
    }

    /// Beside them what real ones took (Simulation/Corosync).
    @Test func theLossOfAHostPausesCorosyncForAsLongAsItsTimesSay() {
        let cases: [(String, Int)] = [
            (configuration(), 6_600),  // 6.3 s
            (configuration(totem: "token: 1000"), 2_200),  // 2.0 s
            (configuration(totem: "token: 1000\n  consensus: 300"), 1_300),  // 1.3 s
            (configuration(device: ""), 12_000),  // 11.9 s
            (configuration(totem: "token: 1000", device: ""), 12_000),
            (configuration(totem: "token: 1000\n  consensus: 300", device: "timeout: 1000"), 1_300),  // 1.4 s
            (configuration(hosts: 3), 8_030),
            (configuration(hosts: 3, totem: "token: 1000\n  token_coefficient: 0"), 2_200),
            (configuration(totem: "#token: 1000"), 6_600),
            (configuration(totem: "token:1000\r"), 2_200),
        ]
        for (text, pause) in cases { #expect(CorosyncTimes(text)?.pause == pause, "\(text)") }
    }

    @Test func theTokenGrowsWithTheHostsAndAConsensusThatIsWrittenDownDoesNot() {
        let short = "token: 1000\n  consensus: 300"
        let two = CorosyncTimes(configuration(totem: short))
        #expect(two?.token == 1_000 && two?.consensus == 300)
        let three = CorosyncTimes(configuration(hosts: 3, totem: short))
        #expect(three?.token == 1_650 && three?.consensus == 300)
        let left = CorosyncTimes(configuration(hosts: 3, totem: "token: 1000"))
        #expect(left?.token == 1_650 && left?.consensus == 1_980)
    }

    @Test func aDeviceIsThereOnlyWhereItStands() {
        #expect(CorosyncTimes(configuration())?.device == nil)
        #expect(CorosyncTimes(configuration(device: "timeout: 2000"))?.device == 2_000)
        // Within the device's own net section it is another's.
        #expect(CorosyncTimes(configuration(device: "net2 {\n timeout: 7\n}"))?.device == 10_000)
    }

    @Test func whatIsNoConfigurationIsNone() {
        for text in ["", "nodelist {\n}", "}}}}\n:::\ntoken: 1000", "totem", "\u{0}\u{ff}{"] {
            #expect(CorosyncTimes(text) == nil, "\(text)")
        }
        #expect(CorosyncTimes("totem {\ntoken: 99999999999999999999\n}")?.pause == 6_600)
        #expect(CorosyncTimes("totem {\ntoken: -5\n}")?.pause == 6_600)
    }
}
