// Reads the test data of etcd's raft from where Debian's golang-etcd-server-dev puts it. Each case is
//
//     committed cfg=(1,2,3) idx=(12,5,_)          a command with arguments
//     v1 v2                                       lines of input
//     ----
//     5                                           what is expected, up to an empty line

import Foundation

struct Vector: CustomStringConvertible {
    let place: String
    let command: String
    let arguments: [(name: String, values: [String])]
    let input: [String]
    let expected: [String]

    var description: String { place }
    /// The values of an argument; nil when it is not given.
    func values(_ name: String) -> [String]? { arguments.first { $0.name == name }?.values }
    var words: [String] { input.flatMap { $0.split(separator: " ").map(String.init) } }
}

enum Vectors {
    static let folder =
        (ProcessInfo.processInfo.environment["HOLDFAST_GOPATH"] ?? "/usr/share/gocode") + "/src/go.etcd.io/etcd/raft"
    static let areHere = FileManager.default.fileExists(atPath: folder + "/quorum/testdata")
    static let missing = "the test data of etcd's raft is not here; apt install golang-etcd-server-dev"

    /// The names of a folder's files, sorted.
    static func files(_ name: String) -> [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(name)/testdata")
        return (names ?? []).sorted()
    }

    static func read(_ name: String, _ file: String) throws -> [Vector] {
        let text = try String(contentsOfFile: "\(folder)/\(name)/testdata/\(file)", encoding: .utf8)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)[...]
        var number = 0
        func next() -> String? {
            number += 1
            return lines.popFirst()
        }
        var vectors: [Vector] = []
        while let line = next() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            let place = "\(name)/\(file):\(number)"
            var input: [String] = []
            while let more = next(), more != "----" { input.append(more) }
            var expected: [String] = []
            while let more = next(), !more.isEmpty { expected.append(more) }
            let (command, arguments) = parse(line)
            vectors.append(
                Vector(place: place, command: command, arguments: arguments, input: input, expected: expected))
        }
        return vectors
    }

    /// `committed cfg=(1, 2) idx=(_,_)`, `vote cfgj=zero`.
    private static func parse(_ line: String) -> (String, [(name: String, values: [String])]) {
        var rest = Substring(line)
        let command = String(rest.prefix { $0 != " " })
        rest = rest.dropFirst(command.count)
        var arguments: [(name: String, values: [String])] = []
        while let start = rest.firstIndex(where: { $0 != " " }) {
            rest = rest[start...]
            let name = String(rest.prefix { $0 != "=" })
            rest = rest.dropFirst(name.count + 1)
            if rest.first == "(" {
                let inside = rest.dropFirst().prefix { $0 != ")" }
                rest = rest.dropFirst(inside.count + 2)
                let values = inside.split(separator: ",").map { $0.filter { $0 != " " } }
                arguments.append((name, values))
            } else {
                let value = rest.prefix { $0 != " " }
                rest = rest.dropFirst(value.count)
                arguments.append((name, [String(value)]))
            }
        }
        return (command, arguments)
    }
}
