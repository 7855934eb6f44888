// The tree of files itself, whatever of other nodes' writes reaches it and in whatever order.

import Testing

@testable import ProxmoxEmulator

@Suite struct ClusterFilesTests {
    private static let places = ["pve1", "pve2"].map { "nodes/\($0)/qemu-server/131.conf" }

    /// A guest's configuration is in one folder: a node that lacks some writes of the other, or has taken others meanwhile, takes
    /// a renaming as a whole or not at all.
    @Test(arguments: UInt64(1)...50) func whatIsRenamedIsNeverInTwoPlacesNorInNone(seed: UInt64) {
        var state = seed
        func draw(_ bound: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % bound)
        }
        var trees = [ClusterFiles(), ClusterFiles()]
        _ = trees[0].write(Self.places[0], "memory: 512", writer: 1)
        trees[1] = trees[0]
        var onTheWay: [[ClusterFiles.Change]] = [[], []]
        for _ in 0..<400 {
            let node = draw(2)
            let other = 1 - node
            switch draw(6) {
            case 0, 1:
                guard let at = Self.places.first(where: { trees[node].exists($0) }),
                    let to = Self.places.first(where: { $0 != at }),
                    let change = trees[node].rename(at, to: to, writer: node + 1)
                else { break }
                onTheWay[other].append(change)
            case 2: onTheWay[node] = []
            case 3 where draw(8) == 0: if trees[other].version > trees[node].version { trees[node] = trees[other] }
            default: if !onTheWay[node].isEmpty { _ = trees[node].apply(onTheWay[node].removeFirst()) }
            }
            for tree in trees { #expect(Self.places.filter { tree.exists($0) }.count == 1) }
        }
    }

    @Test func aRenamingIsOneWrite() throws {
        var tree = ClusterFiles()
        _ = tree.write(Self.places[0], "memory: 512", writer: 1)
        var other = tree
        let renamed = tree.rename(Self.places[0], to: Self.places[1], writer: 1)
        let change = try #require(renamed)
        #expect(tree.version == 2)
        let isWhole = other.apply(change)
        #expect(isWhole)
        #expect(other.digest == tree.digest && other.paths == [Self.places[1]])
        let again = tree.rename(Self.places[0], to: Self.places[1], writer: 1)
        #expect(again == nil)
    }
}
