// What clients may see and end of their own sessions, and what a back end may learn of a refresh token. A
// refresh token that is presented for this is looked at and nothing else: it is neither rotated nor taken for
// stolen.
//
// Owned by: the sessions queue, as the rest of `SessionBook`.

import Primitives

extension SessionBook {
    /// The session that a refresh token could be exchanged for.
    func inspect(_ token: [UInt8], now: WallTime) throws(StoreError) -> Result {
        switch try session(shownBy: .tokens([token], session: nil), now: now) {
        case .success(let stored): return Result(reply: .sessions([stored]))
        case .failure(let rejection): return Result(reply: .rejected(rejection))
        }
    }

    /// The live sessions of whoever asks.
    func listOwn(_ proof: SessionProof, limit: Int, now: WallTime) throws(StoreError) -> Result {
        switch try session(shownBy: proof, now: now) {
        case .failure(let rejection): return Result(reply: .rejected(rejection))
        case .success(let own):
            // Ended ones are among the rows, and few beside those of somebody who logs in all the time.
            let others = try store.list(subject: own.session.subject, limit: Self.rowsMax).filter {
                $0.session.sid != own.session.sid && $0.state(at: now) == .live
            }
            return Result(reply: .sessions([own] + others.prefix(limit - 1)))
        }
    }

    /// Ends a session of whoever asks. Somebody else's is as unknown as one that never was.
    func endOwn(_ sid: SessionID, _ proof: SessionProof, now: WallTime) throws(StoreError) -> Result {
        switch try session(shownBy: proof, now: now) {
        case .failure(let rejection): return Result(reply: .rejected(rejection))
        case .success(let own):
            guard let found = try store.find(sid), found.state(at: now) == .live,
                // By its bytes: String takes two canonically equivalent names for one.
                found.session.subject.utf8.elementsEqual(own.session.subject.utf8)
            else { return Result(reply: .ended(0)) }
            return try end(sid, .logout, now: now)
        }
    }

    /// The live session that a client shows to hold.
    private func session(
        shownBy proof: SessionProof, now: WallTime
    ) throws(StoreError) -> Swift.Result<StoredSession, RefreshRejection> {
        switch proof {
        case .session(let sid):
            guard let stored = try store.find(sid) else { return .failure(.unknownSession) }
            switch stored.state(at: now) {
            case .live: return .success(stored)
            case .ended(let reason): return .failure(.ended(reason))
            case .endedWithSubject: return .failure(.endedWithSubject)
            case .lapsed(let reason): return .failure(.lapsed(reason))
            }
        case .tokens(let candidates, let session):
            let isLongerForCookies = policy.cookieRaceWindow > policy.bodyRaceWindow
            let presented = PresentedTokens(
                candidates: candidates, session: session, delivery: isLongerForCookies ? .cookie : .body)
            guard let token = try chosen(presented, now: now) else { return .failure(.notGenuine) }
            let stored = try store.find(token.sid)
            switch (decide(stored, token, presented, now: now), stored) {
            case (.rotate, let stored?), (.keep, let stored?), (.repeatChild, let stored?):
                return .success(stored)
            case (.refuse(let rejection), _): return .failure(rejection)
            // A replay ends the session where it asks for tokens, and not here.
            default: return .failure(.unfitting)
            }
        }
    }

    /// How many rows of a subject are looked at.
    private static var rowsMax: Int { 1000 }
}
