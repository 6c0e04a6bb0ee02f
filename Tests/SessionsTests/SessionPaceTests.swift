// The pace of sessions: who is admitted when, that one session's haste is no other's, and that neither a
// clock that jumps nor a crowd locks anybody out.

import Primitives
import Testing

@testable import Sessions

@Suite struct SessionPaceTests {
    private let now = Samples.start
    private let sid = SessionID.random()

    private func later(_ milliseconds: Int64) -> WallTime { now.advanced(byMilliseconds: milliseconds) }

    @Test("fifty at once are admitted and the next is not; then ten in a second")
    func rate() {
        var pace = SessionPace()
        for _ in 0..<SessionPace.burst { #expect(pace.admit(sid, isBounce: false, now: now) == nil) }
        #expect(pace.admit(sid, isBounce: false, now: now) == 1)
        #expect(pace.admit(sid, isBounce: false, now: later(99)) == 1)
        #expect(pace.admit(sid, isBounce: false, now: later(100)) == nil)
        #expect(pace.admit(sid, isBounce: false, now: later(199)) == 1)
        #expect(pace.admit(sid, isBounce: false, now: later(1100)) == nil)
    }

    @Test("a refused one costs nothing")
    func refusals() {
        var pace = SessionPace()
        for _ in 0..<500 { _ = pace.admit(sid, isBounce: false, now: now) }
        #expect(pace.admit(sid, isBounce: false, now: later(100)) == nil)
    }

    @Test("a page's parallel requests weigh a tenth")
    func bounces() {
        var pace = SessionPace()
        for _ in 0..<400 { #expect(pace.admit(sid, isBounce: true, now: now) == nil) }
        for _ in 0..<200 { _ = pace.admit(sid, isBounce: true, now: now) }
        #expect(pace.admit(sid, isBounce: true, now: now) == 1)
    }

    @Test("one session's haste is no other's")
    func others() {
        var pace = SessionPace()
        for _ in 0..<100 { _ = pace.admit(sid, isBounce: false, now: now) }
        #expect(pace.admit(.random(), isBounce: false, now: now) == nil)
    }

    @Test("a clock that is set back shuts nobody out")
    func clock() {
        var pace = SessionPace()
        for _ in 0..<100 { _ = pace.admit(sid, isBounce: false, now: later(365 * Samples.day)) }
        #expect(pace.admit(sid, isBounce: false, now: now) == nil)
        for _ in 0..<100 { _ = pace.admit(sid, isBounce: false, now: now) }
        #expect(pace.admit(sid, isBounce: false, now: now) == 1)
    }

    @Test("memory is bounded, and who is forgotten is forgiven")
    func crowd() {
        var pace = SessionPace()
        for number in 0..<(2 * SessionPace.sessionsMax) {
            _ = pace.admit(.random(), isBounce: false, now: later(Int64(number / 1000)))
        }
        #expect(pace.count <= SessionPace.sessionsMax)
        #expect(pace.admit(sid, isBounce: false, now: now) == nil)
    }

    @Test("a session that is refreshed too often is told so, and its token stays good")
    func service() throws {
        let gateway = try ServiceHarness()
        let (first, other) = (try gateway.login(), try gateway.login())
        var pair = first
        for _ in 0..<SessionPace.burst { pair = try gateway.refreshed(pair.refreshToken) }
        for _ in 0..<3 {
            #expect(try gateway.refresh(pair.refreshToken).rejection == .tooOften(retryAfterSeconds: 1))
        }
        let forged = pair.refreshToken.dropLast() + (pair.refreshToken.hasSuffix("A") ? "E" : "A")
        #expect(try gateway.refresh(String(forged)).rejection == .notGenuine)
        _ = try gateway.refreshed(other.refreshToken)
        gateway.clock.advance(1000)
        pair = try gateway.refreshed(pair.refreshToken)
        #expect(try gateway.isLetIn(pair))
    }

    @Test("what is not genuine never counts against a session")
    func garbage() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let forged = pair.refreshToken.dropLast() + (pair.refreshToken.hasSuffix("A") ? "E" : "A")
        for _ in 0..<200 { #expect(try gateway.refresh(String(forged)).rejection == .notGenuine) }
        _ = try gateway.refreshed(pair.refreshToken)
    }
}
