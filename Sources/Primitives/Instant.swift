// Two kinds of time that do not mix: monotonic instants for deadlines, wall time for claims, rows and logs.
//
// Neither reads a clock: time is passed in, so that a test can be its master. `Network` reads the real ones.

/// A point on the monotonic clock, in milliseconds since some start; for deadlines only.
@frozen
public struct MonotonicInstant: Sendable, Comparable, Hashable {
    /// Milliseconds since the clock's start.
    public let milliseconds: Int64

    /// The instant that many milliseconds after the clock's start.
    @inlinable
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Later than every instant: a deadline that never comes.
    public static let never = MonotonicInstant(milliseconds: .max)

    /// The earlier of two is the lesser.
    @inlinable
    public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

    /// The instant some milliseconds later; never overflows past `never`.
    @inlinable
    public func advanced(byMilliseconds count: Int64) -> MonotonicInstant {
        let (sum, overflow) = milliseconds.addingReportingOverflow(count)
        return MonotonicInstant(milliseconds: overflow ? .max : sum)
    }
}

/// A point in wall time, in milliseconds since 1970-01-01T00:00:00Z.
@frozen
public struct WallTime: Sendable, Comparable, Hashable {
    /// Milliseconds since 1970.
    public let milliseconds: Int64

    /// The moment that many milliseconds after the start of 1970.
    @inlinable
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The moment that many seconds after the start of 1970.
    @inlinable
    public init(seconds: Int64) { milliseconds = seconds * 1000 }

    /// Whole seconds since 1970, as claims count (RFC 7519 §2, NumericDate).
    @inlinable
    public var seconds: Int64 { milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000 }

    /// The earlier of two is the lesser.
    @inlinable
    public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

    /// The moment some milliseconds later.
    @inlinable
    public func advanced(byMilliseconds count: Int64) -> WallTime {
        WallTime(milliseconds: milliseconds + count)
    }
}
