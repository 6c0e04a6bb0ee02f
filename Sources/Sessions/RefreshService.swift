// The embedded refresh service: takes orders from any queue, carries them out on its own, one transaction for
// all that wait (group commit), and answers when the transaction is on disk and every shard knows what was
// revoked.
//
// Owned by: the sessions queue, for the store and what works on it; the signing queue, for the key that
// signs, so that one batch is signed while the next is written; the list of waiting orders has a lock. A
// shard hands in a closure that posts to its mailbox, so a reply for a client that has gone finds nobody and
// is dropped, while the rotation itself is finished.

import Dispatch
package import JOSE
import Observability
package import Primitives
import Synchronization

/// Begins, refreshes and ends sessions.
package final class RefreshService: Sendable {
    private struct Waiting: Sendable {
        var orders: [PendingOrder] = []
        var seen: [Sighting] = []
        var isScheduled = false
        /// How many replies are still to be signed.
        var unsigned = 0
    }

    private let queue = DispatchQueue(label: "sessions", qos: .default)
    private let signing = DispatchQueue(label: "sessions.signing", qos: .default)
    private let signer: Mutex<TokenSigner>
    private let waiting = Mutex(Waiting())
    /// nil while another process has the store.
    private let book: Mutex<SessionBook?>
    private let feed: RevocationFeed
    /// How long a revocation may still matter: grows with the lifetime of tokens, and never shrinks, since
    /// the longer-lived are still about.
    private let revocationMemory: Atomic<Int64>
    private let clock: @Sendable () -> WallTime
    private let audit: @Sendable (AuditEvent) -> Void
    package let metrics = SessionMetrics()

    /// - Parameters:
    ///   - store: handed over; nobody else may use it.
    ///   - clock: the wall clock.
    ///   - audit: receives what happened, once it is on disk. Must not block.
    package init(
        store: sending any SessionStore, mint: sending RefreshTokenMint, signer: sending TokenSigner,
        policy: SessionPolicy, feed: RevocationFeed, clock: @escaping @Sendable () -> WallTime,
        audit: @escaping @Sendable (AuditEvent) -> Void
    ) {
        book = Mutex(SessionBook(store: store, mint: mint, policy: policy))
        self.signer = Mutex(signer)
        self.feed = feed
        revocationMemory = Atomic(policy.revocationMemory)
        self.clock = clock
        self.audit = audit
    }

    /// One that has no store yet: every order is answered with `unavailable` until `resume`.
    package init(
        signer: sending TokenSigner, policy: SessionPolicy, feed: RevocationFeed,
        clock: @escaping @Sendable () -> WallTime, audit: @escaping @Sendable (AuditEvent) -> Void
    ) {
        book = Mutex(nil)
        self.signer = Mutex(signer)
        self.feed = feed
        revocationMemory = Atomic(policy.revocationMemory)
        self.clock = clock
        self.audit = audit
    }

    /// Has other rules hold from the next order on. Sessions keep the final deadline that they were given.
    package func change(to policy: SessionPolicy) {
        _ = revocationMemory.max(policy.revocationMemory, ordering: .relaxed)
        book.withLock { $0?.policy = policy }
    }

    /// Has another key sign: whatever is issued when this has returned is its work.
    package func change(signingKey: SigningKey) throws(JOSEError) {
        try signer.withLock { signer throws(JOSEError) in signer = try TokenSigner(key: signingKey) }
    }

    /// Has the first of these keys make refresh tokens, and all of them be believed.
    package func change(refreshKeys: [RefreshKey]) {
        book.withLock { $0?.mint = RefreshTokenMint(keys: refreshKeys) }
    }

    /// Tells every shard what was revoked lately; called when a store has been opened, before requests are
    /// served.
    package func publishRecentRevocations(inForce: @escaping @Sendable () -> Void) throws(StoreError) {
        let now = clock()
        let since = now.advanced(byMilliseconds: -revocationMemory.load(ordering: .relaxed))
        let recent = try book.withLock { book throws(StoreError) in try book?.revocations(since: since) ?? []
        }
        feed.publish(
            recent, until: now.advanced(byMilliseconds: revocationMemory.load(ordering: .relaxed)),
            inForce: inForce)
    }

    /// Hands an order in; `reply` is called once, on any queue.
    package func submit(_ order: SessionOrder, reply: @escaping @Sendable (SessionReply) -> Void) {
        if case .copy(let path) = order {
            copyStore(to: path, reply: reply)
            return
        }
        let isAccepted = enqueue { waiting in
            if waiting.orders.count + waiting.unsigned >= Self.ordersMax {
                metrics.turnedAway.add()
                return false
            }
            waiting.orders.append(PendingOrder(order: order, reply: reply))
            return true
        }
        if !isAccepted { reply(.unavailable) }
    }

    /// Reports that ordinary requests carried tokens of these sessions and generations: their clients have
    /// them.
    package func noteSeen(_ sightings: [Sighting]) {
        _ = enqueue { waiting in
            // Only a hint: under pressure it may be lost, and the retry door stays open a little longer.
            if waiting.seen.count < Self.ordersMax { waiting.seen += sightings }
            return true
        }
    }

    /// How many orders wait for their turn.
    package var waitingOrders: Int { waiting.withLock { $0.orders.count } }
    /// How many have found too many others waiting.
    package var ordersTurnedAway: UInt64 { metrics.turnedAway.value }

    private func enqueue(_ add: (inout Waiting) -> Bool) -> Bool {
        let (isAccepted, mustSchedule) = waiting.withLock { waiting in
            let isAccepted = add(&waiting)
            let mustSchedule = isAccepted && !waiting.isScheduled
            if mustSchedule { waiting.isScheduled = true }
            return (isAccepted, mustSchedule)
        }
        if mustSchedule { queue.async { [self] in drain() } }
        return isAccepted
    }

    /// Carries out what waits. Whatever arrives while the transaction commits is the next batch.
    private func drain() {
        let (orders, seen) = waiting.withLock { waiting in
            let batch = (
                Array(waiting.orders.prefix(Self.batchMax)), Array(waiting.seen.prefix(Self.batchMax))
            )
            waiting.orders.removeFirst(batch.0.count)
            waiting.seen.removeFirst(batch.1.count)
            return batch
        }
        let now = clock()
        let began = ContinuousClock.now
        let outcome = book.withLock { $0?.carryOut(orders.map(\.order), seen: seen, now: now) }
        guard let outcome else {
            for pending in orders { pending.reply(.unavailable) }
            endDrain()
            return
        }
        metrics.count(
            orders.map(\.order), outcome.results, outcome.events, took: ContinuousClock.now - began, now: now)
        for event in outcome.events { audit(event) }
        let until = now.advanced(byMilliseconds: revocationMemory.load(ordering: .relaxed))
        deliver(outcome.results, to: orders, until: until)
        endDrain(unseen: outcome.unseen)
    }

    private func endDrain(unseen: [Sighting] = []) {
        let isMore = waiting.withLock { waiting in
            // Told once per token, so not lost with a batch; but no reason to try again at once by
            // themselves.
            waiting.isScheduled = !waiting.orders.isEmpty || unseen.isEmpty && !waiting.seen.isEmpty
            waiting.seen += unseen
            return waiting.isScheduled
        }
        if isMore { queue.async { [self] in drain() } }
    }

    /// Answers what is answered, and has signed what has to be.
    private func deliver(_ results: [SessionBook.Result], to orders: [PendingOrder], until: WallTime) {
        var unsigned: [UnsignedReply] = []
        for (pending, result) in zip(orders, results) {
            guard let issue = result.issue else {
                feed.publish(result.revocations, until: until) { pending.reply(result.reply) }
                continue
            }
            let reply = UnsignedReply(issue: issue, pending: pending)
            if result.revocations.isEmpty {
                unsigned.append(reply)
            } else {
                waiting.withLock { $0.unsigned += 1 }
                feed.publish(result.revocations, until: until) { [self] in sign([reply]) }
            }
        }
        if unsigned.isEmpty { return }
        waiting.withLock { $0.unsigned += unsigned.count }
        sign(unsigned)
    }

    private func sign(_ replies: [UnsignedReply]) {
        signing.async { [self] in
            for reply in replies {
                let tokens = signer.withLock { reply.issue.signed(by: $0) }
                reply.pending.reply(.issued(tokens))
            }
            waiting.withLock { $0.unsigned -= replies.count }
        }
    }

    // MARK: - Handing the store over

    /// Carries out what waits and closes the store, so that another process can have it; from then on every
    /// order is answered with `unavailable`.
    ///
    /// - Parameter done: called on the sessions queue.
    package func release(done: @escaping @Sendable () -> Void) {
        queue.async { [self] in
            if waiting.withLock({ !$0.orders.isEmpty }) {
                release(done: done)
                return
            }
            book.withLock { $0 = nil }
            done()
        }
    }

    /// Takes orders again, by a store that is opened anew.
    package func resume(
        refreshKeys: [RefreshKey], policy: SessionPolicy,
        opening open: @Sendable () throws(StoreError) -> sending any SessionStore
    ) throws(StoreError) {
        try book.withLock { book throws(StoreError) in
            book = SessionBook(
                store: try open(), mint: RefreshTokenMint(keys: refreshKeys), policy: policy)
        }
    }

    /// Shows that the queue moves: `done` is called on it.
    package func ping(done: @escaping @Sendable () -> Void) { queue.async(execute: done) }

    // MARK: - Copies

    /// Copies the store into a new file: a step, then whatever else waits on the queue, and so on. The file
    /// may not be on disk yet when the reply says that it is whole.
    private func copyStore(to path: String, reply: @escaping @Sendable (SessionReply) -> Void) {
        queue.async { [self] in
            do throws(StoreError) {
                let isBegun = try book.withLock { book throws(StoreError) in
                    try book?.beginCopy(to: path) ?? false
                }
                isBegun ? continueCopy(reply) : reply(.unavailable)
            } catch {
                endCopy(error, reply)
            }
        }
    }

    private func continueCopy(_ reply: @escaping @Sendable (SessionReply) -> Void) {
        do throws(StoreError) {
            switch try book.withLock({ book throws(StoreError) in try book?.continueCopy() }) {
            case true: reply(.copied)
            case false: queue.async { [self] in continueCopy(reply) }
            case nil: reply(.unavailable)
            }
        } catch {
            endCopy(error, reply)
        }
    }

    private func endCopy(_ error: StoreError, _ reply: @escaping @Sendable (SessionReply) -> Void) {
        book.withLock { $0?.endCopy() }
        metrics.storeErrors.add()
        audit(AuditEvent(.storeFailed, reason: error.detail))
        reply(.unavailable)
    }

    /// More orders than this do not wait: they would time out before their turn.
    private static let ordersMax = 20_000
    /// One transaction's worth.
    private static let batchMax = 256
}

/// First sight of a token on an ordinary request: its client has this generation.
package struct Sighting: Sendable, Hashable {
    package let sid: SessionID
    package let generation: UInt32

    package init(sid: SessionID, generation: UInt32) {
        self.sid = sid
        self.generation = generation
    }
}

/// An answer that is true already, and wants a signature.
private struct UnsignedReply: Sendable {
    let issue: TokenIssue
    let pending: PendingOrder
}

private struct PendingOrder: Sendable {
    let order: SessionOrder
    let reply: @Sendable (SessionReply) -> Void
}
