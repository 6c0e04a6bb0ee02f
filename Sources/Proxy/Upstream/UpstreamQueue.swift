// The requests that wait because every server that may be asked has as many connections as it may have. First
// come, first served; bounded in number and in time. Entries are handles: whoever goes away leaves the queue,
// and nobody is kept alive by it.
//
// The limits hold for all shards together, and so does the waiting: a shard whose requests wait tells the
// others, which give up idle connections; a shard with requests of its own takes a few turns and then lets
// the others have theirs. What no message tells is seen at the next tick.
//
// Owned by: the pool's shard.

import Configuration
import Network
import Primitives

/// A request that waits: a handle to its connection, and the exchange of it that is meant.
struct WaitingRequest {
    let slot: UInt64
    let serial: UInt32
    let since: MonotonicInstant
}

/// Looks after a queue while there is anybody in it.
final class QueueClock: EventTarget {
    private unowned let pool: UpstreamPool

    init(_ pool: UpstreamPool) { self.pool = pool }

    override func deadlinePassed() { pool.queueTicked() }
}

extension UpstreamPool {
    /// Whether requests of other shards wait for the same upstream.
    var othersWait: Bool { target.waiting.value > waiting.count }

    /// Whether a connection that has become free belongs to another shard's requests.
    var mustGiveWay: Bool { othersWait && (waiting.isEmpty || turnsInRow >= Self.turnsMax) }

    /// Has a request wait.
    func enqueue(_ downstream: DownstreamConnection) {
        let request = WaitingRequest(
            slot: downstream.slot, serial: downstream.exchange.serial, since: shard.loop.now)
        if !waiting.append(request) {
            downstream.upstreamFailed(.upstreamQueueFull)
            return
        }
        downstream.exchange.isWaiting = true
        count(1)
        if waiting.count == 1 { shard.tellNeighbours(.lookAgain(target)) }
        armClock()
    }

    /// The client of a waiting request has gone, or it was answered otherwise.
    func leaveQueue(_ downstream: DownstreamConnection) {
        downstream.exchange.isWaiting = false
        let (slot, serial) = (downstream.slot, downstream.exchange.serial)
        if waiting.removeFirst(where: { $0.slot == slot && $0.serial == serial }) { count(-1) }
    }

    /// Serves who waits, as far as there is room. Called at the end of a batch of events: whatever has become
    /// free in it is handed on when nothing is in the middle of anything.
    func serveQueue() {
        if waiting.isEmpty || isServingQueue { return }
        isServingQueue = true
        let latest = shard.loop.now.milliseconds - target.configuration.queueTimeoutMilliseconds
        while let request = waiting.first, let downstream = connection(of: request) {
            if request.since.milliseconds <= latest {
                leaveQueue(downstream)
                downstream.upstreamFailed(.upstreamQueueTimeout)
                continue
            }
            if holdsBack { break }
            _ = waiting.popFirst()
            downstream.exchange.isWaiting = false
            if !place(downstream) {
                downstream.exchange.isWaiting = true
                _ = waiting.prepend(request)
                break
            }
            count(-1)
            turnsInRow = othersWait ? turnsInRow + 1 : 0
            downstream.pump()
        }
        isServingQueue = false
        armClock()
    }

    /// Nobody who waits can be served any more.
    func failWaiting() {
        while let request = waiting.first, let downstream = connection(of: request) {
            leaveQueue(downstream)
            downstream.upstreamFailed(.upstreamUnavailable)
        }
    }

    /// Another shard has requests that wait, or has made room.
    func lookAgain() {
        holdsBack = false
        serveQueue()
        if waiting.isEmpty { closeIdleWithLimit(target.waiting.value) }
    }

    func queueTicked() {
        holdsBack = false
        serveQueue()
        if !waiting.isEmpty { shard.tellNeighbours(.lookAgain(target)) }
    }

    /// A connection has closed, and with it has gone its place.
    func connectionClosed(_ quota: ConnectionQuota) {
        quota.giveBack()
        if !othersWait { return }
        if turnsInRow >= Self.turnsMax {
            turnsInRow = 0
            holdsBack = true
        }
        shard.tellNeighbours(.lookAgain(target))
    }

    /// Whose request it is. A client's connection takes its own out before it goes.
    private func connection(of request: WaitingRequest) -> DownstreamConnection? {
        let found = shard.loop.target(slot: request.slot) as? DownstreamConnection
        precondition(found?.exchange.serial == request.serial, "a request waits that has ended")
        return found
    }

    private func count(_ difference: Int) {
        target.waiting.add(difference)
        shard.waitingRequests += difference
    }

    private func armClock() {
        if waiting.isEmpty { return }
        let clock = queueClock ?? QueueClock(self)
        if queueClock == nil {
            queueClock = clock
            shard.loop.add(timer: clock)
        }
        if clock.deadline == .never { shard.loop.setDeadline(clock, milliseconds: Self.tickMilliseconds) }
    }

    private static let tickMilliseconds: Int64 = 100
    private static let turnsMax = 8
}
