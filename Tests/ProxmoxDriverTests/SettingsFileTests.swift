// The driver's settings file: what is taken from it, and what is said about a wrong one.

import Consensus
import Testing

@testable import ProxmoxDriver

@Suite struct SettingsFileTests {
    private let folder = TestFolder()
    private let fingerprint = String(repeating: "AB:", count: 31) + "AB"

    private func settings(_ rest: String, api: String? = nil) throws(ProxmoxSettingsError) -> ProxmoxSettings {
        let token = folder.write("token", "holdfast@pve!agent=1234\n")
        let api = api ?? "{\"fingerprint\": \"\(fingerprint)\"}"
        return try ProxmoxSettings(
            json: "{\"token\": \"\(token)\", \"api\": \(api)\(rest)}", file: "proxmox.json", hostName: "pve1.lab.test")
    }

    @Test func whatIsNotSaidIsRightOnAProxmoxHost() throws {
        let settings = try settings("")
        #expect(settings.node.text == "pve1")
        #expect(settings.access.host == "127.0.0.1")
        #expect(settings.access.port == 8_006)
        #expect(settings.access.token.id == "holdfast@pve!agent")
        #expect(settings.files.folder == "/etc/pve")
        #expect(settings.ceph == nil)
        #expect(settings.watchdog == nil)
    }

    @Test func everythingCanBeSaid() throws {
        let settings = try settings(
            #"""
            , "node": "pve7", "ceph": {"id": "holdfast", "keyring": "/k"}, "watchdog": {"device": "/dev/wd", "seconds": 20},
            "storageAddress": "10.0.0.7", "reservedMemoryMebibytes": 2048, "folders": {"configurations": "/c"},
            "programs": {"pvecm": "/p", "ceph": "/x"}
            """#)
        #expect(settings.node.text == "pve7")
        #expect(settings.ceph?.options == ["--id", "holdfast", "--keyring", "/k"])
        #expect(settings.ceph?.ceph.path == "/x")
        #expect(settings.watchdog == .device(path: "/dev/wd", timeout: .seconds(20)))
        #expect(settings.storageAddress == "10.0.0.7")
        #expect(settings.reservedMemoryBytes == 2 << 30)
        #expect(settings.files.folder == "/c")
        #expect(settings.votes.program.path == "/p")
        #expect(try self.settings(#", "watchdog": "proxmox""#).watchdog == .ofProxmox)
        let usual = try self.settings(#", "watchdog": {"socket": "/run/wd.sock"}"#).watchdog
        #expect(usual == .multiplexer(socket: "/run/wd.sock", delay: .seconds(70)))
        let quick = try self.settings(#", "watchdog": {"socket": "/run/wd.sock", "seconds": 15}"#).watchdog
        #expect(quick == .multiplexer(socket: "/run/wd.sock", delay: .seconds(15)))
        #expect(quick?.longestDelay == .seconds(15))
        #expect(try self.settings("", api: #"{"authority": "/ca.pem"}"#).access.trust == .authority(path: "/ca.pem"))
    }

    /// It is compared with what Ceph and the system write.
    @Test func theStorageAddressIsTakenInTheOneWayInWhichItIsWritten() throws {
        #expect(try settings(#", "storageAddress": "FD00:0:0::00AB""#).storageAddress == "fd00::ab")
    }

    @Test(arguments: [
        (#", "storageAddress": "pve1.lan""#, "storageAddress is pve1.lan"),
        (#", "storageAddress": "10.0.0.7/24""#, "storageAddress is 10.0.0.7/24"),
        (#", "nod": "pve1""#, "nod is not known"), (#", "node": "a.b""#, "node is a.b"),
        (#", "node": 7"#, "node is no text"), (#", "ceph": true"#, "ceph is something else"),
        (#", "ceph": {"user": "x"}"#, "ceph.user is not known"),
        (#", "watchdog": {"seconds": 0}"#, "watchdog.seconds is 0"),
        (#", "watchdog": {"socket": "/s", "seconds": 0}"#, "watchdog.seconds is 0"),
        (#", "watchdog": {"socket": "/s", "device": "/dev/wd"}"#, "watchdog.device is given beside"),
        (#", "reservedMemoryMebibytes": "x""#, "reservedMemoryMebibytes is x"), (",", "no JSON"),
    ]) func whatIsWrongIsNamed(rest: String, words: String) {
        let error = #expect(throws: ProxmoxSettingsError.self) { try settings(rest) }
        #expect(error?.description.contains("proxmox.json: \(words)") == true, "\(String(describing: error))")
    }

    @Test func thereIsNoWayToTrustJustAnyone() {
        let error = #expect(throws: ProxmoxSettingsError.self) { try settings("", api: "{}") }
        #expect(error?.description.contains("api.fingerprint is not given") == true)
        #expect(throws: ProxmoxSettingsError.self) { try settings("", api: #"{"fingerprint": "AB:CD"}"#) }
    }
}
