// Carries orders out against the store: the part of the refresh service that is plain code on one queue, with
// time passed in. A batch is one transaction; when it fails, nothing of it has happened, and each order is
// tried alone so that one that cannot succeed does not take the others with it.
//
// Owned by: the sessions queue (inside `RefreshService`).

import Crypto
import Primitives

/// Sessions, and how they begin, rotate and end.
final class SessionBook {
    let store: any SessionStore
    var mint: RefreshTokenMint
    var policy: SessionPolicy
    var pace = SessionPace()
    /// The copy that is being made.
    var copy: (any SessionCopy)?
    private var nextPurge = WallTime(milliseconds: 0)

    init(store: any SessionStore, mint: RefreshTokenMint, policy: SessionPolicy) {
        self.store = store
        self.mint = mint
        self.policy = policy
    }

    /// What one order came to.
    struct Result {
        var reply: SessionReply
        /// The answer in place of `reply`, once it is signed.
        var issue: TokenIssue?
        /// How a refresh came by it.
        var grant = RefreshOutcome.granted
        var revocations: [Revocation] = []
        var events: [AuditEvent] = []
    }

    func revocations(since: WallTime) throws(StoreError) -> [Revocation] {
        try store.revocations(since: since)
    }

    /// Carries a batch out; one result for each order, in their order, and the sightings that could not be
    /// written down.
    func carryOut(
        _ orders: [SessionOrder], seen: [Sighting], now: WallTime
    ) -> (results: [Result], events: [AuditEvent], unseen: [Sighting]) {
        let results: [Result]
        var events: [AuditEvent] = []
        var unseen: [Sighting] = []
        do throws(StoreError) {
            results = try transaction(orders, seen: seen, now: now)
        } catch {
            store.rollbackBatch()
            events.append(AuditEvent(.storeFailed, reason: error.detail))
            if orders.count <= 1 {
                results = orders.map { _ in Result(reply: .unavailable) }
            } else {
                results = orders.map { alone($0, now: now) }
            }
            if !confirm(seen, now: now) { unseen = seen }
        }
        for result in results { events += result.events }
        return (results, events, unseen)
    }

    private func confirm(_ seen: [Sighting], now: WallTime) -> Bool {
        if seen.isEmpty { return true }
        do throws(StoreError) {
            _ = try transaction([], seen: seen, now: now)
            return true
        } catch {
            store.rollbackBatch()
            return false
        }
    }

    private func alone(_ order: SessionOrder, now: WallTime) -> Result {
        do throws(StoreError) {
            return try transaction([order], seen: [], now: now)[0]
        } catch {
            store.rollbackBatch()
            return Result(reply: .unavailable)
        }
    }

    private func transaction(
        _ orders: [SessionOrder], seen: [Sighting], now: WallTime
    ) throws(StoreError) -> [Result] {
        var results: [Result] = []
        results.reserveCapacity(orders.count)
        try store.beginBatch()
        // Sightings first: they are older than the orders beside them.
        for sighting in seen { try store.confirm(sighting.sid, generation: sighting.generation) }
        for order in orders {
            results.append(try carryOut(order, now: now))
        }
        try purgeNowAndThen(now)
        try store.commitBatch()
        return results
    }

    private func carryOut(_ order: SessionOrder, now: WallTime) throws(StoreError) -> Result {
        switch order {
        case .begin(let new): return try begin(new, mint.first(of: .random()), now: now)
        case .exchange(let new, let credential, let delivery):
            return try exchange(new, credential, raceWindow: raceWindow(delivery), now: now)
        case .refresh(let presented, let client, let leave):
            return try refresh(presented, client, leave, now: now)
        case .examine(let presented): return try examine(presented, now: now)
        case .endByTokens(let candidates, let session, let reason):
            return try endByTokens(candidates, session, reason, now: now)
        case .end(let sid, let reason): return try end(sid, reason, now: now)
        case .endSubject(let subject, let spared, let reason):
            return try raise(subject, endingSessions: true, sparing: spared, reason, now: now)
        case .expireAccess(let subject, let reason):
            return try raise(subject, endingSessions: false, sparing: nil, reason, now: now)
        case .list(let subject, let limit):
            return Result(reply: .sessions(try store.list(subject: subject, limit: limit)))
        case .copy: return Result(reply: .unavailable)
        case .find(let sid):
            return Result(reply: .sessions(try store.find(sid).map { [$0] } ?? []))
        case .inspect(let token): return try inspect(token, now: now)
        case .listOwn(let proof, let limit): return try listOwn(proof, limit: limit, now: now)
        case .endOwn(let sid, let proof): return try endOwn(sid, proof, now: now)
        }
    }

    // MARK: - Ending

    private func endByTokens(
        _ candidates: [[UInt8]], _ session: SessionID?, _ reason: EndReason, now: WallTime
    ) throws(StoreError) -> Result {
        var sids = Set(candidates.compactMap { mint.parse($0)?.sid })
        if let session { sids.insert(session) }
        if sids.isEmpty { return Result(reply: .rejected(.notGenuine)) }
        var all = Result(reply: .ended(0))
        for sid in sids {
            let one = try end(sid, reason, now: now)
            all.revocations += one.revocations
            all.events += one.events
        }
        all.reply = .ended(all.revocations.count)
        return all
    }

    func end(_ sid: SessionID, _ reason: EndReason, now: WallTime) throws(StoreError) -> Result {
        guard let session = try store.end(sid, Session.Ending(at: now, reason: reason)) else {
            return Result(reply: .ended(0))
        }
        return Result(
            reply: .ended(1), revocations: [Revocation(scope: .session(sid), at: now)],
            events: [AuditEvent(.sessionEnded, sid: sid, subject: session.subject, reason: reason.rawValue)])
    }

    private func raise(
        _ subject: String, endingSessions: Bool, sparing spared: SessionID?, _ reason: EndReason,
        now: WallTime
    ) throws(StoreError) -> Result {
        let revocation = try store.raiseEpoch(
            of: subject, endingSessions: endingSessions, sparing: spared, by: reason, at: now)
        let kind: AuditEvent.Kind = endingSessions ? .subjectSessionsEnded : .subjectAccessExpired
        let word = endingSessions ? reason.rawValue : "access"
        return Result(
            reply: .ended(1), revocations: [revocation],
            events: [AuditEvent(kind, sid: spared, subject: subject, reason: word)])
    }

    /// Rows of sessions that ended long ago go a few at a time, within transactions that are made anyway.
    private func purgeNowAndThen(_ now: WallTime) throws(StoreError) {
        if now < nextPurge { return }
        // Set first: a purge that fails takes one batch with it, not every one.
        nextPurge = now.advanced(byMilliseconds: 1000)
        // An ended row is also the revocation that a restart has to find.
        let retention = max(Self.retentionMilliseconds, policy.revocationMemory)
        let before = now.advanced(byMilliseconds: -retention)
        let purged = try store.purge(before: before, limit: Self.purgeRows, now: now)
        if purged == Self.purgeRows { nextPurge = now.advanced(byMilliseconds: 100) }
    }

    // MARK: - Issuing

    /// The token is signed after the commit, so that no lock is held for it.
    func issued(_ session: Session, _ token: RefreshToken, _ epoch: Int64, _ now: WallTime) -> Result {
        let issue = TokenIssue(
            session: session, generation: token.generation, refreshToken: mint.text(token), epoch: epoch,
            policy: policy, now: now)
        return Result(reply: .unavailable, issue: issue)
    }

    /// How long "why was I logged out?" has an answer.
    private static let retentionMilliseconds: Int64 = 7 * 86_400_000
    private static let purgeRows = 50
}
