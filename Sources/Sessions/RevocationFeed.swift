// Carries revocations from the sessions queue to every shard, and tells when all of them have it in force: an
// answer that says "revoked" waits for that. Its list of subscribers has a lock.

package import Primitives
import Synchronization

/// The way to one shard: takes a revocation, and calls `applied` once the shard has it in force.
package typealias RevocationSubscriber =
    @Sendable (
        _ revocations: [Revocation], _ until: WallTime, _ applied: @escaping @Sendable () -> Void
    ) -> Void

/// Fans revocations out to shards. Subscribers are set once, before the service takes its first order.
package final class RevocationFeed: Sendable {
    private let subscribers = Mutex<[RevocationSubscriber]>([])

    package init() {}

    package func subscribe(_ subscriber: @escaping RevocationSubscriber) {
        subscribers.withLock { $0.append(subscriber) }
    }

    /// Publishes revocations; `inForce` is called when every shard has them, at once when there is nothing to
    /// tell.
    func publish(
        _ revocations: [Revocation], until: WallTime, inForce: @escaping @Sendable () -> Void
    ) {
        let receivers = subscribers.withLock { $0 }
        if revocations.isEmpty || receivers.isEmpty {
            inForce()
            return
        }
        let waiting = Countdown(receivers.count, then: inForce)
        for receiver in receivers { receiver(revocations, until) { waiting.count() } }
    }
}

/// Calls back when it has been counted down.
private final class Countdown: Sendable {
    private let remaining: Mutex<Int>
    private let completion: @Sendable () -> Void

    init(_ count: Int, then completion: @escaping @Sendable () -> Void) {
        remaining = Mutex(count)
        self.completion = completion
    }

    func count() {
        let isLast = remaining.withLock { remaining in
            remaining -= 1
            return remaining == 0
        }
        if isLast { completion() }
    }
}
