// What the refresh service counts: what became of orders, and how the store fares. Numbers only, and never of
// a single session or subject.
//
// Owned by: the sessions queue, which counts; anybody may read. What is turned away before it gets there is
// counted under the lock of the list that it did not get into.

package import Observability
package import Primitives

/// What became of a refresh.
package enum RefreshOutcome: String, Sendable, CaseIterable {
    /// A new generation.
    case granted
    /// The current one again: it was seconds old.
    case kept
    /// The child again, for a lost answer or a second tab.
    case retry
    /// A token that had been replaced: the session ended.
    case reused
    /// A deadline had passed.
    case expired
    /// The session had ended.
    case ended
    /// Genuine, and of no session that is stored.
    case unknown
    /// Not one of ours.
    case malformed
    /// The session's clients ask too often.
    case rateLimited = "rate_limited"
    /// The store could not do it; the token stays good.
    case unavailable
}

/// What became of the beginning of a session.
package enum LoginOutcome: String, Sendable, CaseIterable {
    case begun
    /// For a credential of another system.
    case exchanged
    case refused, unavailable
}

/// What was revoked.
package enum RevocationKind: String, Sendable, CaseIterable {
    case session
    /// All sessions of a subject.
    case subject
    /// The access tokens of a subject, not its sessions.
    case access
}

/// The numbers of the refresh service.
package final class SessionMetrics: Sendable {
    package let refreshes = Tally<RefreshOutcome>()
    package let logins = Tally<LoginOutcome>()
    package let revocations = Tally<RevocationKind>()
    package let ends = Tally<EndReason>()
    /// How long transactions took, from their first statement until they were on disk.
    package let transactions = Histogram()
    package let storeErrors = Counter()
    /// Orders that found too many others waiting.
    let turnedAway = Counter()
    /// Since when every transaction has failed, and when the last one did, in milliseconds since 1970; 0
    /// while they succeed.
    private let failingSince = Counter()
    private let failedLast = Counter()

    /// Takes a batch down.
    func count(
        _ orders: [SessionOrder], _ results: [SessionBook.Result], _ events: [AuditEvent],
        took duration: Duration, now: WallTime
    ) {
        let (seconds, attoseconds) = duration.components
        transactions.observe(microseconds: seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
        for (order, result) in zip(orders, results) { count(order, result) }
        for event in events { count(event) }
        // Only what has been written shows that the store can write: a refusal needs no more than to read.
        if results.contains(where: \.hasWritten) {
            failingSince.set(0)
        } else if events.contains(where: { $0.kind == .storeFailed }) {
            let milliseconds = UInt64(max(1, now.milliseconds))
            if failingSince.value == 0 { failingSince.set(milliseconds) }
            failedLast.set(milliseconds)
        }
    }

    private func count(_ order: SessionOrder, _ result: SessionBook.Result) {
        switch order {
        case .refresh: refreshes.add(result.refreshOutcome)
        case .begin: logins.add(result.isUnavailable ? .unavailable : .begun)
        case .exchange:
            if case .rejected = result.reply {
                logins.add(.refused)
            } else {
                logins.add(result.isUnavailable ? .unavailable : .exchanged)
            }
        default: break
        }
    }

    private func count(_ event: AuditEvent) {
        switch event.kind {
        case .sessionEnded:
            revocations.add(.session)
            if let reason = event.reason.flatMap(EndReason.init(rawValue:)) { ends.add(reason) }
        case .subjectSessionsEnded: revocations.add(.subject)
        case .subjectAccessExpired: revocations.add(.access)
        case .storeFailed: storeErrors.add()
        case .sessionStarted, .refreshTokenReused, .refreshRejected, .storeBehind: break
        }
    }

    /// Whether the store has failed for so long that others should be asked instead. Only while somebody has
    /// tried lately: who is asked nothing any more learns nothing, and would never come back.
    package func isStoreLost(now: WallTime) -> Bool {
        let since = Int64(clamping: failingSince.value)
        if since == 0 { return false }
        let last = Int64(clamping: failedLast.value)
        return now.milliseconds - since >= Self.lostMilliseconds
            && now.milliseconds - last < Self.forgottenMilliseconds
    }

    private static let lostMilliseconds: Int64 = 10_000
    private static let forgottenMilliseconds: Int64 = 30_000
}

/// Counters by the cases of a closed list. One owner counts, anybody may read.
package final class Tally<Word: CaseIterable & Hashable & Sendable>: Sendable {
    private let counters: [Word: Counter]

    init() { counters = Dictionary(uniqueKeysWithValues: Word.allCases.map { ($0, Counter()) }) }

    func add(_ word: Word) { counters[word]?.add() }

    package func value(_ word: Word) -> UInt64 { counters[word]?.value ?? 0 }
}

extension SessionBook.Result {
    /// The store could not do it.
    /// Whether a row has changed by it, and is on disk.
    fileprivate var hasWritten: Bool {
        if case .ended(let count) = reply, count > 0 { return true }
        return issue != nil
    }

    fileprivate var isUnavailable: Bool {
        if issue != nil { return false }
        if case .unavailable = reply { return true }
        return false
    }

    /// What the order came to, where it was a refresh.
    fileprivate var refreshOutcome: RefreshOutcome {
        if issue != nil { return grant }
        guard case .rejected(let rejection) = reply else { return .unavailable }
        switch rejection {
        case .notGenuine: return .malformed
        case .unknownSession, .unfitting, .exchanged: return .unknown
        case .ended, .endedWithSubject: return .ended
        case .lapsed: return .expired
        case .replayed: return .reused
        case .tooOften: return .rateLimited
        }
    }
}
