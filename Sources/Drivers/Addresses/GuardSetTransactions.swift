// Changes of the elements of our nftables sets, in transactions over nfnetlink (linux/netfilter/nf_tables.h): all of the
// changes happen at one moment, or none. It knows nothing of leases.

import CKernel
import Glibc
import Kinds

/// One change of one set.
enum SetChange {
    /// Adds an element. One that is there stays as it is (before Linux 6.12; since then it takes the new timeout).
    case add(GuardSet, IPAddress, milliseconds: Int64?)
    /// Deletes an element. Refused with ENOENT when it is absent or has expired.
    case delete(GuardSet, IPAddress)

    /// Makes sure that an element is absent, in the same transaction as what follows. Adding it first makes the deletion
    /// succeed always; what is added and deleted in one transaction is never seen. (A refused transaction is not only a
    /// nuisance: undoing it takes the kernel some ten milliseconds.)
    static func clear(_ set: GuardSet, _ address: IPAddress) -> [SetChange] {
        [.add(set, address, milliseconds: set.hasTimeouts ? 1 : nil), .delete(set, address)]
    }
}

/// A connection to nf_tables. One thread only.
final class GuardSetTransactions {
    /// The first change that was refused, and the error number.
    struct Refusal: Equatable {
        let position: Int
        let code: Int32
    }

    private let socket: NetlinkSocket

    init() throws(AddressDriverError) {
        socket = try NetlinkSocket(family: Int32(NETLINK_NETFILTER), name: "nfnetlink")
    }

    /// Makes all changes, or none and says which one was refused.
    func commit(_ changes: [SetChange]) throws(AddressDriverError) -> Refusal? {
        try transaction(count: changes.count) { writer, position, sequence in
            Self.write(changes[position], sequence: sequence, to: &writer)
        }
    }

    /// Removes the table that the set is in; does nothing when there is none.
    func removeTable(of set: GuardSet) throws(AddressDriverError) {
        let refusal = try transaction(count: 1) { writer, _, sequence in
            writer.message(type: Self.type(NFT_MSG_DELTABLE), flags: NLM_F_ACK, sequence: sequence) { message in
                message.value(nfgenmsg(nfgen_family: set.family, version: UInt8(NFNETLINK_V0), res_id: 0))
                message.attribute(Int(NFTA_TABLE_NAME.rawValue), GuardSet.table)
            }
        }
        guard let refusal, refusal.code != ENOENT else { return }
        throw AddressDriverError(attempted: "remove the nftables table \(GuardSet.table)", code: refusal.code)
    }

    /// The elements of a set; none when there is no such set.
    func elements(of set: GuardSet) throws(AddressDriverError) -> [IPAddress] {
        let sequence = socket.sequences()
        var request = NetlinkWriter()
        request.message(type: Self.type(NFT_MSG_GETSETELEM), flags: NLM_F_DUMP, sequence: sequence) { message in
            Self.name(set, in: &message)
        }
        let answer = try socket.dump(request.bytes, sequence: sequence)
        if answer.code == ENOENT { return [] }
        guard answer.code == 0 else {
            throw AddressDriverError(attempted: "list the nftables set \(set.name)", code: answer.code)
        }
        return answer.parts.flatMap { part in
            part.attributes(after: MemoryLayout<nfgenmsg>.size)
                .filter { $0.type == Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) }
                .flatMap { NetlinkMessage.attributes(in: $0.content) }
                .compactMap { Self.key(of: $0.content) }
        }
    }

    /// Frames `count` messages as one transaction and reads what became of it. Every message asks for an
    /// acknowledgement; a refusal is told for every message that met one.
    private func transaction(
        count: Int, _ message: (inout NetlinkWriter, Int, UInt32) -> Void
    ) throws(AddressDriverError) -> Refusal? {
        let first = socket.sequences(count + 2)
        var writer = NetlinkWriter()
        // The subsystem travels in network byte order.
        let frame = nfgenmsg(
            nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian
        )
        writer.message(type: Int(NFNL_MSG_BATCH_BEGIN), flags: 0, sequence: first) { $0.value(frame) }
        for position in 0..<count { message(&writer, position, first &+ 1 &+ UInt32(position)) }
        writer.message(type: Int(NFNL_MSG_BATCH_END), flags: 0, sequence: first &+ UInt32(count) &+ 1) {
            $0.value(frame)
        }
        var isDone = false
        for answer in try socket.exchange(writer.bytes) {
            guard let code = answer.acknowledgement else { continue }
            let position = Int(Int32(bitPattern: answer.sequence &- first)) - 1
            if code != 0 { return Refusal(position: position, code: code) }
            if position == count - 1 { isDone = true }
        }
        guard isDone else {
            throw AddressDriverError(
                .refused(code: 0), attempted: "change the nftables sets", answer: "the kernel did not acknowledge",
                advice: "see the kernel log (dmesg); it is tried again with the next order")
        }
        return nil
    }

    private static func write(_ change: SetChange, sequence: UInt32, to writer: inout NetlinkWriter) {
        switch change {
        case .add(let set, let address, let milliseconds):
            writer.message(type: type(NFT_MSG_NEWSETELEM), flags: NLM_F_CREATE | NLM_F_ACK, sequence: sequence) {
                message in
                Self.name(set, in: &message)
                element(address, milliseconds: milliseconds, in: &message)
            }
        case .delete(let set, let address):
            writer.message(type: type(NFT_MSG_DELSETELEM), flags: NLM_F_ACK, sequence: sequence) { message in
                Self.name(set, in: &message)
                element(address, milliseconds: nil, in: &message)
            }
        }
    }

    /// Header and attributes that say which set is meant.
    private static func name(_ set: GuardSet, in message: inout NetlinkWriter) {
        message.value(nfgenmsg(nfgen_family: set.family, version: UInt8(NFNETLINK_V0), res_id: 0))
        message.attribute(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), GuardSet.table)
        message.attribute(Int(NFTA_SET_ELEM_LIST_SET.rawValue), set.name)
    }

    private static func element(_ address: IPAddress, milliseconds: Int64?, in message: inout NetlinkWriter) {
        message.nested(Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)) { list in
            list.nested(Int(NFTA_LIST_ELEM.rawValue)) { element in
                element.nested(Int(NFTA_SET_ELEM_KEY.rawValue)) { key in
                    key.attribute(Int(NFTA_DATA_VALUE.rawValue), address.bytes)
                }
                if let milliseconds {
                    element.attribute(Int(NFTA_SET_ELEM_TIMEOUT.rawValue), value: UInt64(milliseconds).bigEndian)
                }
            }
        }
    }

    private static func key(of element: ArraySlice<UInt8>) -> IPAddress? {
        let attributes = NetlinkMessage.attributes(in: element)
        guard let key = attributes.first(where: { $0.type == Int(NFTA_SET_ELEM_KEY.rawValue) }),
            let data = NetlinkMessage.attributes(in: key.content).first
        else { return nil }
        return IPAddress(bytes: data.content)
    }

    private static func type(_ message: nf_tables_msg_types) -> Int {
        Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(message.rawValue)
    }
}
