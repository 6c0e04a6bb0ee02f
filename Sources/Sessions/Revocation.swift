// Revocations as shards hold them: enough to refuse, without any I/O, an access token that is valid by
// cryptography alone. Only those that can still matter are held, those younger than an access token can be
// old.

package import JOSE
package import Primitives

/// One revocation.
package struct Revocation: Sendable, Equatable {
    package enum Scope: Sendable, Equatable {
        /// Every token of this session.
        case session(SessionID)
        /// Every token of this subject with an older epoch, unless it belongs to the spared session.
        case subject(String, epoch: Int64, sparing: Spared?)
    }

    /// The one session that the end of a subject's sessions leaves alone.
    package struct Spared: Sendable, Equatable {
        package let sid: SessionID
        /// Its tokens of older epochs were revoked earlier, and stay so.
        package let oldestEpoch: Int64

        package init(sid: SessionID, oldestEpoch: Int64) {
            self.sid = sid
            self.oldestEpoch = oldestEpoch
        }
    }

    package let scope: Scope
    package let at: WallTime

    package init(scope: Scope, at: WallTime) {
        self.scope = scope
        self.at = at
    }
}

/// A shard's replica of the revocations in force. Owned by: one shard.
package struct RevocationTable {
    /// How long a revocation is held: until both clocks say that no token can meet it any more. By the wall
    /// clock alone it would be forgotten when that is set ahead, and its tokens be good again when it is set
    /// back.
    private struct Term {
        var until: WallTime
        var heldUntil: MonotonicInstant

        func joined(_ other: Term?) -> Term {
            guard let other else { return self }
            return Term(until: max(until, other.until), heldUntil: max(heldUntil, other.heldUntil))
        }

        func holds(_ now: WallTime, _ instant: MonotonicInstant) -> Bool {
            until > now || heldUntil > instant
        }
    }

    private struct SubjectEntry {
        var epoch: Int64
        var spared: Revocation.Spared?
        var term: Term
    }

    private var sessions: [SessionID: Term] = [:]
    /// By the bytes of the name: String takes two canonically equivalent spellings for one, the store does
    /// not.
    private var subjects: [[UInt8]: SubjectEntry] = [:]
    private var nextSweep = MonotonicInstant(milliseconds: .min)

    package init() {}

    /// How many revocations are held.
    package var count: Int { sessions.count + subjects.count }

    /// Takes a revocation in.
    ///
    /// - Parameters:
    ///   - until: when the last token that it can concern has expired.
    ///   - heldUntil: the same by the clock that nobody sets.
    package mutating func apply(_ revocation: Revocation, until: WallTime, heldUntil: MonotonicInstant) {
        let term = Term(until: until, heldUntil: heldUntil)
        switch revocation.scope {
        case .session(let sid): sessions[sid] = term.joined(sessions[sid])
        case .subject(let subject, let epoch, let spared):
            let subject = Array(subject.utf8)
            let known = subjects[subject]
            // Deltas of one subject come in order; an older one never lowers the bar.
            if let known, known.epoch > epoch { return }
            subjects[subject] = SubjectEntry(epoch: epoch, spared: spared, term: term.joined(known?.term))
        }
    }

    /// Whether a token is revoked, and by what.
    package func refusal(of token: VerifiedToken) -> TokenRejection? {
        if let sid = token.sessionID, !sessions.isEmpty, sessions[sid] != nil { return .sessionEnded }
        if !subjects.isEmpty, let entry = subjects[token.subjectBytes], token.epoch < entry.epoch {
            if let spared = entry.spared, spared.sid == token.sessionID, token.epoch >= spared.oldestEpoch {
                return nil
            }
            return .revoked
        }
        return nil
    }

    /// Forgets what can no longer matter. Cheap when called often: it looks only once a minute.
    package mutating func sweep(_ now: WallTime, _ instant: MonotonicInstant) {
        if instant < nextSweep { return }
        nextSweep = instant.advanced(byMilliseconds: 60_000)
        sessions = sessions.filter { $0.value.holds(now, instant) }
        subjects = subjects.filter { $0.value.term.holds(now, instant) }
    }
}
