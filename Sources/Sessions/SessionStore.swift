// What the refresh service needs of a store, and no more. SQLite is behind it now; PostgreSQL is to follow,
// tested by the same cases.

package import Crypto
package import Primitives

/// Stores sessions and subjects' epochs. Owned by: the sessions queue; no verb is called from elsewhere.
///
/// All verbs between `beginBatch` and `commitBatch` are one transaction. What `commitBatch` has returned from
/// is on disk. Every verb throws `StoreError` when the store fails, and then the batch is rolled back as a
/// whole.
package protocol SessionStore: AnyObject {
    func beginBatch() throws(StoreError)
    func commitBatch() throws(StoreError)
    /// Gives a failed batch up; harmless when none is open.
    func rollbackBatch()

    /// Adds a session.
    func insert(_ session: Session) throws(StoreError)
    /// A session with what is known of its subject.
    func find(_ sid: SessionID) throws(StoreError) -> StoredSession?
    /// Moves a session from `generation` on, in one conditional step: false when it had ended or stood at
    /// another. The next one may be the same again: then it is only marked as made anew.
    func rotate(_ sid: SessionID, from generation: UInt32, to next: Rotation) throws(StoreError) -> Bool
    /// Gives a session other claims.
    func setClaims(_ sid: SessionID, _ claims: [UInt8]) throws(StoreError)
    /// Marks that the client holds `generation`; nothing happens when the session stands at another.
    func confirm(_ sid: SessionID, generation: UInt32) throws(StoreError)
    /// Replaces what is kept of a session's events.
    func note(_ sid: SessionID, trail: [UInt8]) throws(StoreError)
    /// Ends a live session; nil when it was not there or had ended, with all of its subject's too: a session
    /// has one end, and its first reason stays.
    func end(_ sid: SessionID, _ ending: Session.Ending) throws(StoreError) -> Session?
    /// Raises a subject's epoch; with `endingSessions` all its sessions end but `sparing`, which is spared
    /// only if it is a session of that subject and has not ended. Who asked for it is remembered in the
    /// subject's row. The answer is what `revocations` will tell of it.
    func raiseEpoch(
        of subject: String, endingSessions: Bool, sparing: SessionID?, by reason: EndReason, at now: WallTime
    ) throws(StoreError) -> Revocation

    /// When all sessions of a subject were ended, or something else was revoked after that; nil when they
    /// never were.
    func sessionsEnded(of subject: String) throws(StoreError) -> WallTime?
    /// Remembers that the credential of another system which this session belongs to has been exchanged: for
    /// longer than the session's own row is kept.
    func noteExchanged(_ sid: SessionID, until: WallTime) throws(StoreError)
    /// Whether the credential that this session belongs to has been exchanged.
    func isExchanged(_ sid: SessionID) throws(StoreError) -> Bool

    /// The epoch that new access tokens of a subject carry.
    func epoch(of subject: String) throws(StoreError) -> Int64
    /// The live sessions of a subject but for the newest `count`; at most so many as one order may end.
    func surplus(of subject: String, beyond count: Int, at now: WallTime) throws(StoreError) -> [SessionID]
    /// A subject's sessions, newest first, ended ones included; `nil` lists every subject's.
    func list(subject: String?, limit: Int) throws(StoreError) -> [StoredSession]
    /// What was revoked at or after `since`.
    func revocations(since: WallTime) throws(StoreError) -> [Revocation]
    /// Deletes rows that ended, or passed their idle deadline without being ended, before `before`; at most
    /// `limit`. For the latter it looks at a part of the rows only, the next at each call, so that nobody
    /// notices. How many were deleted. Exchanges that need not be remembered at `now` are forgotten, `limit`
    /// of them at most.
    func purge(before: WallTime, limit: Int, now: WallTime) throws(StoreError) -> Int
}

/// What bounds the work of one order.
package enum SessionLimits {
    /// A limit that was lowered is reached after some logins.
    static let endedAtOnce = 16
}

/// The new state of a rotated session.
package struct Rotation: Sendable {
    package let generation: UInt32
    package let secretDigest: SHA256Digest
    package let at: WallTime
    package let idleDeadline: WallTime
    /// nil leaves the stored description.
    package let client: ClientDescription?
}

/// A store that failed. The detail is for the log; it holds no values.
package struct StoreError: Error, Sendable, CustomStringConvertible {
    /// What the failure means, for whoever decides what to do.
    package enum Kind: Sendable, Equatable {
        /// Passes when room returns, the lock goes, or the disk recovers.
        case unavailable
        /// The file is damaged, no sessions database, or of a newer version: a person must look.
        case unusable
    }

    package let kind: Kind
    package let detail: String

    package init(kind: Kind, detail: String) {
        self.kind = kind
        self.detail = detail
    }

    package var description: String { detail }
}
