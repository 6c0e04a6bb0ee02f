// Whether a client keeps pace: sends its body, or takes its answer, at a least rate on average. Only the time
// for which it is waited for counts, never the upstream's; and nothing is said of it before a first while is
// over, so that a pause of a slow network harms nobody (`minimum_rate`).

import Configuration
import Primitives

/// How fast a client has been while it was waited for, in one exchange.
struct ClientPace {
    private var waitingSince = MonotonicInstant.never
    private var waitedMilliseconds: Int64 = 0
    private var bytes: UInt64 = 0

    /// The client is waited for from now on.
    mutating func wait(_ now: MonotonicInstant) {
        if waitingSince == .never { waitingSince = now }
    }

    /// The client has sent or taken bytes.
    mutating func moved(_ count: Int, _ now: MonotonicInstant) {
        if waitingSince == .never { return }
        waitedMilliseconds += now.milliseconds - waitingSince.milliseconds
        waitingSince = .never
        bytes += UInt64(count)
    }

    /// Whether it has been too slow so far.
    ///
    /// - Parameters:
    ///   - graceMilliseconds: how long it may take before it is judged.
    ///   - bytesPerSecond: the least rate; 0 is none.
    func isTooSlow(graceMilliseconds: Int64, bytesPerSecond: UInt64) -> Bool {
        waitedMilliseconds > graceMilliseconds
            && bytes < UInt64(waitedMilliseconds) / 1000 * bytesPerSecond
    }
}

extension DownstreamConnection {
    /// A client that drips keeps each deadline and would hold its connection for ever.
    func endsSlowClient() -> Bool {
        let limits = shard.limits
        guard
            exchange.pace.isTooSlow(
                graceMilliseconds: limits.bodyTimeoutMilliseconds,
                bytesPerSecond: limits.minimumBytesPerSecond)
        else { return false }
        if !output.isEmpty || exchange.hasResponse {
            abort(.clientTooSlow)
        } else {
            exchange.pace = ClientPace()
            refuse(.clientTooSlow)
        }
        return true
    }
}
