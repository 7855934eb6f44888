// What a guest writes to its disk, and what can be read off it afterwards: who wrote when. A disk is written by one machine
// at a time, so once a second one has written, nothing of the first may follow. Pure.

/// One write. As a line: `pve1 482341234 17 482349234`.
struct DiskRecord: Equatable {
    /// The host it ran on.
    var host: String
    /// When the machine began, nanoseconds of the clock that all machines of the lab share: tells it from every other.
    var began: Int64
    var number: Int
    var at: Int64

    var line: String { "\(host) \(began) \(number) \(at)\n" }

    init(host: String, began: Int64, number: Int, at: Int64) {
        (self.host, self.began, self.number, self.at) = (host, began, number, at)
    }

    init?(_ line: some StringProtocol) {
        let words = line.split(separator: " ")
        guard words.count == 4, let began = Int64(words[1]), let number = Int(words[2]), let at = Int64(words[3]) else {
            return nil
        }
        self.init(host: String(words[0]), began: began, number: number, at: at)
    }
}

/// What a disk tells.
struct DiskHistory: Equatable {
    /// A machine that wrote.
    struct Writer: Codable, Equatable {
        var host: String
        var began: Int64
        var firstWrite: Int64
        var lastWrite: Int64
        var writes: Int
    }

    /// In the order in which they first wrote.
    private(set) var writers: [Writer] = []
    /// Writes of a machine after another one had begun to write: the disk is damaged.
    private(set) var intrusions = 0
    /// Lines that are no record.
    private(set) var damagedLines = 0

    init(_ text: String) {
        for line in text.split(separator: "\n") {
            guard let record = DiskRecord(line) else {
                damagedLines += 1
                continue
            }
            take(record)
        }
    }

    private mutating func take(_ record: DiskRecord) {
        guard let place = writers.firstIndex(where: { $0.host == record.host && $0.began == record.began }) else {
            writers.append(
                Writer(
                    host: record.host, began: record.began, firstWrite: record.at, lastWrite: record.at, writes: 1))
            return
        }
        if place != writers.count - 1 { intrusions += 1 }
        writers[place].lastWrite = record.at
        writers[place].writes += 1
    }

    var hadOneWriterAtATime: Bool { intrusions == 0 && damagedLines == 0 }
}
