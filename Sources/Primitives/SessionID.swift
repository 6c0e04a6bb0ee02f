// The name of a session: 128 random bits. It stands in tokens (`sid`), rows, logs and the control API, and is
// no secret by itself: nothing is granted for knowing it.

/// A session's id; its text is the 22 characters of base64url.
public struct SessionID: Sendable, Hashable {
    private let high: UInt64
    private let low: UInt64

    /// How many bytes an id has.
    public static let byteCount = 16

    /// The id of these 16 bytes; nil for any other count.
    public init?(bytes: Span<UInt8>) {
        if bytes.count != Self.byteCount { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<8 {
            high = high << 8 | UInt64(bytes[index])
            low = low << 8 | UInt64(bytes[index + 8])
        }
        self.high = high
        self.low = low
    }

    /// The id that a text spells; nil when it is not canonical base64url of 16 bytes.
    public init?(text: Span<UInt8>) {
        guard text.count == 22, let bytes = Base64URL.decode(text) else { return nil }
        self.init(bytes: bytes.span)
    }

    /// The id that a text spells; nil when it is not canonical base64url of 16 bytes.
    public init?(text: String) {
        self.init(text: Array(text.utf8).span)
    }

    /// The id's 16 bytes.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for half in [high, low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: half >> shift))
            }
        }
        return bytes
    }

    /// The 22 characters of its base64url.
    public var text: String { Base64URL.text(bytes.span) }
}
