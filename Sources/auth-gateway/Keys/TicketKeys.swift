// The keys of TLS session tickets: three in the state directory, so that a restart, a reload and every shard
// know the same ones. A new one each twelve hours; the two before it still open what they have sealed.

import Crypto
import Network
import Primitives
import TLS

/// The keys as they are kept. Owned by: the main queue.
struct TicketKeys {
    private let path: String
    private var bytes: [UInt8]

    /// Reads the keys; makes the first where there are none, or none that can be read.
    init(directory: String, now: WallTime) throws(SystemError) {
        path = "\(directory)/ticket.keys"
        bytes = (try? Files.read(path)) ?? []
        if bytes.isEmpty || bytes.count % TicketKey.byteCount != 0 {
            bytes = []
            try rotate()
        } else {
            try rotate(ifDueAt: now)
        }
    }

    /// Newest first.
    var keys: [TicketKey] {
        stride(from: 0, to: bytes.count, by: TicketKey.byteCount).compactMap { start in
            TicketKey(bytes: Array(bytes[start..<start + TicketKey.byteCount]))
        }
    }

    /// Rotates when the newest key is twelve hours old, however often the process has been started since.
    @discardableResult
    mutating func rotate(ifDueAt now: WallTime) throws(SystemError) -> Bool {
        guard let made = try Files.modified(path),
            now.milliseconds - made.milliseconds >= Self.lifetimeMilliseconds
        else { return false }
        try rotate()
        return true
    }

    /// Puts a new key in front, and lets go of the oldest.
    private mutating func rotate() throws(SystemError) {
        let kept = bytes.prefix((Self.keysMax - 1) * TicketKey.byteCount)
        bytes = RandomBytes.make(TicketKey.byteCount) + kept
        try Files.replace(path, with: bytes)
    }

    static let checkSeconds = 600
    private static let lifetimeMilliseconds: Int64 = 12 * 3_600_000
    private static let keysMax = 3
}
