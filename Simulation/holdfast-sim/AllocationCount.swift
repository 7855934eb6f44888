// What a thread asked the allocator for, when somebody counts: Simulation/Bench/allocations.c in front of the C library.
// Does not count by itself.

import Glibc

enum AllocationCount {
    private typealias Reader = @Sendable @convention(c) () -> UInt

    // A null handle looks in everything that is loaded (dlsym(3), RTLD_DEFAULT).
    private static let reader: Reader? = dlsym(nil, "holdfast_allocations").map { unsafeBitCast($0, to: Reader.self) }

    /// How often this thread has asked for memory; nil when nobody counts.
    static var ofThisThread: Int? { reader.map { Int($0()) } }
}
