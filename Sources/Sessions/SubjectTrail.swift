// What has been revoked of a subject as a whole, when, and who asked for it, so that a session that ended by
// its subject can tell the same as one that ended by itself: the last few times, oldest first, in the
// subject's own row. That row stays anyway, for the sake of its epoch, so there is nothing here to purge. One
// line for each:
//
//     MILLISECONDS WHAT REASON SESSIONS-EPOCH EPOCH

package import Primitives

/// The last revocations of a subject.
package enum SubjectTrail {
    package enum What: String, Sendable {
        /// All its sessions ended.
        case subject
        /// All its sessions ended but one.
        case others
        /// Its access tokens were no longer good, its sessions were.
        case access
    }

    package struct Entry: Sendable, Equatable {
        package let at: WallTime
        package let what: What
        /// Who asked for it.
        package let reason: EndReason
        /// Sessions of an older epoch had ended before.
        package let sessionsEpoch: Int64
        /// What the subject's epoch was raised to: sessions of an older one were concerned.
        package let epoch: Int64

        package init(at: WallTime, what: What, reason: EndReason, sessionsEpoch: Int64, epoch: Int64) {
            self.at = at
            self.what = what
            self.reason = reason
            self.sessionsEpoch = sessionsEpoch
            self.epoch = epoch
        }

        fileprivate var line: String {
            "\(at.milliseconds) \(what.rawValue) \(reason.rawValue) \(sessionsEpoch) \(epoch)\n"
        }
    }

    /// The trail with one more entry, and without the oldest of too many: roles change often, and what that
    /// did to access tokens is the first to go.
    package static func adding(_ entry: Entry, to trail: [UInt8]) -> [UInt8] {
        var known = entries(trail)
        known.append(entry)
        if known.count > entriesMax { known.remove(at: known.firstIndex { $0.what == .access } ?? 0) }
        return known.flatMap { Array($0.line.utf8) }
    }

    /// The entries; a line that is none of ours is passed over.
    package static func entries(_ trail: [UInt8]) -> [Entry] {
        trail.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let words = String(decoding: line, as: UTF8.self).split(
                separator: " ", omittingEmptySubsequences: false)
            guard words.count == 5, let at = Int64(words[0]), let what = What(rawValue: String(words[1])),
                let reason = EndReason(rawValue: String(words[2])), let sessionsEpoch = Int64(words[3]),
                let epoch = Int64(words[4])
            else { return nil }
            return Entry(
                at: WallTime(milliseconds: at), what: what, reason: reason, sessionsEpoch: sessionsEpoch,
                epoch: epoch)
        }
    }

    private static let entriesMax = 8
}

extension StoredSession {
    /// What ended it with the others of its subject; nil where nothing did, or that is too long ago to be
    /// known.
    package var subjectEnding: SubjectTrail.Entry? {
        SubjectTrail.entries(subjectTrail).first { entry in
            entry.what != .access && entry.sessionsEpoch <= session.epoch && session.epoch < entry.epoch
        }
    }

    /// When its access tokens were no longer good while it lived.
    package var accessExpiries: [SubjectTrail.Entry] {
        let ended = session.ended?.at ?? subjectEnding?.at
        return SubjectTrail.entries(subjectTrail).filter { entry in
            entry.what == .access && session.created <= entry.at && ended.map { entry.at <= $0 } ?? true
        }
    }
}
