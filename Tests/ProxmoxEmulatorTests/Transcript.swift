// Requests and answers recorded from real Proxmox VE clusters, one JSON object per line. The recordings are not part of
// this repository: they are looked for where HOLDFAST_PROXMOX_DATA says, or beside the checkout.

import Foundation
import ProxmoxEmulator

/// One line of a recording.
struct Record {
    enum Kind {
        case request(method: String, path: String, parameters: [String: JSON], auth: String)
        case shell(String)
    }

    let number: Int
    let kind: Kind
    let host: String
    let note: String
    let status: Int
    let reason: String
    let body: JSON
    /// Of a shell command.
    let code: Int
    let output: String
    let errors: String
}

/// A recorded file.
struct Transcript {
    let release: Release
    let name: String
    let records: [Record]

    var label: String { "\(release.rawValue)/\(name)" }
}

enum RecordedData {
    /// nil when there is none.
    static var folder: URL? {
        let given = ProcessInfo.processInfo.environment["HOLDFAST_PROXMOX_DATA"].map { URL(fileURLWithPath: $0) }
        let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let beside = checkout.deletingLastPathComponent().appendingPathComponent("shared/data/proxmox")
        return [given, beside].compactMap { $0 }.first {
            FileManager.default.fileExists(atPath: $0.appendingPathComponent("transcripts-8.4").path)
        }
    }

    static let isPresent = folder != nil

    static func transcripts() throws -> [Transcript] {
        guard let folder else { return [] }
        var found: [Transcript] = []
        for release in Release.allCases {
            let place = folder.appendingPathComponent("transcripts-\(release.rawValue)")
            for file in try FileManager.default.contentsOfDirectory(atPath: place.path).sorted()
            where file.hasSuffix(".jsonl") {
                let text = try String(contentsOf: place.appendingPathComponent(file), encoding: .utf8)
                let records = try text.split(separator: "\n").enumerated().map { try record($0, String($1)) }
                found.append(Transcript(release: release, name: String(file.dropLast(6)), records: records))
            }
        }
        return found
    }

    private static func record(_ number: Int, _ line: String) throws -> Record {
        let value = try JSON(text: line)
        let kind: Record.Kind
        if let shell = value["shell"]?.string {
            kind = .shell(shell)
        } else {
            kind = .request(
                method: value["method"]?.string ?? "GET", path: value["path"]?.string ?? "",
                parameters: value["params"]?.object ?? [:], auth: value["auth"]?.string ?? "token")
        }
        return Record(
            number: number, kind: kind, host: value["host"]?.string ?? "pve1", note: value["note"]?.string ?? "",
            status: value["status"]?.integer ?? 0, reason: value["reason"]?.string ?? "",
            body: value["body"] ?? .null, code: value["rc"]?.integer ?? 0, output: value["out"]?.string ?? "",
            errors: value["err"]?.string ?? "")
    }
}
