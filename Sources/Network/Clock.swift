// The real clocks. Read once per batch of events, and passed down from there.

import Glibc
package import Primitives

/// The clocks of the system.
package enum Clock {
    /// Now, for deadlines.
    package static var monotonic: MonotonicInstant {
        MonotonicInstant(milliseconds: Syscalls.milliseconds(CLOCK_MONOTONIC))
    }

    /// How long the machine has been up, sleep included.
    package static var sinceBootSeconds: Int64 { Syscalls.milliseconds(CLOCK_BOOTTIME) / 1000 }

    /// Now, for claims, rows and logs.
    package static var wall: WallTime { WallTime(milliseconds: Syscalls.milliseconds(CLOCK_REALTIME)) }

    /// How far local time is ahead of UTC at a moment.
    package static func localOffsetSeconds(at time: WallTime) -> Int64 {
        Syscalls.localOffsetSeconds(at: time)
    }

    /// Microseconds since some start, for measuring how long an exchange took.
    package static var microseconds: Int64 { Syscalls.microseconds() }
}
