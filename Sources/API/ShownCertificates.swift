// The certificate that each open connection has shown, for whoever answers its requests: asking the connection itself costs a
// change of threads there and back with every request, and what it has shown stays what it was.

import NIOCore
import Synchronization

final class ShownCertificates: Sendable {
    /// DER, by connection. As many as connections are open.
    private let shown = Mutex<[ObjectIdentifier: [UInt8]]>([:])

    /// Nil: none was shown yet.
    func of(_ channel: any Channel) -> [UInt8]? { shown.withLock { $0[ObjectIdentifier(channel)] } }

    func shows(_ channel: any Channel, _ certificate: [UInt8]) {
        shown.withLock { $0[ObjectIdentifier(channel)] = certificate }
    }

    /// It is closed; another one may be found under its address.
    func forget(_ channel: any Channel) { shown.withLock { $0[ObjectIdentifier(channel)] = nil } }
}
