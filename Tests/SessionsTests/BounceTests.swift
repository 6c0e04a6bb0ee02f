// Refreshes of browsers that are sent round by their requests, often many at once, some with the old cookie
// and some with the new one already: together they make one generation.

import JOSE
import Primitives
import Testing

@testable import Sessions

@Suite("Bounces") struct BounceTests {
    /// How young a token must be to be kept.
    private let window: Int64 = 10_000

    @Test("twenty at once make one generation, and each gets an access token", arguments: StoreKind.allCases)
    func parallel(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        gateway.clock.advance(15 * ServiceHarness.minute)
        let replies = try gateway.askTogether(Array(repeating: bounce(pair.refreshToken), count: 20))
        let issued = replies.compactMap(\.tokens)
        #expect(issued.count == 20 && Set(issued.map(\.refreshToken)).count == 1)
        #expect(issued.allSatisfy { $0.refreshToken != pair.refreshToken })
        #expect(Set(issued.map(\.accessToken)).count == 20)
        for tokens in issued { #expect(try gateway.isLetIn(tokens)) }
        #expect(try gateway.find(pair.sid)?.session.generation == 1)
    }

    @Test("those that come with the new cookie already keep it", arguments: StoreKind.allCases)
    func mixed(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        gateway.clock.advance(15 * ServiceHarness.minute)
        let next = try #require(try gateway.ask(bounce(pair.refreshToken)).tokens)
        gateway.clock.advance(window - 1)
        let old = Array(repeating: bounce(pair.refreshToken), count: 10)
        let new = Array(repeating: bounce(next.refreshToken), count: 10)
        let issued = try gateway.askTogether(zip(new, old).flatMap { [$0, $1] }).compactMap(\.tokens)
        #expect(issued.count == 20 && Set(issued.map(\.refreshToken)) == [next.refreshToken])
        #expect(Set(issued.map(\.accessToken)).count == 20)
        #expect(try gateway.find(pair.sid)?.session.generation == 1)
        #expect(gateway.revocations.isEmpty)
    }

    @Test("one that is later than the window rotates, and the one before it does not")
    func later() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        gateway.clock.advance(window - 1)
        let kept = try #require(try gateway.ask(bounce(pair.refreshToken)).tokens)
        #expect(kept.refreshToken == pair.refreshToken && kept.accessToken != pair.accessToken)
        #expect(try gateway.verify(kept)?.generation == 0)
        gateway.clock.advance(1)
        let next = try #require(try gateway.ask(bounce(pair.refreshToken)).tokens)
        #expect(next.refreshToken != pair.refreshToken)
        #expect(try gateway.verify(next)?.generation == 1)
    }

    @Test("keeping a token does not make it younger: whoever keeps coming rotates in time")
    func again() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        var generations: [UInt32] = []
        for _ in 0..<4 {
            gateway.clock.advance(window / 4)
            let tokens = try #require(try gateway.ask(bounce(pair.refreshToken)).tokens)
            generations.append(try #require(try gateway.verify(tokens)).generation)
        }
        #expect(generations == [0, 0, 0, 1])
    }

    @Test("a change of rights reaches a browser whose token is kept")
    func newRights() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        _ = try gateway.ask(.expireAccess("alice", reason: .control))
        #expect(try !gateway.isLetIn(pair))
        let kept = try #require(try gateway.ask(bounce(pair.refreshToken)).tokens)
        #expect(kept.refreshToken == pair.refreshToken)
        #expect(try gateway.isLetIn(kept))
    }

    @Test("a kept token has been seen, so its parent is believed no longer than the race window")
    func confirms() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let next = try #require(try gateway.refresh(pair.refreshToken, delivery: .cookie).tokens)
        _ = try gateway.ask(bounce(next.refreshToken))
        gateway.clock.advance(ServiceHarness.policy.cookieRaceWindow)
        #expect(try gateway.ask(bounce(pair.refreshToken)).tokens?.refreshToken == next.refreshToken)
        gateway.clock.advance(1)
        #expect(try gateway.ask(bounce(pair.refreshToken)).rejection == .replayed)
    }

    @Test("a page that refreshes by itself gets a new token, however young the old one is")
    func refresh() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        #expect(try gateway.ask(bounce(pair.refreshToken)).tokens?.refreshToken == pair.refreshToken)
        let next = try gateway.refresh(pair.refreshToken, delivery: .cookie).tokens
        #expect(next != nil && next?.refreshToken != pair.refreshToken)
    }

    @Test("an ended session is over for those too")
    func ended() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        #expect(try gateway.ask(bounce(pair.refreshToken)).tokens != nil)
        _ = try gateway.ask(.end(pair.sid, reason: .logout))
        #expect(try gateway.ask(bounce(pair.refreshToken)).rejection == .ended(.logout))
    }

    private func bounce(_ token: String) -> SessionOrder {
        .refresh(
            PresentedTokens(candidates: [Array(token.utf8)], delivery: .cookie, isBounce: true),
            client: Samples.client)
    }
}
