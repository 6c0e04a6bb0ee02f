// The refresh service through its front door: what a client gets for its tokens over time, and what of it is
// told to shards and to the audit log.

import JOSE
import Primitives
import Testing

@testable import Sessions

@Suite struct RefreshServiceTests {
    private let minute = ServiceHarness.minute

    @Test("a login gives a pair whose access token says whose it is", arguments: StoreKind.allCases)
    func login(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        #expect(pair.subject == "alice" && pair.accessSeconds == 900 && pair.refreshSeconds == 7 * 86_400)
        let token = try #require(try gateway.verify(pair))
        #expect(token.subject == "alice" && token.sessionID == pair.sid && token.generation == 0)
        #expect(token.epoch == 0 && token.claim("role")?.string == "admin")
        #expect(token.expiresAt == Samples.start.seconds + 900)
        let event = AuditEvent(.sessionStarted, sid: pair.sid, subject: "alice", address: "192.0.2.1")
        #expect(gateway.events == [event])
    }

    @Test("a refresh gives the next generation, and a new access token", arguments: StoreKind.allCases)
    func refresh(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        var pair = try gateway.login()
        for generation in 1...5 as ClosedRange<UInt32> {
            gateway.clock.advance(10 * minute)
            let next = try gateway.refreshed(pair.refreshToken)
            #expect(next.refreshToken != pair.refreshToken && next.sid == pair.sid)
            #expect(try gateway.verify(next)?.generation == generation)
            #expect(next.refreshSeconds == 7 * 86_400)
            pair = next
        }
        #expect(gateway.revocations.isEmpty)
    }

    @Test("a lost answer can be asked for again, for hours, and is the same", arguments: StoreKind.allCases)
    func retry(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        let lost = try gateway.refreshed(pair.refreshToken)
        for wait in [0, 1000, 90_000, 24 * 60 * minute] {
            gateway.clock.advance(wait)
            let again = try gateway.refreshed(pair.refreshToken)
            #expect(again.refreshToken == lost.refreshToken && again.accessToken != lost.accessToken)
            #expect(try gateway.verify(again)?.generation == 1)
        }
        // A retry does not prolong the session: only rotations do.
        let deadline = try #require(try gateway.find(pair.sid)).session.idleDeadline
        #expect(deadline == Samples.start.advanced(byMilliseconds: 7 * Samples.day))
        #expect(try gateway.verify(try gateway.refreshed(lost.refreshToken))?.generation == 2)
    }

    @Test(
        "a confirmed child closes the door when the race window is over: then a retry is theft",
        arguments: [(Delivery.cookie, 30_000), (.body, 60_000)] as [(Delivery, Int64)])
    func confirmation(_ delivery: Delivery, _ window: Int64) throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let child = try gateway.refreshed(pair.refreshToken)
        try gateway.noteSeen(child)
        gateway.clock.advance(window)
        let again = try gateway.refresh(pair.refreshToken, delivery: delivery).tokens
        #expect(again?.refreshToken == child.refreshToken)
        gateway.clock.advance(1)
        #expect(try gateway.isLetIn(child))
        #expect(try gateway.refresh(pair.refreshToken, delivery: delivery).rejection == .replayed)
        #expect(gateway.revocations.map(\.scope) == [.session(pair.sid)])
        #expect(try !gateway.isLetIn(child))
        #expect(try gateway.refresh(child.refreshToken).rejection == .ended(.replay))
        #expect(try gateway.refresh(pair.refreshToken).rejection == .ended(.replay))
        let reused = try #require(gateway.events.first { $0.kind == .refreshTokenReused })
        #expect(reused.sid == pair.sid && reused.generation == 0 && reused.subject == "alice")
        #expect(gateway.events.contains { $0.kind == .sessionEnded && $0.reason == "replay" })
    }

    @Test(
        "two tabs that wake up after a lost answer are both served, though one confirms before the other asks"
    )
    func wakingTabs() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        _ = try gateway.refreshed(pair.refreshToken)
        gateway.clock.advance(8 * 60 * minute)
        let first = try gateway.refreshed(pair.refreshToken)
        try gateway.noteSeen(first)
        gateway.clock.advance(2000)
        #expect(try gateway.refreshed(pair.refreshToken).refreshToken == first.refreshToken)
        // What is confirmed is not prolonged by asking.
        gateway.clock.advance(59_000)
        #expect(try gateway.refresh(pair.refreshToken).rejection == .replayed)
    }

    @Test("a token two generations old is theft at once")
    func replay() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let second = try gateway.refreshed(try gateway.refreshed(pair.refreshToken).refreshToken)
        #expect(try gateway.refresh(pair.refreshToken).rejection == .replayed)
        #expect(try !gateway.isLetIn(second))
    }

    @Test("two refreshes of one token in one transaction get one child", arguments: StoreKind.allCases)
    func parallel(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        let commits = gateway.faults.count(.commit)
        let order = ServiceHarness.refreshing(pair.refreshToken)
        let replies = try gateway.askTogether([order, order, order])
        // One of the held order, one of the three.
        #expect(gateway.faults.count(.commit) == commits + 2)
        let tokens = replies.compactMap { $0.tokens?.refreshToken }
        #expect(tokens.count == 3 && Set(tokens).count == 1)
        #expect(Set(replies.compactMap { $0.tokens?.accessToken }).count == 3)
        #expect(try gateway.find(pair.sid)?.session.generation == 1)
    }

    @Test("texts that are no tokens of ours change nothing and are refused")
    func garbage() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let foreign = try ServiceHarness().login()
        let finds = gateway.faults.count(.find)
        for text in ["", "rt_", foreign.refreshToken, String(pair.refreshToken.dropLast())] {
            #expect(try gateway.refresh(text).rejection == .notGenuine)
            #expect(
                try gateway.ask(.endByToken(token: Array(text.utf8), reason: .logout)).rejection
                    == .notGenuine)
        }
        #expect(gateway.faults.count(.find) == finds)
        #expect(try gateway.refresh(pair.refreshToken).tokens != nil)
    }

    @Test("a login in place of another session ends that one", arguments: StoreKind.allCases)
    func replacing(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let old = try gateway.login()
        let new = try gateway.login("bob", replacing: old.sid)
        #expect(gateway.revocations.map(\.scope) == [.session(old.sid)])
        #expect(try gateway.refresh(old.refreshToken).rejection == .ended(.replaced))
        #expect(try !gateway.isLetIn(old) && gateway.isLetIn(new))
        // What is over already, or never was, is no hindrance.
        #expect(try gateway.isLetIn(try gateway.login(replacing: old.sid)))
        #expect(try gateway.isLetIn(try gateway.login(replacing: .random())))
        #expect(gateway.revocations.count == 1)
    }

    @Test("any token of a session ends it, one of an old generation too", arguments: StoreKind.allCases)
    func endByToken(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        let child = try gateway.refreshed(try gateway.refreshed(pair.refreshToken).refreshToken)
        let order = SessionOrder.endByToken(token: Array(pair.refreshToken.utf8), reason: .logout)
        #expect(try gateway.ask(order).endedCount == 1)
        #expect(try gateway.refresh(child.refreshToken).rejection == .ended(.logout))
        #expect(try !gateway.isLetIn(child))
        #expect(try gateway.ask(order).endedCount == 0)
        #expect(try gateway.ask(.end(pair.sid, reason: .control)).endedCount == 0)
        #expect(gateway.events.filter { $0.kind == .sessionEnded }.map(\.reason) == ["logout"])
    }

    @Test("an unknown session is refused as over")
    func unknown() throws {
        let keys = [RefreshKey(number: 1)]
        let lost = try ServiceHarness(keys: keys).login()
        let gateway = try ServiceHarness(keys: keys)
        #expect(try gateway.refresh(lost.refreshToken).rejection == .unknownSession)
        #expect(try gateway.ask(.end(lost.sid, reason: .control)).endedCount == 0)
    }

    @Test("lists and look-ups answer what is stored")
    func lists() throws {
        let gateway = try ServiceHarness()
        let first = try gateway.login()
        gateway.clock.advance(1)
        let second = try gateway.login()
        _ = try gateway.login("bob")
        func sids(_ order: SessionOrder) throws -> [SessionID] {
            guard case .sessions(let found) = try gateway.ask(order) else { return [] }
            return found.map(\.session.sid)
        }
        #expect(try sids(.list(subject: "alice", limit: 9)) == [second.sid, first.sid])
        #expect(try sids(.list(subject: nil, limit: 9)).count == 3)
        #expect(try sids(.find(first.sid)) == [first.sid] && sids(.find(.random())).isEmpty)
    }
}
