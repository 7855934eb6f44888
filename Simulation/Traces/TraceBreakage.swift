// Traces broken by hand.
public struct TraceBreakage: Sendable {
    public struct Broken { public var trace: ObservedTrace; public var step: Int; public var about: String }
    public let name: String
    public static let all: [TraceBreakage] = []
    public func broken(_ traces: [ObservedTrace]) -> Broken? { nil }
}
