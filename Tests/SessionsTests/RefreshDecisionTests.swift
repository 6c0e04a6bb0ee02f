// The table of PRODUCT's cases: a stored row, a genuine token and a time go in, one verdict comes out. Each
// refusal stands beside the nearest presentation that is accepted.

import Crypto
import Primitives
import Testing

@testable import Sessions

@Suite struct RefreshDecisionTests {
    private let sid = SessionID.random()
    private let rotated = WallTime(seconds: 1_700_000_000)
    private let window: Int64 = 30_000

    /// The digest of generation `n` of a history; its ratchet is one step per number.
    private func digest(_ generation: UInt32, history: UInt8 = 1) -> SHA256Digest {
        SHA256Hasher().digest([history, UInt8(generation)].span)
    }

    /// A row at generation 7, made at `rotated`.
    private func row(
        confirmed: Bool = false, ended: EndReason? = nil, epoch: Int64 = 3, sessionsEpoch: Int64 = 3
    ) -> StoredSession {
        let session = Session(
            sid: sid, subject: "alice", claims: [], client: Samples.client, created: rotated,
            refreshed: rotated, idleDeadline: rotated.advanced(byMilliseconds: 7_000_000),
            finalDeadline: rotated.advanced(byMilliseconds: 90_000_000), generation: 7,
            secretDigest: digest(7),
            rotated: rotated, isConfirmed: confirmed, epoch: epoch,
            ended: ended.map { Session.Ending(at: rotated, reason: $0) })
        return StoredSession(session: session, subjectEpoch: 9, sessionsEpoch: sessionsEpoch)
    }

    private func decide(
        _ stored: StoredSession?, _ generation: UInt32, history: UInt8 = 1, after milliseconds: Int64 = 1000,
        keepWindow: Int64? = nil
    ) -> RefreshDecision {
        RefreshDecision.decide(
            stored: stored, generation: generation, digest: digest(generation, history: history),
            childDigest: digest(generation + 1, history: history),
            now: rotated.advanced(byMilliseconds: milliseconds), raceWindow: window, keepWindow: keepWindow)
    }

    @Test("the current token is rotated, confirmed or not")
    func current() {
        #expect(decide(row(), 7) == .rotate(isAhead: false))
        #expect(decide(row(confirmed: true), 7) == .rotate(isAhead: false))
        #expect(decide(row(confirmed: true), 7, after: 6_999_999) == .rotate(isAhead: false))
    }

    @Test("a current token is kept while it is younger than the window, and where there is one")
    func kept() {
        for stored in [row(), row(confirmed: true)] {
            #expect(decide(stored, 7, after: 0, keepWindow: 10_000) == .keep)
            #expect(decide(stored, 7, after: 9_999, keepWindow: 10_000) == .keep)
            #expect(decide(stored, 7, after: 10_000, keepWindow: 10_000) == .rotate(isAhead: false))
            #expect(decide(stored, 7, after: 0) == .rotate(isAhead: false))
            // A clock that was set back tells nothing of its age.
            #expect(decide(stored, 7, after: -1, keepWindow: 10_000) == .rotate(isAhead: false))
        }
    }

    @Test("nothing but a current token that fits is kept, however young it is")
    func notKept() {
        let keep: Int64 = 10_000
        #expect(decide(row(), 7, history: 2, after: 0, keepWindow: keep) == .refuse(.unfitting))
        #expect(decide(row(), 6, after: 0, keepWindow: keep) == .repeatChild)
        #expect(decide(row(), 5, after: 0, keepWindow: keep) == .endForReplay)
        #expect(decide(row(), 8, after: 0, keepWindow: keep) == .rotate(isAhead: true))
        #expect(decide(row(ended: .logout), 7, after: 0, keepWindow: keep) == .refuse(.ended(.logout)))
        #expect(decide(nil, 7, after: 0, keepWindow: keep) == .refuse(.unknownSession))
    }

    @Test("a current generation with another secret is refused")
    func garbage() {
        #expect(decide(row(), 7, history: 2) == .refuse(.unfitting))
        #expect(decide(row(), 7, history: 1) == .rotate(isAhead: false))
    }

    @Test("a retry is given the same child for as long as it is unconfirmed")
    func unconfirmedRetry() {
        for after in [0, 1000, window, window + 1, 6_999_999] as [Int64] {
            #expect(decide(row(), 6, after: after) == .repeatChild)
        }
    }

    @Test(
        "a confirmed retry is believed up to the end of the race window, and one millisecond later is theft")
    func confirmedRetry() {
        #expect(decide(row(confirmed: true), 6, after: 0) == .repeatChild)
        #expect(decide(row(confirmed: true), 6, after: window) == .repeatChild)
        #expect(decide(row(confirmed: true), 6, after: window + 1) == .endForReplay)
    }

    @Test("a retry whose child is not the stored one is refused, and ends nothing")
    func unfittingRetry() {
        #expect(decide(row(), 6, history: 2) == .refuse(.unfitting))
        #expect(decide(row(confirmed: true), 6, history: 2, after: window + 1) == .refuse(.unfitting))
    }

    @Test("older generations are theft, however soon they come", arguments: [0, 1, 5] as [UInt32])
    func replay(_ generation: UInt32) {
        #expect(decide(row(), generation, after: 0) == .endForReplay)
        #expect(decide(row(confirmed: true), generation) == .endForReplay)
        #expect(decide(row(), 6) == .repeatChild)
    }

    @Test("a generation that the store has lost is accepted as current", arguments: [8, 9, 200] as [UInt32])
    func ahead(_ generation: UInt32) {
        #expect(decide(row(), generation) == .rotate(isAhead: true))
        #expect(decide(row(confirmed: true), generation) == .rotate(isAhead: true))
        #expect(decide(row(), 7) == .rotate(isAhead: false))
    }

    @Test("an unknown session is refused")
    func unknown() {
        #expect(decide(nil, 7) == .refuse(.unknownSession))
    }

    @Test("an ended session is refused with its reason, whatever the token", arguments: EndReason.allCases)
    func ended(_ reason: EndReason) {
        for generation in [5, 6, 7, 8] as [UInt32] {
            #expect(decide(row(ended: reason), generation) == .refuse(.ended(reason)))
        }
    }

    @Test("a session older than the end of its subject's sessions is refused, one as old is not")
    func endedWithSubject() {
        #expect(decide(row(epoch: 3, sessionsEpoch: 4), 7) == .refuse(.endedWithSubject))
        #expect(decide(row(epoch: 3, sessionsEpoch: 4), 5) == .refuse(.endedWithSubject))
        #expect(decide(row(epoch: 4, sessionsEpoch: 4), 7) == .rotate(isAhead: false))
        #expect(decide(row(epoch: 5, sessionsEpoch: 4), 7) == .rotate(isAhead: false))
    }

    @Test("the idle deadline itself is too late, and the millisecond before it is not")
    func idle() {
        #expect(decide(row(), 7, after: 6_999_999) == .rotate(isAhead: false))
        #expect(decide(row(), 7, after: 7_000_000) == .refuse(.lapsed(.idle)))
        #expect(decide(row(), 6, after: 7_000_000) == .refuse(.lapsed(.idle)))
        #expect(decide(row(), 8, after: 7_000_000) == .refuse(.lapsed(.idle)))
    }

    @Test("nothing passes the final deadline, a busy session neither")
    func final() {
        var stored = row()
        stored.session.idleDeadline = rotated.advanced(byMilliseconds: 97_000_000)
        #expect(decide(stored, 7, after: 89_999_999) == .rotate(isAhead: false))
        #expect(decide(stored, 6, after: 89_999_999) == .repeatChild)
        for generation in [6, 7, 8] as [UInt32] {
            #expect(decide(stored, generation, after: 90_000_000) == .refuse(.lapsed(.age)))
        }
    }

    @Test("a clock that was set back ends no session, and opens no door to older generations")
    func clockSetBack() {
        #expect(decide(row(), 7, after: -3_600_000) == .rotate(isAhead: false))
        #expect(decide(row(confirmed: true), 6, after: -3_600_000) == .repeatChild)
        #expect(decide(row(confirmed: true), 5, after: -3_600_000) == .endForReplay)
        #expect(decide(row(ended: .replay), 7, after: -3_600_000) == .refuse(.ended(.replay)))
    }

    @Test("a fresh session at generation 0 has no parent to retry")
    func fresh() {
        var stored = row()
        stored.session.generation = 0
        stored.session.secretDigest = digest(0)
        #expect(decide(stored, 0) == .rotate(isAhead: false))
        #expect(decide(stored, 0, history: 2) == .refuse(.unfitting))
        #expect(decide(stored, 1) == .rotate(isAhead: true))
    }

    @Test("cookies are cleared only for a session that is known to be over")
    func clearing() {
        let standing: [RefreshRejection] = [.notGenuine, .unfitting, .unknownSession]
        let over: [RefreshRejection] = [
            .ended(.logout), .endedWithSubject, .lapsed(.idle), .replayed,
        ]
        #expect(standing.allSatisfy { !$0.isSessionOver })
        #expect(over.allSatisfy { $0.isSessionOver })
    }
}
