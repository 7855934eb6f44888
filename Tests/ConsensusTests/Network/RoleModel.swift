// A replicated state small enough to check by eye: client values, and one exclusive role with an epoch, moved by the
// same three commands as the product's roles (assign, release, released).

import Consensus

enum TestCommand: Equatable {
    case value(UInt64)
    case assign(to: MemberID, epoch: UInt8)
    case release(to: MemberID, epoch: UInt8)
    case released(epoch: UInt8)

    var bytes: [UInt8] {
        switch self {
        case .value(let value): [0] + (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        case .assign(let member, let epoch): [1, UInt8(truncatingIfNeeded: member.rawValue), epoch]
        case .release(let member, let epoch): [2, UInt8(truncatingIfNeeded: member.rawValue), epoch]
        case .released(let epoch): [3, epoch]
        }
    }

    init?(_ bytes: [UInt8]) {
        switch (bytes.first, bytes.count) {
        case (0, 9): self = .value((0..<8).reduce(0) { $0 | UInt64(bytes[$1 + 1]) << (UInt64($1) * 8) })
        case (1, 3): self = .assign(to: MemberID(rawValue: UInt64(bytes[1])), epoch: bytes[2])
        case (2, 3): self = .release(to: MemberID(rawValue: UInt64(bytes[1])), epoch: bytes[2])
        case (3, 2): self = .released(epoch: bytes[1])
        default: return nil
        }
    }
}

/// What a member has applied.
struct TestState: Equatable {
    enum Phase: Equatable {
        case vacant
        case held(by: MemberID)
        case releasing(by: MemberID, to: MemberID)
    }

    private(set) var applied = LogIndex.zero
    private(set) var values: [UInt64] = []
    private(set) var phase = Phase.vacant
    private(set) var epoch: UInt8 = 0

    var holder: MemberID? {
        switch phase {
        case .vacant: nil
        case .held(let member), .releasing(let member, _): member
        }
    }

    init() {}

    /// Reads what `bytes` wrote.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 12, (bytes.count - 12) % 8 == 0 else { return nil }
        func number(at offset: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64($1 * 8) }
        }
        applied = LogIndex(rawValue: number(at: 0))
        epoch = bytes[8]
        let (holder, successor) = (MemberID(rawValue: UInt64(bytes[10])), MemberID(rawValue: UInt64(bytes[11])))
        switch bytes[9] {
        case 0: phase = .vacant
        case 1: phase = .held(by: holder)
        default: phase = .releasing(by: holder, to: successor)
        }
        values = stride(from: 12, to: bytes.count, by: 8).map(number)
    }

    var bytes: [UInt8] {
        let place: [UInt8] =
            switch phase {
            case .vacant: [0, 0, 0]
            case .held(let member): [1, UInt8(truncatingIfNeeded: member.rawValue), 0]
            case .releasing(let member, let successor):
                [2, UInt8(truncatingIfNeeded: member.rawValue), UInt8(truncatingIfNeeded: successor.rawValue)]
            }
        func little(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        return little(applied.rawValue) + [epoch] + place + values.flatMap(little)
    }

    mutating func apply(_ entry: Entry) {
        applied = entry.index
        guard case .command(let bytes) = entry.payload, let command = TestCommand(bytes) else { return }
        switch command {
        case .value(let value): values.append(value)
        case .assign(let member, epoch):
            phase = .held(by: member)
            epoch &+= 1
        case .release(let successor, epoch):
            if case .held(let holder) = phase, holder != successor { phase = .releasing(by: holder, to: successor) }
        case .released(epoch):
            guard case .releasing(_, let successor) = phase else { return }
            phase = .held(by: successor)
            epoch &+= 1
        case .assign, .release, .released: return
        }
    }
}
