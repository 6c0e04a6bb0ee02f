// How often one session may be refreshed: a client in a loop is slowed down, and loses nothing by it. Only
// genuine tokens are counted, so that nobody but the session's own client can use its allowance up.
//
// A bucket is one number (GCRA, ITU-T I.371 annex A): when it will be full again. Memory is bounded: when
// there are too many, full buckets go, and should that not do, all of them are forgiven.
//
// Owned by: the sessions queue.

import Primitives

/// The pace of every session that was refreshed in the last few seconds.
struct SessionPace {
    private var fullAt: [SessionID: Int64] = [:]

    /// Takes note of a refresh.
    ///
    /// - Parameter isBounce: one of a page's parallel requests, each of which is sent to refresh by itself.
    /// - Returns: the seconds after which it will be admitted; nil when it is.
    mutating func admit(_ sid: SessionID, isBounce: Bool, now: WallTime) -> Int64? {
        let distance = (fullAt[sid] ?? 0) - now.milliseconds
        // More than the bucket is deep: the clock was set back, which is nobody's fault.
        let ahead = distance > Self.tolerance + Self.interval ? 0 : max(distance, 0)
        if ahead > Self.tolerance { return (ahead - Self.tolerance + 999) / 1000 }
        if fullAt.count >= Self.sessionsMax { makeRoom(now) }
        fullAt[sid] = now.milliseconds + ahead + (isBounce ? Self.bounceInterval : Self.interval)
        return nil
    }

    /// How many buckets are kept.
    var count: Int { fullAt.count }

    private mutating func makeRoom(_ now: WallTime) {
        fullAt = fullAt.filter { $0.value > now.milliseconds }
        if fullAt.count > Self.sessionsMax / 2 { fullAt = [:] }
    }

    /// Milliseconds: ten refreshes in a second, where a client needs one in ten minutes.
    static let interval: Int64 = 100
    /// And a hundred bounces.
    static let bounceInterval: Int64 = 10
    /// Fifty at once: a browser that opens again with as many tabs.
    static let burst: Int64 = 50
    private static let tolerance = (burst - 1) * interval
    static let sessionsMax = 65_536
}
