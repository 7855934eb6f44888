// Building trees from the events of libyaml, the parser inside Yams. Yams' own trees do not do for manifests: building
// them stops at the first field that is written twice, follows aliases (a page of them can stand for more values than
// there is memory), and has no bound on depth or number. CYaml is Yams' C target; its version is fixed together with
// Yams in Package.swift.
//
// Relies on: text that is valid UTF-8 without forbidden control characters (SourceText). Does not judge what the values
// mean.

internal import CYaml
import Kinds

/// Trees of the documents in one piece of text.
struct YAMLComposer: ~Copyable {
    /// Values in one file; names of fields count too.
    static let mostNodes = 50_000
    /// Characters of a field's name; longer ones would make paths costly to compare.
    static let mostNameCharacters = 200
    /// Maps and lists inside one another.
    static let mostDepth = 32
    private static let standardTags = "tag:yaml.org,2002:"
    /// Faults in one file; after so many it is not read further.
    static let mostFaults = 100

    /// On the heap, because libyaml keeps pointers into it.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let started: Bool
    private let text: UnsafeBufferPointer<UInt8>
    /// Added to every line: the text may be a part of a file.
    private let linesBefore: Int
    private var nodesLeft: Int
    private(set) var faults: [YAMLFault] = []

    /// - Parameter text: must outlive the composer.
    init(_ text: UnsafeBufferPointer<UInt8>, linesBefore: Int, nodesLeft: Int) {
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        started = yaml_parser_initialize(parser) == 1
        self.text = text
        self.linesBefore = linesBefore
        self.nodesLeft = nodesLeft
        guard started else { return }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, text.baseAddress, text.count)
    }

    deinit {
        if started { yaml_parser_delete(parser) }
        parser.deallocate()
    }

    /// The documents of `text`, with everything in them that is not allowed; of a document with faults the tree is not
    /// to be used.
    static func compose(
        _ text: ArraySlice<UInt8>, linesBefore: Int, nodesLeft: inout Int
    ) -> (documents: [YAMLNode], faults: [YAMLFault]) {
        text.withUnsafeBufferPointer { buffer in
            var composer = YAMLComposer(buffer, linesBefore: linesBefore, nodesLeft: nodesLeft)
            var documents: [YAMLNode] = []
            do throws(YAMLFault) {
                while let document = try composer.nextDocument() { documents.append(document) }
            } catch {
                composer.faults.append(error)
            }
            nodesLeft = composer.nodesLeft
            return (documents, composer.faults)
        }
    }

    // MARK: Events

    private mutating func nextDocument() throws(YAMLFault) -> YAMLNode? {
        while true {
            let event = try nextEvent()
            switch event.content {
            case .streamEnd: return nil
            case .documentStart, .other: continue
            default: return try node(event, depth: 0)
            }
        }
    }

    private func nextEvent() throws(YAMLFault) -> YAMLEvent {
        var raw = yaml_event_t()
        guard started, yaml_parser_parse(parser, &raw) == 1 else {
            throw YAMLComplaint(parser.pointee, text: text, linesBefore: linesBefore).fault
        }
        defer { yaml_event_delete(&raw) }
        return YAMLEvent(raw, linesBefore: linesBefore)
    }

    // MARK: Nodes

    private mutating func node(_ event: YAMLEvent, depth: Int) throws(YAMLFault) -> YAMLNode {
        try count(event, depth: depth)
        try refuseDecoration(event)
        switch event.content {
        case .scalar(let text, let plain): return .scalar(text: text, plain: plain, event.place)
        case .listStart:
            var values: [YAMLNode] = []
            while true {
                let next = try nextEvent()
                if case .listEnd = next.content { return .list(values, event.place) }
                values.append(try node(next, depth: depth + 1))
            }
        case .mapStart:
            var entries: [YAMLEntry] = []
            while true {
                let next = try nextEvent()
                if case .mapEnd = next.content { return .map(entries, event.place) }
                let name = try node(next, depth: depth + 1)
                let value = try node(try nextEvent(), depth: depth + 1)
                guard case .scalar(let text, _, let place) = name else {
                    try refuse(
                        YAMLFault(
                            place: name.place, found: "a map or a list as the name of a field", expected: "a text"))
                    continue
                }
                guard text.unicodeScalars.count <= Self.mostNameCharacters else {
                    try refuse(
                        YAMLFault(
                            place: place, found: "the name of a field of \(text.unicodeScalars.count) characters",
                            expected: "at most \(Self.mostNameCharacters)"))
                    continue
                }
                entries.append(YAMLEntry(name: text, namePlace: place, value: value))
            }
        case .alias(let name):
            try refuse(
                YAMLFault(place: event.place, found: "the alias *\(name)", expected: "the value itself, written out"))
            return .scalar(text: "", plain: false, event.place)
        case .streamEnd, .documentStart, .listEnd, .mapEnd, .other:
            throw YAMLFault(place: event.place, found: "the end of a document", expected: "a value")
        }
    }

    /// Keeps going after a fault, so that all are found, up to a bound.
    private mutating func refuse(_ fault: YAMLFault) throws(YAMLFault) {
        guard faults.count < Self.mostFaults else { throw fault }
        faults.append(fault)
    }

    private mutating func count(_ event: YAMLEvent, depth: Int) throws(YAMLFault) {
        nodesLeft -= 1
        if nodesLeft < 0 {
            nodesLeft = 0
            throw YAMLFault(
                place: event.place, found: "more than \(Self.mostNodes) values", expected: "a file with fewer")
        }
        if depth > Self.mostDepth {
            throw Self.tooDeep(at: event.place)
        }
    }

    static func tooDeep(at place: TextPlace) -> YAMLFault {
        YAMLFault(place: place, found: "more than \(mostDepth) maps and lists inside one another", expected: "fewer")
    }

    private mutating func refuseDecoration(_ event: YAMLEvent) throws(YAMLFault) {
        if let anchor = event.anchor {
            try refuse(
                YAMLFault(
                    place: event.place, found: "the anchor &\(anchor)",
                    expected: "the value alone: each document says everything itself"))
        }
        if let tag = event.tag {
            let short = tag.hasPrefix(Self.standardTags) ? "!!\(tag.dropFirst(Self.standardTags.count))" : tag
            try refuse(
                YAMLFault(
                    place: event.place, found: "the tag \(Excerpt.quoted(short))",
                    expected: "the value alone, in quotes if it is a text"))
        }
    }
}

/// One event of libyaml, copied out of its memory.
private struct YAMLEvent {
    enum Content {
        case streamEnd
        case documentStart
        case scalar(text: String, plain: Bool)
        case alias(String)
        case listStart
        case listEnd
        case mapStart
        case mapEnd
        /// Begin of the stream, end of a document.
        case other
    }

    let content: Content
    let place: TextPlace
    var anchor: String?
    var tag: String?

    init(_ event: yaml_event_t, linesBefore: Int) {
        place = TextPlace(line: linesBefore + Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1)
        switch event.type {
        case YAML_STREAM_END_EVENT: content = .streamEnd
        case YAML_DOCUMENT_START_EVENT: content = .documentStart
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            content = .scalar(
                text: String(decoding: bytes, as: UTF8.self), plain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
            anchor = Self.text(scalar.anchor)
            tag = Self.text(scalar.tag)
        case YAML_ALIAS_EVENT: content = .alias(Self.text(event.data.alias.anchor) ?? "")
        case YAML_SEQUENCE_START_EVENT:
            content = .listStart
            anchor = Self.text(event.data.sequence_start.anchor)
            tag = Self.text(event.data.sequence_start.tag)
        case YAML_SEQUENCE_END_EVENT: content = .listEnd
        case YAML_MAPPING_START_EVENT:
            content = .mapStart
            anchor = Self.text(event.data.mapping_start.anchor)
            tag = Self.text(event.data.mapping_start.tag)
        case YAML_MAPPING_END_EVENT: content = .mapEnd
        default: content = .other
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(cString: $0) }
    }
}
