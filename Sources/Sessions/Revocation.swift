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
    private struct SubjectEntry {
        var epoch: Int64
        var spared: Revocation.Spared?
        var until: WallTime
    }

    private var sessions: [SessionID: WallTime] = [:]
    /// By the bytes of the name: String takes two canonically equivalent spellings for one, the store does
    /// not.
    private var subjects: [[UInt8]: SubjectEntry] = [:]
    private var nextSweep = WallTime(milliseconds: 0)

    package init() {}

    /// How many revocations are held.
    package var count: Int { sessions.count + subjects.count }

    /// Takes a revocation in.
    ///
    /// - Parameter until: when the last token that it can concern has expired.
    package mutating func apply(_ revocation: Revocation, until: WallTime) {
        switch revocation.scope {
        case .session(let sid): sessions[sid] = max(until, sessions[sid] ?? until)
        case .subject(let subject, let epoch, let spared):
            let subject = Array(subject.utf8)
            let known = subjects[subject]
            // Deltas of one subject come in order; an older one never lowers the bar.
            if let known, known.epoch > epoch { return }
            subjects[subject] = SubjectEntry(
                epoch: epoch, spared: spared, until: max(until, known?.until ?? until))
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
    package mutating func sweep(_ now: WallTime) {
        if now < nextSweep { return }
        nextSweep = now.advanced(byMilliseconds: 60_000)
        sessions = sessions.filter { $0.value > now }
        subjects = subjects.filter { $0.value.until > now }
    }
}
