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
            presented(pair.refreshToken), client: Samples.client, claims: claims)
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
            presented(pair.refreshToken), client: Samples.client, claims: Array(#"{"role":"x"}"#.utf8))
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
}
