// Space put by for the day on which the disk is full: enough for one more segment of the log, or for a snapshot that lets
// old segments go. Given up when it is needed, and put by again when there is space.
//
// Safe to use from the log's thread and from the one that writes snapshots. Does not: hold anything but zeros.

final class SpaceReserve: @unchecked Sendable {
    static let name = "reserve"

    private let disk: any LogDisk
    private let bytes: Int
    private let monitor = Monitor()
    /// Guarded by `monitor`.
    private var isHeld = false

    init(disk: any LogDisk, bytes: Int) {
        self.disk = disk
        self.bytes = bytes
    }

    /// Puts the space by, when it is not. False when there is none.
    @discardableResult
    func fill() -> Bool {
        monitor.locked {
            guard !isHeld else { return true }
            do {
                if try disk.names().contains(Self.name) {
                    isHeld = true
                    return true
                }
                try disk.create(Self.name, bytes: bytes).close()
                isHeld = true
            } catch {
                // Not to have it is no failure yet; whoever needs space and finds none says so.
                return false
            }
            return true
        }
    }

    /// Gives the space free. False when there was none put by.
    func release() -> Bool {
        monitor.locked {
            guard isHeld else { return false }
            isHeld = false
            do { try disk.remove(Self.name) } catch { return false }
            return true
        }
    }
}

extension StorageError {
    /// The disk has no space; with some it goes on.
    var isDiskFull: Bool { if case .diskFull = self { true } else { false } }
}
