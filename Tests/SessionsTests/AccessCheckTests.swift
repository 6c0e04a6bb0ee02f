// The two halves of a refresh with an access check: whose it is, asked without a trace, and the exchange with
// other claims.

import JOSE
import Primitives
import Testing

@testable import Sessions

@Suite struct AccessCheckTests {
    private func presented(_ token: String, isBounce: Bool = false) -> PresentedTokens {
        PresentedTokens(candidates: [Array(token.utf8)], delivery: .cookie, isBounce: isBounce)
    }

    private func examined(_ gateway: ServiceHarness, _ presented: PresentedTokens) throws -> ExaminedSession?
    {
        guard case .examined(let session) = try gateway.ask(.examine(presented)) else {
            Issue.record("examine is answered by examined")
            return nil
        }
        return session
    }

    @Test("whose session a refresh would be of is told, and nothing changes by asking")
    func examine() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let before = try gateway.find(pair.sid)
        let session = try examined(gateway, presented(pair.refreshToken))
        #expect(session == ExaminedSession(sid: pair.sid, subject: "alice"))
        #expect(try gateway.find(pair.sid) == before)
        #expect(try gateway.refreshed(pair.refreshToken).sid == pair.sid)
    }

    @Test("a retry is asked about as well; what would be kept or refused is not")
    func others() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        #expect(try examined(gateway, presented(pair.refreshToken, isBounce: true)) == nil)
        let next = try gateway.refreshed(pair.refreshToken)
        #expect(try examined(gateway, presented(pair.refreshToken))?.sid == pair.sid)
        _ = try gateway.refreshed(next.refreshToken)
        // Two generations old: theft, which the exchange itself is to find.
        #expect(try examined(gateway, presented(pair.refreshToken)) == nil)
        #expect(try gateway.find(pair.sid)?.session.ended == nil)
        #expect(try gateway.refresh(pair.refreshToken).rejection == .replayed)
        #expect(try examined(gateway, presented("rt_" + String(repeating: "A", count: 92))) == nil)
    }

    @Test("the claims that a check brings go into the tokens of that refresh, and stay")
    func claims() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let claims = Array(#"{"role":"admin"}"#.utf8)
        let order = SessionOrder.refresh(
            presented(pair.refreshToken), client: Samples.client,
            leave: .granted(pair.sid, claims: claims))
        let next = try #require(try gateway.ask(order).tokens)
        #expect(try gateway.verify(next)?.claim("role")?.string == "admin")
        #expect(try gateway.find(pair.sid)?.session.claims == claims)
        let later = try gateway.refreshed(next.refreshToken)
        #expect(try gateway.verify(later)?.claim("role")?.string == "admin")
    }

    @Test("a refused exchange changes no claims")
    func refused() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let claims = try gateway.find(pair.sid)?.session.claims
        _ = try gateway.refreshed(try gateway.refreshed(pair.refreshToken).refreshToken)
        let order = SessionOrder.refresh(
            presented(pair.refreshToken), client: Samples.client,
            leave: .granted(pair.sid, claims: Array(#"{"role":"x"}"#.utf8)))
        #expect(try gateway.ask(order).rejection == .replayed)
        #expect(try gateway.find(pair.sid)?.session.claims == claims)
    }

    @Test("claims are set in the row of that session alone", arguments: StoreKind.allCases)
    func store(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (one, other) = (Samples.session(), Samples.session())
        try store.insert(one)
        try store.insert(other)
        try store.setClaims(one.sid, [1, 0, 255])
        try store.setClaims(.random(), [2])
        #expect(try store.find(one.sid)?.session.claims == [1, 0, 255])
        #expect(try store.find(other.sid)?.session.claims == other.claims)
    }

    @Test("where nobody was asked nothing new is made, and the token stays good")
    func withheld() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let before = try gateway.find(pair.sid)
        let order = SessionOrder.refresh(
            presented(pair.refreshToken), client: Samples.client, leave: .withheld)
        #expect(try gateway.ask(order).isUnavailable)
        #expect(try gateway.find(pair.sid) == before)
        // What is no news to the client needs no leave, and a theft is found all the same.
        let kept = SessionOrder.refresh(
            presented(pair.refreshToken, isBounce: true), client: Samples.client, leave: .withheld)
        #expect(try gateway.ask(kept).tokens?.sid == pair.sid)
        _ = try gateway.refreshed(try gateway.refreshed(pair.refreshToken).refreshToken)
        #expect(try gateway.ask(order).rejection == .replayed)
    }

    @Test("what was granted to one session is no other's, though its token comes with it")
    func grantedToOne() throws {
        let gateway = try ServiceHarness()
        let (one, other) = (try gateway.login("alice"), try gateway.login("bob"))
        let both = PresentedTokens(
            candidates: [one, other].map { Array($0.refreshToken.utf8) }, delivery: .cookie)
        let session = try #require(try examined(gateway, both))
        let spared = session.sid == one.sid ? other : one
        let before = try gateway.find(spared.sid)
        // While somebody is asked, the session ends: now the other one's token would be exchanged.
        _ = try gateway.ask(.end(session.sid, reason: .logout))
        let order = SessionOrder.refresh(
            both, client: Samples.client,
            leave: .granted(session.sid, claims: Array(#"{"role":"admin"}"#.utf8)))
        #expect(try gateway.ask(order).isUnavailable)
        #expect(try gateway.find(spared.sid) == before)
        #expect(try gateway.refreshed(spared.refreshToken).sid == spared.sid)
    }

    @Test("asked and exchanged is one refresh of a session's pace; asked too often is told")
    func pace() throws {
        let gateway = try ServiceHarness()
        var pair = try gateway.login()
        for _ in 0..<SessionPace.burst {
            #expect(try examined(gateway, presented(pair.refreshToken))?.sid == pair.sid)
            let order = SessionOrder.refresh(
                presented(pair.refreshToken), client: Samples.client, leave: .granted(pair.sid, claims: nil))
            pair = try #require(try gateway.ask(order).tokens)
        }
        let reply = try gateway.ask(.examine(presented(pair.refreshToken)))
        #expect(reply.rejection == .tooOften(retryAfterSeconds: 1))
    }
}
