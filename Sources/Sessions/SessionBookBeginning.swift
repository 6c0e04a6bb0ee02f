// How sessions begin: with a login, or once for a credential of another system.
//
// Owned by: the sessions queue, as the rest of `SessionBook`.

import Primitives

extension SessionBook {
    /// Begins a session with its first token.
    func begin(_ new: NewSession, _ token: RefreshToken, now: WallTime) throws(StoreError) -> Result {
        let epoch = try store.epoch(of: new.subject)
        let finalDeadline = now.advanced(byMilliseconds: policy.maxLifetime)
        let session = Session(
            sid: token.sid, subject: new.subject, claims: new.claims, client: new.client, created: now,
            refreshed: now, idleDeadline: idleDeadline(now, finalDeadline), finalDeadline: finalDeadline,
            generation: 0,
            secretDigest: token.digest(mint.hasher), rotated: now, isConfirmed: false, epoch: epoch,
            ended: nil)
        var result = issued(session, token, epoch, now)
        if let replaced = new.replacing {
            append(try end(replaced, .replaced, now: now), to: &result)
        }
        if let limit = policy.sessionsPerSubject {
            for sid in try store.surplus(of: new.subject, beyond: limit - 1, at: now) {
                append(try end(sid, .limit, now: now), to: &result)
            }
        }
        try store.insert(session)
        result.events.append(
            AuditEvent(.sessionStarted, sid: token.sid, subject: new.subject, address: new.client.address))
        return result
    }

    private func append(_ ended: Result, to result: inout Result) {
        result.revocations += ended.revocations
        result.events += ended.events
    }

    /// Begins the session that a credential is good for. Presented again by a client that has lost the
    /// answer, or by a request beside the one that was answered, it gets the same tokens; later it is worth
    /// nothing, also when the session's row has gone.
    func exchange(
        _ new: NewSession, _ credential: OlderCredential, raceWindow: Int64, now: WallTime
    ) throws(StoreError) -> Result {
        let sid = mint.sid(ofCredential: credential.identity)
        let stored = try store.find(sid)
        let token = mint.first(
            of: sid, credential: credential.identity, fitting: stored?.session.secretDigest)
        guard let stored else {
            if try store.isExchanged(sid) { return refuse(.exchanged, token, new.client) }
            // Whoever ended all sessions of a subject meant those as well that were still to begin.
            if let issued = credential.issued, let ended = try store.sessionsEnded(of: new.subject),
                issued <= ended
            {
                return refuse(.endedWithSubject, token, new.client)
            }
            try store.noteExchanged(sid, until: credential.remembered)
            return try begin(new, token, now: now)
        }
        let session = stored.session
        let age = now.milliseconds - session.rotated.milliseconds
        let isRetry =
            stored.state(at: now) == .live && session.generation == 0
            && session.secretDigest == token.digest(mint.hasher)
            && (!session.isConfirmed || age <= raceWindow)
        guard isRetry, try handOutAgain(session, now: now) else {
            return refuse(.exchanged, token, new.client)
        }
        return issued(session, token, stored.subjectEpoch, now)
    }

    /// Until when a session lives that is refreshed now.
    func idleDeadline(_ now: WallTime, _ finalDeadline: WallTime) -> WallTime {
        min(now.advanced(byMilliseconds: policy.idleLifetime), finalDeadline)
    }
}
