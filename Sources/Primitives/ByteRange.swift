// What every parser returns instead of bytes: where they stand in the buffer that was parsed.

/// A half-open range of byte offsets, in 32 bits each: a message head is far smaller than 4 GiB by its
/// limits.
@frozen
public struct ByteRange: Sendable, Equatable {
    /// The offset of the first byte.
    public let lower: UInt32
    /// The offset behind the last byte.
    public let upper: UInt32

    /// The range of the bytes from `start` up to `end`, exclusive.
    @inlinable
    public init(_ start: Int, _ end: Int) {
        precondition(start <= end, "a range ends before it starts")
        lower = UInt32(start)
        upper = UInt32(end)
    }

    /// No bytes at offset 0.
    public static let empty = ByteRange(0, 0)

    /// The offset of the first byte.
    @inlinable
    public var start: Int { Int(lower) }

    /// The offset behind the last byte.
    @inlinable
    public var end: Int { Int(upper) }

    /// The offsets, as `Span.extracting` takes them.
    @inlinable
    public var offsets: Range<Int> { Int(lower)..<Int(upper) }

    /// How many bytes the range covers.
    @inlinable
    public var count: Int { Int(upper - lower) }

    /// Whether the range covers nothing.
    @inlinable
    public var isEmpty: Bool { lower == upper }
}
