// A connection between two requests: what it gives back, and how long it may stay.
//
// Owned by: its shard.

import Configuration
import HTTP
import Network
import Primitives

extension DownstreamConnection {
    /// Nothing has come for a moment: an idle connection holds no buffers, and waits out its time.
    func rest() {
        if !shard.keepsConnections {
            close()
            return
        }
        hasRested = true
        shard.buffers.reclaim(&input)
        shard.buffers.reclaim(&output)
        head.block.release()
        exchange.memo = TokenMemo()
        shard.loop.setDeadline(
            self, milliseconds: max(100, shard.limits.idleTimeoutMilliseconds - Self.restMilliseconds))
    }

    /// Has an idle connection end, unless a request comes in a moment.
    func endSoon() {
        guard exchange.phase == .idle, !headIsPartial else { return }
        // Who has begun to introduce himself has a request: it takes some of his round trips, and has its
        // time.
        if isShakingHands || awaitsProxyHeader { return }
        hasRested = true
        shard.loop.setDeadline(self, milliseconds: Self.lastRequestMilliseconds)
    }

    /// After this long without a request a connection gives its buffers back.
    static let restMilliseconds: Int64 = 1_000
    /// How long a connection that is not to be kept waits for a request that may be on its way.
    private static let lastRequestMilliseconds: Int64 = 500
}
