// Takes an HTTP/1.1 answer apart as its bytes arrive (RFC 9112). The libraries at hand throw the reason phrase away for
// every status they know, and Proxmox says what went wrong in exactly that phrase. Bounded in head and body; knows
// nothing of sockets.

/// One answer: status line, fields, and body.
struct RawAnswer: Hashable, Sendable {
    var status = 0
    /// The text behind the status: where Proxmox puts its error.
    var reason = ""
    var body: [UInt8] = []
    /// Whether the server keeps the connection open for another request.
    var keepsConnection = false
}

/// Why an answer cannot be read.
enum AnswerFault: Error, Hashable, CustomStringConvertible {
    case notHTTP(String)
    case headTooLong
    case bodyTooLong(limit: Int)
    case endedEarly

    var description: String {
        switch self {
        case .notHTTP(let what): "it is not HTTP/1.1: \(what)"
        case .headTooLong: "the head of the answer is longer than \(AnswerReader.mostHeadBytes) bytes"
        case .bodyTooLong(let limit): "the answer is longer than \(limit) bytes"
        case .endedEarly: "the connection ended in the middle of the answer"
        }
    }
}

/// Reads one answer, piece by piece.
struct AnswerReader {
    static let mostHeadBytes = 65_536

    private enum Stage {
        case head
        case counted(left: Int)
        /// Waiting for the line with a chunk's length, for its content, or for the trailer.
        case chunkLength
        case chunk(left: Int)
        case chunkEnd
        case trailer
        case untilClosed
        case complete
    }

    private let mostBodyBytes: Int
    private var stage = Stage.head
    private var waiting: [UInt8] = []
    /// Where the first unread byte of `waiting` stands.
    private var start = 0
    private(set) var answer = RawAnswer()

    init(mostBodyBytes: Int) { self.mostBodyBytes = mostBodyBytes }

    var isComplete: Bool { if case .complete = stage { true } else { false } }
    /// Whether anything has arrived.
    private(set) var hasBegun = false

    /// Takes in what arrived; `isComplete` tells whether that was all of it.
    mutating func take(_ bytes: some Collection<UInt8>) throws(AnswerFault) {
        guard !bytes.isEmpty else { return }
        hasBegun = true
        waiting.append(contentsOf: bytes)
        while try advance() {}
        // Nothing may follow: no second request was sent.
        if isComplete, available > 0 { answer.keepsConnection = false }
        waiting.removeFirst(start)
        start = 0
    }

    /// The connection was closed: the end of an answer without a length, too early for any other.
    mutating func close() throws(AnswerFault) {
        switch stage {
        case .complete: return
        case .untilClosed: stage = .complete
        default: throw .endedEarly
        }
    }

    private var available: Int { waiting.count - start }

    /// One step; false when more bytes are needed.
    private mutating func advance() throws(AnswerFault) -> Bool {
        switch stage {
        case .head: return try takeHead()
        case .counted(let left):
            let count = try takeBody(most: left)
            stage = count == left ? .complete : .counted(left: left - count)
            return false
        case .untilClosed:
            _ = try takeBody(most: available)
            return false
        case .chunkLength:
            guard let line = try line() else { return false }
            let digits = line.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }
            guard !digits.isEmpty, digits.count <= 8, digits.allSatisfy(\.isHexDigit),
                let length = Int(digits, radix: 16)
            else { throw .notHTTP("a chunk without a length") }
            stage = length == 0 ? .trailer : .chunk(left: length)
            return true
        case .chunk(let left):
            let count = try takeBody(most: left)
            stage = count == left ? .chunkEnd : .chunk(left: left - count)
            return count == left
        case .chunkEnd:
            guard let line = try line() else { return false }
            guard line.isEmpty else { throw .notHTTP("a chunk longer than its length") }
            stage = .chunkLength
            return true
        case .trailer:
            guard let line = try line() else { return false }
            if line.isEmpty { stage = .complete }
            return !line.isEmpty
        case .complete: return false
        }
    }

    private mutating func takeBody(most: Int) throws(AnswerFault) -> Int {
        let count = min(most, available)
        guard answer.body.count + count <= mostBodyBytes else { throw .bodyTooLong(limit: mostBodyBytes) }
        answer.body += waiting[start..<start + count]
        start += count
        return count
    }

    /// A whole line without its end; nil when there is none yet.
    private mutating func line() throws(AnswerFault) -> String? {
        guard let end = waiting[start...].firstIndex(of: 0x0a) else {
            guard available <= Self.mostHeadBytes else { throw .headTooLong }
            return nil
        }
        guard end - start <= Self.mostHeadBytes else { throw .headTooLong }
        var line = waiting[start..<end]
        if line.last == 0x0d { line.removeLast() }
        start = end + 1
        return String(decoding: line, as: UTF8.self)
    }

    private mutating func takeHead() throws(AnswerFault) -> Bool {
        guard let end = Self.headEnd(waiting, from: start) else {
            guard available <= Self.mostHeadBytes else { throw .headTooLong }
            return false
        }
        guard end - start <= Self.mostHeadBytes else { throw .headTooLong }
        guard let status = try line() else { return false }
        try takeStatus(status)
        var fields: [(name: String, value: String)] = []
        while let text = try line(), !text.isEmpty {
            guard let colon = text.firstIndex(of: ":") else { throw .notHTTP("a field without a colon") }
            fields.append((text[..<colon].lowercased(), Self.trimmed(text[text.index(after: colon)...])))
        }
        // An interim answer (1xx) is followed by the real one.
        guard answer.status >= 200 else { return true }
        try chooseBody(fields)
        return !isComplete
    }

    private mutating func takeStatus(_ line: String) throws(AnswerFault) {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0] == "HTTP/1.1" || parts[0] == "HTTP/1.0", parts[1].count == 3,
            let status = Int(parts[1]), (100...999).contains(status)
        else { throw .notHTTP("it begins with \"\(line.prefix(40))\"") }
        answer.status = status
        answer.reason = parts.count == 3 ? Self.trimmed(parts[2]) : ""
        answer.keepsConnection = parts[0] == "HTTP/1.1"
    }

    private mutating func chooseBody(_ fields: [(name: String, value: String)]) throws(AnswerFault) {
        func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        if value("connection")?.lowercased().contains("close") == true { answer.keepsConnection = false }
        if answer.status == 204 || answer.status == 304 {
            stage = .complete
        } else if let coding = value("transfer-encoding") {
            guard coding.lowercased() == "chunked" else {
                throw .notHTTP("a transfer coding of \"\(coding.prefix(40))\"")
            }
            stage = .chunkLength
        } else if let length = value("content-length") {
            guard !length.isEmpty, length.count <= 18, length.allSatisfy(\.isASCII), let count = Int(length), count >= 0
            else { throw .notHTTP("a length of \"\(length.prefix(40))\"") }
            guard count <= mostBodyBytes else { throw .bodyTooLong(limit: mostBodyBytes) }
            stage = count == 0 ? .complete : .counted(left: count)
        } else {
            answer.keepsConnection = false
            stage = .untilClosed
        }
    }

    /// The position after the empty line that ends the head.
    private static func headEnd(_ bytes: [UInt8], from start: Int) -> Int? {
        var previous = start
        while let end = bytes[previous...].firstIndex(of: 0x0a) {
            let isEmpty = end == previous || (end == previous + 1 && bytes[previous] == 0x0d)
            if isEmpty && previous > start { return end + 1 }
            previous = end + 1
        }
        return nil
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
