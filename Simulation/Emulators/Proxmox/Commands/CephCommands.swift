// What a host's `ceph` and `rbd` say and do, as far as fencing needs them: the blocklist, the map that carries it, the
// clients of an image. They work on the shared storage itself, as the real ones on monitors that may be anywhere. Ceph's
// own daemons are not emulated: the map names none, and a majority of the monitors is always there.

extension SharedVolumes {
    /// Runs `ceph` or `rbd`.
    /// - Parameter words: the program's name and its arguments; `--conf`, `--id` and `--keyring` have been taken out.
    public func ceph(_ words: [String], until end: (Int) -> String) -> CommandOutcome {
        do throws(APIError) {
            switch (words.first, words.dropFirst().first, words.dropFirst(2).first) {
            case ("ceph", "osd", "blocklist"): return try blocklist(Array(words.dropFirst(3)), until: end)
            case ("ceph", "osd", "dump"): return CommandOutcome(output: try map().serialized + "\n")
            case ("rbd", "status", let image?): return try watchers(of: image)
            default:
                return CommandOutcome(
                    code: 22, errors: "no valid command found\nError EINVAL: \(words.joined(separator: " "))\n")
            }
        } catch { return CommandOutcome(code: 110, errors: "\(error.reason)\n") }
    }

    private func blocklist(_ words: [String], until end: (Int) -> String) throws(APIError) -> CommandOutcome {
        guard words.count >= 2, words[1].hasSuffix(":0/0") else {
            return CommandOutcome(code: 22, errors: "Error EINVAL: a whole address is barred here, ADDRESS:0/0\n")
        }
        let entry = words[1]
        switch words[0] {
        case "add":
            let until = end(words.count > 2 ? Int(words[2]) ?? 3_600 : 3_600)
            try change { table throws(APIError) in
                table.barred[entry] = until
                table.mapEpoch += 1
            }
            return CommandOutcome(errors: "blocklisting \(entry) until \(until)\n")
        case "rm":
            let wasThere = try change { table throws(APIError) -> Bool in
                guard table.barred.removeValue(forKey: entry) != nil else { return false }
                table.mapEpoch += 1
                return true
            }
            return CommandOutcome(
                errors: wasThere ? "un-blocklisting \(entry)\n" : "\(entry) isn't blocklisted\n")
        default: return CommandOutcome(code: 22, errors: "Error EINVAL: invalid command\n")
        }
    }

    private func map() throws(APIError) -> JSON {
        let table = try read()
        return [
            "epoch": .integer(table.mapEpoch), "blocklist": .object(table.barred.mapValues(JSON.string)),
            "osds": .array([]),
        ]
    }

    private func watchers(of image: String) throws(APIError) -> CommandOutcome {
        let name = image.split(separator: "/").last.map(String.init) ?? image
        guard let volume = try read().volumes.first(where: { $0.key.hasSuffix(":\(name)") })?.value else {
            return CommandOutcome(
                code: 2, errors: "rbd: error opening image \(name): (2) No such file or directory\n")
        }
        var watchers: [JSON] = []
        if let writer = volume.writer, isAlive(writer) {
            let nonce = writer.incarnation % 1_000_000_007 * 1_000 + Int64(writer.vmid)
            watchers.append([
                "address": .string("\(writer.address):0/\(nonce)"), "client": .integer(4_100 + writer.vmid),
                "cookie": .integer(1),
            ])
        }
        return CommandOutcome(output: (["watchers": .array(watchers)] as JSON).serialized + "\n")
    }
}
