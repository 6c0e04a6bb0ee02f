// The keys of TLS session tickets: three in the state directory, so that a restart, a reload and every shard
// know the same ones. A new one each twelve hours; the two before it still open what they have sealed.

import Crypto
import Network
import TLS

/// The keys as they are kept. Owned by: the main queue.
struct TicketKeys {
    private let path: String
    private var bytes: [UInt8]

    /// Reads the keys; makes the first where there are none, or none that can be read.
    init(directory: String) throws(SystemError) {
        path = "\(directory)/ticket.keys"
        bytes = (try? Files.read(path)) ?? []
        if bytes.isEmpty || bytes.count % TicketKey.byteCount != 0 {
            bytes = []
            try rotate()
        }
    }

    /// Newest first.
    var keys: [TicketKey] {
        stride(from: 0, to: bytes.count, by: TicketKey.byteCount).compactMap { start in
            TicketKey(bytes: Array(bytes[start..<start + TicketKey.byteCount]))
        }
    }

    /// Puts a new key in front, and lets go of the oldest.
    mutating func rotate() throws(SystemError) {
        let kept = bytes.prefix((Self.keysMax - 1) * TicketKey.byteCount)
        bytes = RandomBytes.make(TicketKey.byteCount) + kept
        try Files.replace(path, with: bytes)
    }

    static let rotationSeconds = 12 * 3600
    private static let keysMax = 3
}
