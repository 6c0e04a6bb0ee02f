// What may be asked of the refresh service, what it answers, and what it tells the audit log.

package import Primitives

/// How tokens travel to a client.
package enum Delivery: String, Sendable {
    case cookie, body
}

/// A request to the refresh service.
package enum SessionOrder: Sendable {
    /// Begin a session. Answered by `issued`.
    case begin(NewSession)
    /// Exchange a refresh token. Answered by `issued` or `rejected`.
    case refresh(PresentedTokens, client: ClientDescription, leave: RefreshLeave = .notNeeded)
    /// Say whose session the exchange would be of. Changes nothing. Answered by `examined`, or `rejected`
    /// when it is asked too often.
    case examine(PresentedTokens)
    /// Begin a session for a credential of another system, which is good for one session: presented again
    /// before the client is known to have that session's tokens, or a moment later, it gets the same ones.
    /// Answered by `issued` or `rejected`.
    case exchange(NewSession, OlderCredential, delivery: Delivery)
    /// End the sessions of these refresh tokens, whatever their generations, and a session known otherwise.
    /// Answered by `ended`, or `rejected` when nothing that was presented is genuine.
    case endByTokens(candidates: [[UInt8]], session: SessionID?, reason: EndReason)
    /// End a session. Answered by `ended`.
    case end(SessionID, reason: EndReason)
    /// End all sessions of a subject but one. Answered by `ended`.
    case endSubject(String, sparing: SessionID?, reason: EndReason)
    /// Make the access tokens of a subject invalid, not its sessions. Answered by `ended`.
    case expireAccess(String, reason: EndReason)
    /// List sessions, newest first; nil for every subject. Answered by `sessions`.
    case list(subject: String?, limit: Int)
    /// Copy the store into a new file, beside all else. Answered by `copied`.
    case copy(to: String)
    /// Look one session up. Answered by `sessions`, with one or none.
    case find(SessionID)
    /// Look the session up that a refresh token could be exchanged for, and leave no trace. Answered by
    /// `sessions`, with one, or `rejected`.
    case inspect(token: [UInt8])
    /// List the live sessions of whoever asks, the asking one first, then the newest. Answered by `sessions`,
    /// or `rejected`.
    case listOwn(SessionProof, limit: Int)
    /// End a session of whoever asks. Answered by `ended`, with 0 also when it is somebody else's, or
    /// `rejected`.
    case endOwn(SessionID, SessionProof)
}

/// What shows whose sessions a client may see and end.
package enum SessionProof: Sendable {
    /// An access token of this session, which has been checked.
    case session(SessionID)
    /// Refresh tokens, of which several are cookies of one name: with those of `session` preferred.
    case tokens([[UInt8]], session: SessionID?)
}

extension SessionOrder {
    /// Exchange the one refresh token that was presented.
    package static func refresh(
        token: [UInt8], delivery: Delivery, client: ClientDescription
    ) -> SessionOrder {
        .refresh(PresentedTokens(candidates: [token], delivery: delivery), client: client)
    }

    /// End the session of the one refresh token that was presented.
    package static func endByToken(token: [UInt8], reason: EndReason) -> SessionOrder {
        .endByTokens(candidates: [token], session: nil, reason: reason)
    }
}

/// The refresh tokens of one request. Several are cookies of one name, of which all but one are stale.
package struct PresentedTokens: Sendable {
    /// The one that can be exchanged is.
    package var candidates: [[UInt8]]
    /// Of those of this session, where there are any.
    package var session: SessionID?
    package var delivery: Delivery
    /// A browser was sent here by one of its requests, and as likely as not by twenty at a time.
    package var isBounce: Bool

    package init(
        candidates: [[UInt8]], session: SessionID? = nil, delivery: Delivery, isBounce: Bool = false
    ) {
        self.candidates = candidates
        self.session = session
        self.delivery = delivery
        self.isBounce = isBounce
    }
}

/// A session that a refresh token can be exchanged in.
package struct ExaminedSession: Sendable, Equatable {
    package let sid: SessionID
    package let subject: String
}

/// What a login asks for.
package struct NewSession: Sendable {
    package var subject: String
    /// A checked JSON object; `{}` for none.
    package var claims: [UInt8]
    package var client: ClientDescription
    /// The session that the same client held so far: it ends.
    package var replacing: SessionID?

    package init(subject: String, claims: [UInt8], client: ClientDescription, replacing: SessionID?) {
        self.subject = subject
        self.claims = claims
        self.client = client
        self.replacing = replacing
    }
}

/// A credential of another system that a session is begun for, once.
package struct OlderCredential: Sendable {
    /// What tells it from every other, however it is spelled. Stored nowhere.
    package var identity: [UInt8]
    /// When it was issued; nil where its own system has vouched for it at this moment. Those of before the
    /// subject's sessions were last ended are over with them.
    package var issued: WallTime?
    /// Until when nobody may forget that it has been exchanged.
    package var remembered: WallTime

    package init(identity: [UInt8], issued: WallTime?, remembered: WallTime) {
        self.identity = identity
        self.issued = issued
        self.remembered = remembered
    }
}

/// The answer to an order. It is given when it is true: what it says is on disk, and in force on every shard.
package enum SessionReply: Sendable {
    case issued(IssuedTokens)
    case rejected(RefreshRejection)
    /// How many revocations the order made: 0 when there was nothing to end.
    case ended(Int)
    case sessions([StoredSession])
    /// nil: an exchange would be refused, or would make nothing new.
    case examined(ExaminedSession?)
    /// The copy of the store is whole.
    case copied
    /// The store cannot do it now. Nothing has changed; the token stays good.
    case unavailable
}

/// Whether a session may be given new tokens.
package enum RefreshLeave: Sendable {
    /// Nobody is to be asked.
    case notNeeded
    /// Somebody was asked, and grants it to this session; `claims` take the place of the session's.
    case granted(SessionID, claims: [UInt8]?)
    /// Nobody was asked, since nothing new would have been made; should it be otherwise by now, it is not.
    case withheld

    var claims: [UInt8]? { if case .granted(_, let claims) = self { claims } else { nil } }
}

/// A token pair. It prints as nothing: these are secrets.
package struct IssuedTokens: Sendable, CustomStringConvertible, CustomReflectable {
    package let sid: SessionID
    package let subject: String
    package let accessToken: [UInt8]
    /// Empty where the access token is the refresh token as well.
    package let refreshToken: String
    /// Seconds until the access token expires.
    package let accessSeconds: Int64
    /// Seconds until the refresh token expires unless it is used.
    package let refreshSeconds: Int64

    package var description: String { "tokens of a session" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Something that happened to a session, for the audit log. Never holds a token.
package struct AuditEvent: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case sessionStarted = "session_started"
        case sessionEnded = "session_ended"
        case subjectSessionsEnded = "subject_sessions_ended"
        case subjectAccessExpired = "subject_access_expired"
        case refreshTokenReused = "refresh_token_reused"
        case refreshRejected = "refresh_rejected"
        case storeBehind = "store_behind"
        case storeFailed = "store_failed"
    }

    package let kind: Kind
    package var sid: SessionID?
    package var subject: String?
    package var reason: String?
    package var generation: UInt32?
    package var address: String?

    package init(
        _ kind: Kind, sid: SessionID? = nil, subject: String? = nil, reason: String? = nil,
        generation: UInt32? = nil, address: String? = nil
    ) {
        self.kind = kind
        self.sid = sid
        self.subject = subject
        self.reason = reason
        self.generation = generation
        self.address = address
    }
}

/// The rules that sessions and their tokens follow. Durations are milliseconds.
package struct SessionPolicy: Sendable {
    package var issuer: String
    package var audience: String
    package var accessLifetime: Int64
    package var leeway: Int64
    package var idleLifetime: Int64
    package var maxLifetime: Int64
    package var cookieRaceWindow: Int64
    package var bodyRaceWindow: Int64
    package var style: TokenStyle
    /// By up to how much of its lifetime a token is shortened, in percent.
    package var jitterPercent: Int64
    /// How many sessions a subject may have; nil is no limit.
    package var sessionsPerSubject: Int?

    package init(
        issuer: String, audience: String, accessLifetime: Int64, leeway: Int64, idleLifetime: Int64,
        maxLifetime: Int64, cookieRaceWindow: Int64, bodyRaceWindow: Int64,
        style: TokenStyle = .opaqueRefresh, jitterPercent: Int64 = 0, sessionsPerSubject: Int? = nil
    ) {
        self.issuer = issuer
        self.audience = audience
        self.accessLifetime = accessLifetime
        self.leeway = leeway
        self.idleLifetime = idleLifetime
        self.maxLifetime = maxLifetime
        self.cookieRaceWindow = cookieRaceWindow
        self.bodyRaceWindow = bodyRaceWindow
        self.style = style
        self.jitterPercent = jitterPercent
        self.sessionsPerSubject = sessionsPerSubject
    }

    /// How long a token is good for requests.
    package var useLifetime: Int64 {
        if case .single(_, let useLifetime) = style { useLifetime } else { accessLifetime }
    }

    /// How long after a revocation a token that it concerns may still be presented.
    package var revocationMemory: Int64 { useLifetime + leeway }
}
