// When the lab's stand-in for Proxmox's watchdog-mux lets its machine be reset, and that nothing undoes it.

import Testing

@testable import holdfast_lab

@Suite struct WatchdogModelTests {
    private static let second: Int64 = 1_000_000_000
    private static let farewell = [UInt8(ascii: "V")]

    @Test func aClientThatFeedsKeepsTheMachine() {
        var model = WatchdogModel()
        model.connected(7, at: 0)
        for at in 1...600 {
            model.said([0], by: 7, at: Int64(at) * Self.second)
            model.look(at: Int64(at) * Self.second)
        }
        #expect(model.resetsAt == nil)
        #expect(model.nextLook == 660 * Self.second)
    }

    @Test func aSilentClientHasTheMachineResetAfterSeventySeconds() {
        var model = WatchdogModel()
        model.connected(7, at: 0)
        model.said([0], by: 7, at: 5 * Self.second)
        model.look(at: 65 * Self.second - 1)
        #expect(model.resetsAt == nil)
        model.look(at: 65 * Self.second)
        #expect(model.resetsAt == 75 * Self.second)
    }

    @Test func aQuickerOneWaitsLessForItsClients() {
        var model = WatchdogModel(seconds: 15)
        model.connected(7, at: 0)
        model.look(at: 5 * Self.second - 1)
        #expect(model.resetsAt == nil)
        model.look(at: 5 * Self.second)
        #expect(model.resetsAt == 15 * Self.second)
    }

    @Test func aClientThatGoesWithoutLeaveHasItResetAfterTen() {
        var model = WatchdogModel()
        model.connected(7, at: 0)
        model.ended(7, at: 3 * Self.second)
        #expect(model.resetsAt == 13 * Self.second)
    }

    @Test func aFarewellKeepsTheMachine() {
        var model = WatchdogModel()
        model.connected(7, at: 0)
        model.said(Self.farewell, by: 7, at: Self.second)
        model.ended(7, at: 2 * Self.second)
        model.look(at: 1_000 * Self.second)
        #expect(model.resetsAt == nil)
        #expect(model.nextLook == nil)
    }

    @Test func whoFeedsAgainAfterAFarewellHasTakenItBack() {
        var model = WatchdogModel()
        model.connected(7, at: 0)
        model.said(Self.farewell, by: 7, at: Self.second)
        model.said([0], by: 7, at: 2 * Self.second)
        model.ended(7, at: 3 * Self.second)
        #expect(model.resetsAt == 13 * Self.second)
    }

    @Test func nobodySavesAMachineThatIsToBeReset() {
        var model = WatchdogModel()
        model.connected(7, at: 0)
        model.ended(7, at: 0)
        model.connected(8, at: Self.second)
        model.said([0], by: 8, at: 9 * Self.second)
        model.said(Self.farewell, by: 8, at: 9 * Self.second)
        model.ended(8, at: 9 * Self.second)
        #expect(model.resetsAt == 10 * Self.second)
        #expect(model.nextLook == 10 * Self.second)
    }

    @Test func oneSilentClientAmongOthersIsEnough() {
        var model = WatchdogModel()
        model.connected(7, at: 0)
        model.connected(8, at: 0)
        for at in 1...61 { model.said([0], by: 8, at: Int64(at) * Self.second) }
        model.look(at: 61 * Self.second)
        #expect(model.resetsAt != nil)
    }
}
