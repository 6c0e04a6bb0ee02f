// How refresh tokens are exchanged: which of those presented counts, what it comes to, and the row that
// changes by it, in one conditional step.
//
// Owned by: the sessions queue, as the rest of `SessionBook`.

import JOSE
import Primitives

extension SessionBook {
    /// The genuine candidate that can be exchanged; else the newest. A stale cookie beside the good one is no
    /// theft, and must not be taken for one.
    ///
    /// The session is what the access cookie says, which no other host can set: a refresh cookie that a
    /// neighbouring host has planted must not make of its visitor somebody else.
    func chosen(_ presented: PresentedTokens, now: WallTime) throws(StoreError) -> RefreshToken? {
        var genuine = presented.candidates.compactMap(mint.parse).sorted { $0.generation > $1.generation }
        let meant = genuine.filter { $0.sid == presented.session }
        if !meant.isEmpty { genuine = meant }
        if genuine.count <= 1 { return genuine.first }
        for token in genuine {
            switch decide(try store.find(token.sid), token, presented, now: now) {
            case .rotate, .keep, .repeatChild: return token
            case .endForReplay, .refuse: continue
            }
        }
        return genuine.first
    }

    /// In milliseconds: a browser's parallel requests, each sent here by itself, make one generation and not
    /// a chain of them, whose stragglers would look like theft. Shorter than any access token lives.
    private func keepWindow(_ presented: PresentedTokens) -> Int64? {
        presented.isBounce ? min(10_000, policy.useLifetime / 2) : nil
    }

    func raceWindow(_ delivery: Delivery) -> Int64 {
        delivery == .cookie ? policy.cookieRaceWindow : policy.bodyRaceWindow
    }

    func decide(
        _ stored: StoredSession?, _ token: RefreshToken, _ presented: PresentedTokens, now: WallTime
    ) -> RefreshDecision {
        let child = mint.child(of: token, fitting: stored?.session.secretDigest)
        return RefreshDecision.decide(
            stored: stored, generation: token.generation, digest: token.digest(mint.hasher),
            childDigest: child.digest(mint.hasher), now: now, raceWindow: raceWindow(presented.delivery),
            keepWindow: keepWindow(presented))
    }

    /// Whose session an exchange would be of, where it would make new tokens.
    func examine(_ presented: PresentedTokens, now: WallTime) throws(StoreError) -> Result {
        guard let token = try chosen(presented, now: now), let stored = try store.find(token.sid) else {
            return Result(reply: .examined(nil))
        }
        // A client in a loop does not have an upstream asked in a loop.
        if let seconds = pace.admit(token.sid, isBounce: presented.isBounce, now: now) {
            return Result(reply: .rejected(.tooOften(retryAfterSeconds: seconds)))
        }
        guard decide(stored, token, presented, now: now).makesNew else {
            return Result(reply: .examined(nil))
        }
        return Result(
            reply: .examined(ExaminedSession(sid: token.sid, subject: stored.session.subject)))
    }

    func refresh(
        _ presented: PresentedTokens, _ client: ClientDescription, _ leave: RefreshLeave, now: WallTime
    ) throws(StoreError) -> Result {
        guard let token = try chosen(presented, now: now) else {
            return Result(reply: .rejected(.notGenuine))
        }
        switch leave {
        case .notNeeded:
            if let seconds = pace.admit(token.sid, isBounce: presented.isBounce, now: now) {
                return Result(reply: .rejected(.tooOften(retryAfterSeconds: seconds)))
            }
        // What was granted to one session is no other's, should that one have ended while somebody was asked.
        case .granted(let sid, _) where sid != token.sid: return Result(reply: .unavailable)
        case .granted, .withheld: break
        }
        return try refresh(token, presented, client, leave, now: now)
    }

    private func refresh(
        _ token: RefreshToken, _ presented: PresentedTokens, _ client: ClientDescription,
        _ leave: RefreshLeave, now: WallTime
    ) throws(StoreError) -> Result {
        // The conditional UPDATE decides who rotates. It can only miss when another process has moved the row
        // in between, and then the row is looked at anew.
        for _ in 0..<Self.claimsMax {
            let found = try store.find(token.sid)
            let decision = decide(found, token, presented, now: now)
            guard var stored = found else { return refuse(.unknownSession, token, client) }
            if case .withheld = leave, decision.makesNew { return Result(reply: .unavailable) }
            let child = mint.child(of: token, fitting: stored.session.secretDigest)
            if let claims = leave.claims, decision.isGranted, claims != stored.session.claims {
                try store.setClaims(token.sid, claims)
                stored.session.claims = claims
            }
            switch decision {
            case .rotate(let isAhead):
                let rotation = Rotation(
                    generation: child.generation, secretDigest: child.digest(mint.hasher), at: now,
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
                return handedOut(.kept, issued(stored.session, token, stored.subjectEpoch, now))
            case .repeatChild:
                guard try handOutAgain(stored.session, now: now) else { continue }
                try note(.repeated, stored.session, token, client, now)
                return handedOut(.retry, issued(stored.session, child, stored.subjectEpoch, now))
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

    private func handedOut(_ grant: RefreshOutcome, _ result: Result) -> Result {
        var result = result
        result.grant = grant
        return result
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

    private static var claimsMax: Int { 4 }
}
