import Cluster
import Consensus
extension VirtualIPSpec { public init(_ d: Declaration) throws { self.init(address: VirtualAddress(address: "", prefixLength: 24), candidates: [], follow: nil, preempt: .never) } }
public struct ClusterSpec { public var timing: Timing; public init(_ d: Declaration) throws { timing = Timing() } }
