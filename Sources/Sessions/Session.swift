// A session as the store keeps it: one row, however often it is refreshed. Nothing in it is a usable token.

package import Crypto
package import Primitives

/// What one login began.
package struct Session: Sendable, Equatable {
    package let sid: SessionID
    package let subject: String
    /// A JSON object that goes into every access token of the session.
    package var claims: [UInt8]
    package var client: ClientDescription
    package let created: WallTime
    package var refreshed: WallTime
    /// Moves with each rotation, up to the final deadline; the session ends when it passes unused.
    package var idleDeadline: WallTime
    /// Fixed at login; nothing passes it.
    package let finalDeadline: WallTime
    /// How often the refresh token has changed.
    package var generation: UInt32
    /// SHA-256 of the current generation's secret.
    package var secretDigest: SHA256Digest
    /// When the current generation was made, or last handed out before its client confirmed it.
    package var rotated: WallTime
    /// Whether the client has shown that it holds the current generation.
    package var isConfirmed: Bool
    /// The subject's epoch when the session began, or was last spared.
    package var epoch: Int64
    package var ended: Ending?
    /// What has happened to it that a person may ask about: see `SessionTrail`.
    package var trail: [UInt8] = []

    /// When and why a session ended.
    package struct Ending: Sendable, Equatable {
        package let at: WallTime
        package let reason: EndReason

        package init(at: WallTime, reason: EndReason) {
            self.at = at
            self.reason = reason
        }
    }

    /// The moment until which a refresh token of the current generation is good.
    package var refreshDeadline: WallTime { min(idleDeadline, finalDeadline) }
}

/// Who holds a session, as the client described itself: for people who read lists, never for decisions.
package struct ClientDescription: Sendable, Equatable {
    package var userAgent: String
    package var address: String
    package var label: String

    /// Overlong texts are cut, and control characters left out: they come from the network, and are read on
    /// terminals.
    package init(userAgent: String, address: String, label: String) {
        self.userAgent = Self.cut(userAgent)
        self.address = Self.cut(address)
        self.label = Self.cut(label)
    }

    /// Counted in scalars: one character can have any number of them.
    private static func cut(_ text: String) -> String {
        var kept = String.UnicodeScalarView()
        kept.append(contentsOf: text.unicodeScalars.lazy.filter { !$0.isControl }.prefix(256))
        return String(kept)
    }
}

/// Why a session ended. The raw value is what rows, logs and `sessions explain` show.
package enum EndReason: String, Sendable, CaseIterable {
    /// Not refreshed within its idle lifetime.
    case idle
    /// Reached its final deadline.
    case age
    /// Its user logged out, or revoked its token.
    case logout
    /// The same client logged in again.
    case replaced
    /// An upstream answered `Session-End`.
    case upstream
    /// The control API ended it.
    case control
    /// A refresh token that had been replaced was presented.
    case replay
    /// The access check at a refresh said that its subject may not come in any more.
    case accessCheck = "access_check"
    /// Its subject began more sessions than one may have.
    case limit
}

/// A session with what its subject's revocations say about it.
package struct StoredSession: Sendable, Equatable {
    package var session: Session
    /// The subject's epoch now: what new access tokens carry.
    package var subjectEpoch: Int64
    /// Sessions of an older epoch ended when this was set.
    package var sessionsEpoch: Int64
    /// What was revoked of the subject as a whole: see `SubjectTrail`.
    package var subjectTrail: [UInt8]

    package init(
        session: Session, subjectEpoch: Int64, sessionsEpoch: Int64, subjectTrail: [UInt8] = []
    ) {
        self.session = session
        self.subjectEpoch = subjectEpoch
        self.sessionsEpoch = sessionsEpoch
        self.subjectTrail = subjectTrail
    }

    /// Whether something has ended it, its deadlines apart.
    var isOver: Bool { session.ended != nil || session.epoch < sessionsEpoch }

    /// Whether the session can still be refreshed at `now`, and if not, why.
    package func state(at now: WallTime) -> SessionState {
        if let ended = session.ended { return .ended(ended.reason) }
        if session.epoch < sessionsEpoch { return .endedWithSubject }
        if now >= session.finalDeadline { return .lapsed(.age) }
        if now >= session.idleDeadline { return .lapsed(.idle) }
        return .live
    }
}

/// What has become of a session.
package enum SessionState: Sendable, Equatable {
    case live
    /// Its row says so.
    case ended(EndReason)
    /// All sessions of the subject were ended by one row.
    case endedWithSubject
    /// A deadline has passed; the row does not say so yet.
    case lapsed(EndReason)
}

extension SessionID {
    /// A new id: 128 random bits.
    package static func random() -> SessionID {
        guard let id = SessionID(bytes: RandomBytes.make(byteCount).span) else {
            preconditionFailure("a session id has 16 bytes")
        }
        return id
    }
}
