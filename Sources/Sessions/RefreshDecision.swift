// The heart of rotation, as a pure function: a stored row, a genuine token and the time go in, the verdict
// comes out. PRODUCT calls the cases current, retry, ahead, replay and garbage; each is one branch here.

import Crypto
import Primitives

/// What is to be done about a presented refresh token.
enum RefreshDecision: Equatable {
    /// Current, or ahead of a store that has lost commits: make the next generation.
    case rotate(isAhead: Bool)
    /// Current, and so young that a request beside this one has just made it: hand it out as it is, with a
    /// new access token.
    case keep
    /// A lost response or a second tab: hand out the same child again.
    case repeatChild
    /// An older generation, or a retry that came too late: a thief or a victim holds it. The session ends.
    case endForReplay
    /// Nothing changes, but for a deadline that has passed and is now written down.
    case refuse(RefreshRejection)

    /// Whether tokens are handed out that the client may not have had yet.
    var makesNew: Bool {
        switch self {
        case .rotate, .repeatChild: true
        case .keep, .endForReplay, .refuse: false
        }
    }

    /// Whether tokens are handed out.
    var isGranted: Bool {
        switch self {
        case .rotate, .keep, .repeatChild: true
        case .endForReplay, .refuse: false
        }
    }

    /// - Parameters:
    ///   - stored: the session's row; nil when there is none.
    ///   - generation: of the presented token, whose tag has been checked.
    ///   - digest: of its secret.
    ///   - childDigest: of its child's secret.
    ///   - raceWindow: how long a retry is believed after the child has been confirmed, in milliseconds.
    ///   - keepWindow: how young a current token must be to be kept, in milliseconds; nil rotates always.
    static func decide(
        stored: StoredSession?, generation: UInt32, digest: SHA256Digest, childDigest: SHA256Digest,
        now: WallTime, raceWindow: Int64, keepWindow: Int64? = nil
    ) -> RefreshDecision {
        guard let stored else { return .refuse(.unknownSession) }
        switch stored.state(at: now) {
        case .live: break
        case .ended(let reason): return .refuse(.ended(reason))
        case .endedWithSubject: return .refuse(.endedWithSubject)
        case .lapsed(let reason): return .refuse(.lapsed(reason))
        }
        let session = stored.session
        if generation > session.generation { return .rotate(isAhead: true) }
        if generation == session.generation {
            if digest != session.secretDigest { return .refuse(.unfitting) }
            let age = now.milliseconds - session.rotated.milliseconds
            if let keepWindow, (0..<keepWindow).contains(age) { return .keep }
            return .rotate(isAhead: false)
        }
        if generation == session.generation - 1 {
            if childDigest != session.secretDigest { return .refuse(.unfitting) }
            let age = now.milliseconds - session.rotated.milliseconds
            // A clock that was set back makes the age negative: no reason to end a session.
            return !session.isConfirmed || age <= raceWindow ? .repeatChild : .endForReplay
        }
        return .endForReplay
    }
}

/// Why a refresh token was not exchanged.
package enum RefreshRejection: Error, Sendable, Equatable {
    /// Not issued by this gateway.
    case notGenuine
    /// Genuine, but no such session is stored.
    case unknownSession
    /// Genuine, but of another history than the stored one.
    case unfitting
    case ended(EndReason)
    case endedWithSubject
    /// Ended at this moment, by a deadline.
    case lapsed(EndReason)
    /// Ended at this moment: the token had been replaced.
    case replayed
    /// A credential of another system that has been exchanged before.
    case exchanged
    /// Genuine, and presented by a client that asks too often; nothing changes.
    case tooOften(retryAfterSeconds: Int64)

    /// A word for logs, metrics and the answer's `code`.
    package var code: String {
        switch self {
        case .notGenuine, .unknownSession, .unfitting: "refresh_token_invalid"
        case .ended, .endedWithSubject: "session_ended"
        case .lapsed: "session_expired"
        case .replayed: "refresh_token_reused"
        case .exchanged: "credential_exchanged"
        case .tooOften: "rate_limited"
        }
    }

    /// Whether the token was genuine and its session is over: then, and only then, cookies are cleared.
    package var isSessionOver: Bool {
        switch self {
        // An unknown session may be one that a restored backup has lost: nobody knows that it is over.
        case .notGenuine, .unfitting, .unknownSession, .exchanged, .tooOften: false
        case .ended, .endedWithSubject, .lapsed, .replayed: true
        }
    }
}
