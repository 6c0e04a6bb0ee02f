// What clients may see and end of their own sessions, and what may be learnt of a refresh token: by which
// proof, of whom, and without a trace.

import Primitives
import Testing

@testable import Sessions

@Suite struct OwnSessionTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func sids(_ reply: SessionReply) -> [SessionID]? {
        if case .sessions(let found) = reply { found.map(\.session.sid) } else { nil }
    }

    private func proof(_ tokens: IssuedTokens...) -> SessionProof {
        .tokens(tokens.map { bytes($0.refreshToken) }, session: nil)
    }

    @Test("the asking session comes first, then the newest; others' and ended ones are left out")
    func order() throws {
        let gateway = try ServiceHarness()
        let first = try gateway.login()
        gateway.clock.advance(1000)
        let second = try gateway.login()
        gateway.clock.advance(1000)
        let third = try gateway.login()
        let ended = try gateway.login()
        _ = try gateway.login("bob")
        _ = try gateway.ask(.end(ended.sid, reason: .logout))
        let expected = [second.sid, third.sid, first.sid]
        #expect(sids(try gateway.ask(.listOwn(proof(second), limit: 9))) == expected)
        #expect(sids(try gateway.ask(.listOwn(.session(second.sid), limit: 9))) == expected)
        #expect(sids(try gateway.ask(.listOwn(.session(second.sid), limit: 1))) == [second.sid])
    }

    @Test("a token of the current generation, or its retry, shows whose session it is; no other does")
    func generations() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        #expect(sids(try gateway.ask(.inspect(token: bytes(pair.refreshToken)))) == [pair.sid])
        let child = try gateway.refreshed(pair.refreshToken)
        #expect(sids(try gateway.ask(.inspect(token: bytes(pair.refreshToken)))) == [pair.sid])
        let grandchild = try gateway.refreshed(child.refreshToken)
        let before = (gateway.events, try gateway.find(pair.sid))
        for _ in 0..<3 {
            #expect(try gateway.ask(.inspect(token: bytes(pair.refreshToken))).rejection == .unfitting)
            #expect(try gateway.ask(.listOwn(proof(pair), limit: 9)).rejection == .unfitting)
            #expect(try gateway.ask(.endOwn(pair.sid, proof(pair))).rejection == .unfitting)
            #expect(sids(try gateway.ask(.inspect(token: bytes(grandchild.refreshToken)))) == [pair.sid])
        }
        #expect(gateway.events == before.0)
        #expect(try gateway.find(pair.sid) == before.1)
        // The same token where it is exchanged: that is theft, and still found.
        #expect(try gateway.refresh(pair.refreshToken).rejection == .replayed)
    }

    @Test("a retry shows it no longer when it would come too late to be one")
    func lateRetry() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        try gateway.noteSeen(try gateway.refreshed(pair.refreshToken))
        gateway.clock.advance(60_000)
        #expect(sids(try gateway.ask(.inspect(token: bytes(pair.refreshToken)))) == [pair.sid])
        gateway.clock.advance(1)
        #expect(try gateway.ask(.inspect(token: bytes(pair.refreshToken))).rejection == .unfitting)
    }

    @Test("what is over, or was never ours, shows nothing")
    func over() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        #expect(
            try gateway.ask(.listOwn(.tokens([bytes("x")], session: nil), limit: 9)).rejection == .notGenuine)
        #expect(try gateway.ask(.listOwn(.session(.random()), limit: 9)).rejection == .unknownSession)
        gateway.clock.advance(8 * Samples.day)
        #expect(try gateway.ask(.listOwn(proof(pair), limit: 9)).rejection == .lapsed(.idle))
        #expect(try gateway.ask(.listOwn(.session(pair.sid), limit: 9)).rejection == .lapsed(.idle))
        let other = try gateway.login()
        _ = try gateway.ask(.endSubject("alice", sparing: nil, reason: .control))
        #expect(try gateway.ask(.listOwn(proof(other), limit: 9)).rejection == .endedWithSubject)
        #expect(try gateway.ask(.listOwn(.session(other.sid), limit: 9)).rejection == .endedWithSubject)
    }

    @Test("one's own session ends and is revoked; somebody else's is as unknown as none")
    func ending() throws {
        let gateway = try ServiceHarness()
        let (mine, other, foreign) = (
            try gateway.login(), try gateway.login(), try gateway.login("bob")
        )
        for sid in [foreign.sid, .random()] {
            #expect(try gateway.ask(.endOwn(sid, proof(mine))).endedCount == 0)
        }
        #expect(try gateway.isLetIn(foreign) && gateway.isLetIn(other))
        #expect(try gateway.ask(.endOwn(other.sid, proof(mine))).endedCount == 1)
        #expect(try !gateway.isLetIn(other) && gateway.isLetIn(mine))
        #expect(try gateway.ask(.endOwn(other.sid, proof(mine))).endedCount == 0)
        #expect(try gateway.ask(.endOwn(mine.sid, .session(mine.sid))).endedCount == 1)
        #expect(try gateway.find(mine.sid)?.session.ended?.reason == .logout)
    }

    @Test("two spellings of one text are two subjects")
    func spellings() throws {
        let gateway = try ServiceHarness()
        let (composed, decomposed) = (try gateway.login("\u{E9}"), try gateway.login("e\u{301}"))
        #expect(try gateway.ask(.endOwn(decomposed.sid, proof(composed))).endedCount == 0)
        #expect(sids(try gateway.ask(.listOwn(proof(composed), limit: 9))) == [composed.sid])
    }

    @Test("a text names its session whether it is genuine or not; another text names none")
    func naming() throws {
        let pair = try ServiceHarness().login()
        #expect(RefreshTokenMint.namedSession(in: bytes(pair.refreshToken)) == pair.sid)
        #expect(RefreshTokenMint.namedSession(in: bytes(pair.refreshToken.dropLast() + "A")) == pair.sid)
        for text in ["", "rt_", "rt_" + String(repeating: "*", count: 92)] {
            #expect(RefreshTokenMint.namedSession(in: bytes(text)) == nil)
        }
    }
}
