// Deadlines of thousands of connections at the price of none: a wheel of coarse slots, visited as time
// passes.
//
// Lazy: a target's deadline is a stored instant, and moving it later touches nothing here. Only when its slot
// comes round is it looked at, and put further round if it is not due. Owned by: one shard.

import Primitives

/// A hashed wheel of handles.
struct TimerWheel {
    private struct Entry {
        let handle: UInt64
        let tick: Int64
    }

    private var slots: [[Entry]] = Array(repeating: [], count: TimerWheel.slotCount)
    /// Every slot up to this tick has been visited.
    private var visited: Int64
    private var count = 0

    init(now: MonotonicInstant) { visited = Self.tick(of: now) }

    var isEmpty: Bool { count == 0 }

    /// The slot time that a deadline falls due in; never in the past, and never further than the wheel is
    /// round.
    func dueTick(_ deadline: MonotonicInstant) -> Int64 {
        if deadline == .never { return .max }
        // Rounded up: late by up to a tick, never early.
        let tick = (deadline.milliseconds + Self.tickMilliseconds - 1) / Self.tickMilliseconds
        return min(max(tick, visited + 1), visited + Int64(Self.slotCount) - 1)
    }

    /// Has `handle` looked at when `tick` comes.
    mutating func schedule(_ handle: UInt64, tick: Int64) {
        slots[Int(tick) & (Self.slotCount - 1)].append(Entry(handle: handle, tick: tick))
        count += 1
    }

    /// Takes out what has come due by `now`.
    mutating func due(_ now: MonotonicInstant, _ body: (_ handle: UInt64, _ tick: Int64) -> Void) {
        let current = now.milliseconds / Self.tickMilliseconds
        if current <= visited { return }
        let last = min(current, visited + Int64(Self.slotCount))
        var tick = visited + 1
        visited = current
        while tick <= last {
            let slot = Int(tick) & (Self.slotCount - 1)
            if !slots[slot].isEmpty {
                let entries = slots[slot]
                slots[slot].removeAll(keepingCapacity: entries.count <= 64)
                count -= entries.count
                for entry in entries { body(entry.handle, entry.tick) }
            }
            tick += 1
        }
    }

    /// When the next occupied slot comes due; nil when there is none.
    var next: MonotonicInstant? {
        if count == 0 { return nil }
        for ahead in 1...Int64(Self.slotCount) {
            let tick = visited + ahead
            if !slots[Int(tick) & (Self.slotCount - 1)].isEmpty {
                return MonotonicInstant(milliseconds: tick * Self.tickMilliseconds)
            }
        }
        return nil
    }

    static func tick(of instant: MonotonicInstant) -> Int64 { instant.milliseconds / tickMilliseconds }

    /// Deadlines are coarse: an HTTP timeout that is 100 ms late harms nobody.
    static let tickMilliseconds: Int64 = 100
    /// A power of two; 512 slots are 51 s, and longer deadlines go round again.
    static let slotCount = 512
}
