// Sessions that begin for a credential of another system: once for each, whatever gets lost on the way.

import Primitives
import Testing

@testable import Sessions

@Suite("Exchange of older credentials") struct ExchangeTests {
    private static func credential(
        _ text: String = "old", issued: Int64? = nil, rememberedDays: Int64 = 90
    ) -> OlderCredential {
        OlderCredential(
            identity: Array(text.utf8),
            issued: issued.map { Samples.start.advanced(byMilliseconds: $0) },
            remembered: Samples.start.advanced(byMilliseconds: rememberedDays * Samples.day))
    }

    private let old = credential()

    @Test("an answer that was lost is given again, however late, as long as nobody has seen its tokens")
    func retry() throws {
        for kind in StoreKind.allCases {
            let gateway = try ServiceHarness(kind)
            let first = try #require(try gateway.exchange(old).tokens)
            gateway.clock.advance(6 * Samples.day)
            let second = try #require(try gateway.exchange(old).tokens)
            #expect(first.sid == second.sid && first.refreshToken == second.refreshToken)
            #expect(try gateway.isLetIn(second))
            #expect(gateway.events.map(\.kind) == [.sessionStarted])
        }
    }

    @Test(
        "what has been seen is given again within the window, and not behind it",
        arguments: StoreKind.allCases)
    func window(_ kind: StoreKind) throws {
        for (delivery, window) in [(Delivery.body, Int64(60_000)), (.cookie, 30_000)] {
            let gateway = try ServiceHarness(kind)
            let first = try #require(try gateway.exchange(old, delivery: delivery).tokens)
            try gateway.noteSeen(first)
            gateway.clock.advance(window)
            let second = try #require(try gateway.exchange(old, delivery: delivery).tokens)
            #expect(first.refreshToken == second.refreshToken)
            gateway.clock.advance(1)
            #expect(try gateway.exchange(old, delivery: delivery).rejection == .exchanged)
            // Who comes too late takes nothing from who was in time.
            #expect(try gateway.refresh(first.refreshToken).tokens != nil)
        }
    }

    @Test("behind a rotation it is good for nothing, and the session goes on", arguments: StoreKind.allCases)
    func rotated(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let first = try #require(try gateway.exchange(old).tokens)
        let second = try gateway.refreshed(first.refreshToken)
        #expect(try gateway.exchange(old).rejection == .exchanged)
        #expect(try gateway.refresh(second.refreshToken).tokens != nil)
    }

    @Test("when its session is over it begins no other, and clears no cookies", arguments: StoreKind.allCases)
    func ended(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let first = try #require(try gateway.exchange(old).tokens)
        _ = try gateway.ask(.end(first.sid, reason: .logout))
        let refused = try #require(try gateway.exchange(old).rejection)
        #expect(refused == .exchanged && !refused.isSessionOver)
        // The same where nobody ended it: its time has passed.
        let another = Self.credential("another")
        _ = try gateway.exchange(another)
        gateway.clock.advance(8 * Samples.day)
        #expect(try gateway.exchange(another).rejection == .exchanged)
    }

    @Test(
        "it stays spent when the row of its session has gone, as long as it could be presented",
        arguments: StoreKind.allCases)
    func purged(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let first = try #require(try gateway.exchange(old).tokens)
        _ = try gateway.ask(.end(first.sid, reason: .logout))
        for _ in 0..<4 {
            gateway.clock.advance(20 * Samples.day)
            _ = try gateway.login("somebody")
        }
        #expect(try gateway.find(first.sid) == nil)
        #expect(try gateway.exchange(old).rejection == .exchanged)
        // Behind that moment nobody asks, and nothing of it is kept.
        gateway.clock.advance(11 * Samples.day)
        _ = try gateway.login("somebody")
        #expect(try gateway.exchange(old).tokens != nil)
    }

    @Test("two credentials are two sessions, one of them two of one subject", arguments: StoreKind.allCases)
    func two(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let one = try #require(try gateway.exchange(old).tokens)
        let other = try #require(try gateway.exchange(Self.credential("other")).tokens)
        #expect(one.sid != other.sid && one.refreshToken != other.refreshToken)
        _ = try gateway.ask(.end(one.sid, reason: .logout))
        #expect(try gateway.isLetIn(other) && !gateway.isLetIn(one))
    }

    @Test("twenty at once make one session", arguments: StoreKind.allCases)
    func together(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let orders = (0..<20).map { _ in ServiceHarness.exchanging(old, delivery: .cookie) }
        let tokens = try gateway.askTogether(orders).compactMap(\.tokens)
        #expect(tokens.count == 20 && Set(tokens.map(\.refreshToken)).count == 1)
        #expect(gateway.events.map(\.kind) == [.sessionStarted])
    }

    @Test(
        "a server key that comes between an answer and its retry makes no second child",
        arguments: StoreKind.allCases)
    func keys(_ kind: StoreKind) throws {
        let keys = [RefreshKey(number: 1), RefreshKey(number: 2)]
        let gateway = try ServiceHarness(kind, keys: [keys[0]])
        let first = try #require(try gateway.exchange(old).tokens)
        gateway.service.change(refreshKeys: keys.reversed())
        let second = try #require(try gateway.exchange(old).tokens)
        #expect(first.sid == second.sid && first.refreshToken == second.refreshToken)
        // Without its key nobody can give the tokens again; and nobody else gets the session.
        gateway.service.change(refreshKeys: [keys[1]])
        #expect(try gateway.exchange(old).rejection == .exchanged)
    }

    @Test(
        "who ended all sessions of a subject ended those too that were still to begin",
        arguments: StoreKind.allCases)
    func subjectEnded(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        _ = try gateway.ask(.expireAccess("alice", reason: .control))
        // A change of rights is no end.
        #expect(try gateway.exchange(Self.credential("0", issued: -1000)).tokens != nil)
        gateway.clock.advance(1000)
        _ = try gateway.ask(.endSubject("alice", sparing: nil, reason: .control))
        #expect(try gateway.exchange(Self.credential("1", issued: 0)).rejection == .endedWithSubject)
        #expect(try gateway.exchange(Self.credential("2", issued: 1000)).rejection == .endedWithSubject)
        // One of after it, one that its system vouches for now, and somebody else's.
        #expect(try gateway.exchange(Self.credential("3", issued: 2000)).tokens != nil)
        #expect(try gateway.exchange(Self.credential("4")).tokens != nil)
        #expect(try gateway.exchange(Self.credential("1", issued: 0), subject: "bob").tokens != nil)
        // The session of before is over, and its credential with it.
        #expect(try gateway.exchange(Self.credential("0", issued: -1000)).rejection == .exchanged)
    }

    @Test("while the store fails nothing is spent", arguments: [StoreVerb.insert, .noteExchanged, .commit])
    func failure(_ verb: StoreVerb) throws {
        for kind in StoreKind.allCases {
            let gateway = try ServiceHarness(kind)
            gateway.faults.fail(verb)
            #expect(try gateway.exchange(old).isUnavailable)
            #expect(try gateway.exchange(old).tokens != nil)
        }
    }

    @Test("a credential is stored nowhere, nor is it in an event")
    func secrecy() throws {
        let path = try Samples.databasePath()
        let gateway = try ServiceHarness(path: path)
        let secret = "a-credential-that-nobody-may-read"
        let tokens = try #require(try gateway.exchange(Self.credential(secret)).tokens)
        let stored = String(decoding: try Samples.bytes(ofDatabase: path), as: UTF8.self)
        #expect(!stored.contains(secret) && !tokens.sid.text.contains(secret))
        #expect(!"\(gateway.events)".contains(secret))
    }
}
