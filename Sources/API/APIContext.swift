// What travels with a request through Hummingbird.

import FoundationEssentials
import Hummingbird
import NIOCore

struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection; its TLS handler knows the client's certificate.
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
