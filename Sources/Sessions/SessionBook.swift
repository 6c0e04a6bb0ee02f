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
            let window = delivery == .cookie ? policy.cookieRaceWindow : policy.bodyRaceWindow
            return try exchange(new, mint.first(ofCredential: credential), raceWindow: window, now: now)
        case .refresh(let candidates, let session, let delivery, let client, let isBounce):
            let window = delivery == .cookie ? policy.cookieRaceWindow : policy.bodyRaceWindow
            guard let token = try chosen(candidates, of: session, raceWindow: window, now: now) else {
                return Result(reply: .rejected(.notGenuine))
            }
            return try refresh(
                token, raceWindow: window, keepWindow: isBounce ? bounceKeepWindow : nil, client,
                now: now)
        case .endByTokens(let candidates, let session, let reason):
            return try endByTokens(candidates, session, reason, now: now)
        case .end(let sid, let reason): return try end(sid, reason, now: now)
        case .endSubject(let subject, let spared, let reason):
            return try raise(subject, endingSessions: true, sparing: spared, reason.rawValue, now: now)
        case .expireAccess(let subject):
            return try raise(subject, endingSessions: false, sparing: nil, "access", now: now)
        case .list(let subject, let limit):
            return Result(reply: .sessions(try store.list(subject: subject, limit: limit)))
        case .copy: return Result(reply: .unavailable)
        case .find(let sid):
            return Result(reply: .sessions(try store.find(sid).map { [$0] } ?? []))
        }
    }

    // MARK: - Rotation

    /// The genuine candidate that can be exchanged; else the newest. A stale cookie beside the good one is no
    /// theft, and must not be taken for one.
    ///
    /// - Parameter session: what the access cookie says, which no other host can set: a refresh cookie that a
    ///   neighbouring host has planted must not make of its visitor somebody else.
    private func chosen(
        _ candidates: [[UInt8]], of session: SessionID?, raceWindow: Int64, now: WallTime
    ) throws(StoreError) -> RefreshToken? {
        var genuine = candidates.compactMap(mint.parse).sorted { $0.generation > $1.generation }
        let meant = genuine.filter { $0.sid == session }
        if !meant.isEmpty { genuine = meant }
        if genuine.count <= 1 { return genuine.first }
        for token in genuine {
            let stored = try store.find(token.sid)
            let child = mint.child(of: token, fitting: stored?.session.secretDigest)
            let decision = RefreshDecision.decide(
                stored: stored, generation: token.generation, digest: token.digest(mint.hasher),
                childDigest: child.digest(mint.hasher), now: now, raceWindow: raceWindow)
            switch decision {
            case .rotate, .keep, .repeatChild: return token
            case .endForReplay, .refuse: continue
            }
        }
        return genuine.first
    }

    /// In milliseconds: a browser's parallel requests, each sent here by itself, make one generation and not
    /// a chain of them, whose stragglers would look like theft. Shorter than any access token lives.
    private var bounceKeepWindow: Int64 { min(10_000, policy.useLifetime / 2) }

    private func refresh(
        _ token: RefreshToken, raceWindow: Int64, keepWindow: Int64?, _ client: ClientDescription,
        now: WallTime
    ) throws(StoreError) -> Result {
        // The conditional UPDATE decides who rotates. It can only miss when another process has moved the row
        // in between, and then the row is looked at anew.
        for _ in 0..<Self.claimsMax {
            let stored = try store.find(token.sid)
            let child = mint.child(of: token, fitting: stored?.session.secretDigest)
            let childDigest = child.digest(mint.hasher)
            let decision = RefreshDecision.decide(
                stored: stored, generation: token.generation, digest: token.digest(mint.hasher),
                childDigest: childDigest, now: now, raceWindow: raceWindow, keepWindow: keepWindow)
            guard let stored else { return refuse(.unknownSession, token, client) }
            switch decision {
            case .rotate(let isAhead):
                let rotation = Rotation(
                    generation: child.generation, secretDigest: childDigest, at: now,
                    idleDeadline: idleDeadline(now, stored.session.finalDeadline), client: client)
                guard try store.rotate(token.sid, from: stored.session.generation, to: rotation) else {
                    continue
                }
                if isAhead {
                    try note(.ahead, stored.session, token, client, now)
                } else if client.address != stored.session.client.address {
                    try note(.moved, stored.session, token, client, now)
                }
                return rotated(stored, rotation, child, isAhead: isAhead)
            case .keep:
                try store.confirm(token.sid, generation: token.generation)
                return issued(stored.session, token, stored.subjectEpoch, now)
            case .repeatChild:
                guard try handOutAgain(stored.session, now: now) else { continue }
                try note(.repeated, stored.session, token, client, now)
                return issued(stored.session, child, stored.subjectEpoch, now)
            case .endForReplay: return try endForReplay(stored.session, token, client, now: now)
            case .refuse(.lapsed(let reason)):
                var result = try end(token.sid, reason, now: now)
                result.reply = .rejected(.lapsed(reason))
                return result
            case .refuse(let rejection): return refuse(rejection, token, client)
            }
        }
        return Result(reply: .unavailable)
    }

    /// While the child is unconfirmed, each handing out of it opens the race window anew: a second tab that
    /// asks beside this one may come when the first has confirmed already, however long ago the rotation was.
    func handOutAgain(_ session: Session, now: WallTime) throws(StoreError) -> Bool {
        if session.isConfirmed || session.rotated >= now { return true }
        let again = Rotation(
            generation: session.generation, secretDigest: session.secretDigest, at: now,
            idleDeadline: session.idleDeadline, client: nil)
        return try store.rotate(session.sid, from: session.generation, to: again)
    }

    private func note(
        _ kind: SessionTrail.Kind, _ session: Session, _ token: RefreshToken, _ client: ClientDescription,
        _ now: WallTime
    ) throws(StoreError) {
        let entry = SessionTrail.Entry(
            at: now, kind: kind, generation: token.generation, address: client.address)
        let trail = SessionTrail.adding(entry, to: session.trail)
        if trail != session.trail { try store.note(session.sid, trail: trail) }
    }

    private func rotated(
        _ stored: StoredSession, _ rotation: Rotation, _ child: RefreshToken, isAhead: Bool
    ) -> Result {
        var session = stored.session
        session.idleDeadline = rotation.idleDeadline
        var result = issued(session, child, stored.subjectEpoch, rotation.at)
        if isAhead {
            result.events.append(
                AuditEvent(
                    .storeBehind, sid: session.sid, subject: session.subject,
                    reason: "stored generation \(session.generation)", generation: child.generation - 1))
        }
        return result
    }

    private func endForReplay(
        _ session: Session, _ token: RefreshToken, _ client: ClientDescription, now: WallTime
    ) throws(StoreError) -> Result {
        try note(.replay, session, token, client, now)
        var result = try end(session.sid, .replay, now: now)
        result.reply = .rejected(.replayed)
        result.events.append(
            AuditEvent(
                .refreshTokenReused, sid: session.sid, subject: session.subject,
                reason: "stored generation \(session.generation)", generation: token.generation,
                address: client.address))
        return result
    }

    func refuse(
        _ rejection: RefreshRejection, _ token: RefreshToken, _ client: ClientDescription
    ) -> Result {
        let event = AuditEvent(
            .refreshRejected, sid: token.sid, reason: rejection.code, generation: token.generation,
            address: client.address)
        return Result(reply: .rejected(rejection), events: [event])
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
        _ subject: String, endingSessions: Bool, sparing spared: SessionID?, _ reason: String, now: WallTime
    ) throws(StoreError) -> Result {
        let revocation = try store.raiseEpoch(
            of: subject, endingSessions: endingSessions, sparing: spared, at: now)
        let kind: AuditEvent.Kind = endingSessions ? .subjectSessionsEnded : .subjectAccessExpired
        return Result(
            reply: .ended(1), revocations: [revocation],
            events: [AuditEvent(kind, sid: spared, subject: subject, reason: reason)])
    }

    /// Rows of sessions that ended long ago go a few at a time, within transactions that are made anyway.
    private func purgeNowAndThen(_ now: WallTime) throws(StoreError) {
        if now < nextPurge { return }
        // Set first: a purge that fails takes one batch with it, not every one.
        nextPurge = now.advanced(byMilliseconds: 1000)
        // An ended row is also the revocation that a restart has to find.
        let retention = max(Self.retentionMilliseconds, policy.revocationMemory)
        let before = now.advanced(byMilliseconds: -retention)
        let purged = try store.purge(before: before, limit: Self.purgeRows)
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

    private static let claimsMax = 4
    /// How long "why was I logged out?" has an answer.
    private static let retentionMilliseconds: Int64 = 7 * 86_400_000
    private static let purgeRows = 50
}
