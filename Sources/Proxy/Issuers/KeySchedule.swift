// When an issuer's keys are fetched: in good time, after a failure soon again but less and less so, and on
// the word of a token whose key is not known, though no oftener than every half minute. A value: time is
// passed in.

import Primitives

/// The plan for one issuer.
struct KeySchedule: Equatable {
    /// How often, as configured.
    let everyMilliseconds: Int64
    private(set) var isFetching = false
    private var failuresInRow = 0

    init(everyMilliseconds: Int64) { self.everyMilliseconds = everyMilliseconds }

    /// Begins a fetch; false when one is under way.
    mutating func begin() -> Bool {
        if isFetching { return false }
        isFetching = true
        return true
    }

    /// A fetch has ended well.
    ///
    /// - Parameter maxAgeSeconds: how long the provider says that its answer may be kept. It can make fetches
    ///   more frequent, within bounds, and never rarer.
    /// - Returns: how many milliseconds to wait until the next.
    mutating func succeeded(maxAgeSeconds: Int64?) -> Int64 {
        isFetching = false
        failuresInRow = 0
        guard let maxAgeSeconds else { return everyMilliseconds }
        let (age, overflow) = maxAgeSeconds.multipliedReportingOverflow(by: 1000)
        return min(everyMilliseconds, max(overflow ? .max : age, Self.refetchMilliseconds))
    }

    /// A fetch has failed.
    ///
    /// - Returns: how many milliseconds to wait until the next.
    mutating func failed() -> Int64 {
        isFetching = false
        failuresInRow += 1
        let doublings = min(failuresInRow - 1, Self.doublingsMax)
        return min(everyMilliseconds, Self.retryMilliseconds << doublings)
    }

    /// Whether the last fetch has failed.
    var isFailing: Bool { failuresInRow > 0 }

    /// What is known of a key that is not among those of an issuer.
    enum Standing: Equatable {
        /// The provider may be asked.
        case askable
        /// It was asked a moment ago, and has no such key.
        case absent
        /// It was asked a moment ago, and did not answer.
        case unavailable(retryAfterSeconds: Int64)
    }

    /// Whether the provider may be asked for a key that nobody here knows.
    static func standing(_ attempt: IssuerTarget.Attempt?, now: MonotonicInstant) -> Standing {
        guard let attempt else { return .askable }
        let next = attempt.at.advanced(byMilliseconds: refetchMilliseconds)
        if now >= next { return .askable }
        if attempt.hasSucceeded { return .absent }
        return .unavailable(retryAfterSeconds: (next.milliseconds - now.milliseconds + 999) / 1000)
    }

    /// No oftener than this does a stranger's token have a provider asked.
    static let refetchMilliseconds: Int64 = 30_000
    private static let retryMilliseconds: Int64 = 5_000
    private static let doublingsMax = 8
}
