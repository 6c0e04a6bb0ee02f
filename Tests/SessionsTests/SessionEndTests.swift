// How sessions end without being asked, and how all of a subject's end at once: deadlines, epochs, and that
// an answer which says "revoked" is true on every shard when it is given.

import JOSE
import Primitives
import Synchronization
import Testing

@testable import Sessions

@Suite struct SessionEndTests {
    private let day = Samples.day

    @Test("a session that is used lives on, up to its final deadline", arguments: StoreKind.allCases)
    func final(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        var pair = try gateway.login()
        for _ in 0..<14 {
            gateway.clock.advance(6 * day)
            pair = try gateway.refreshed(pair.refreshToken)
        }
        // 84 of 90 days are over: the refresh token is good for six more, not for seven.
        #expect(pair.refreshSeconds == 6 * 86_400)
        gateway.clock.advance(6 * day - 10_000)
        let last = try gateway.refreshed(pair.refreshToken)
        #expect(last.refreshSeconds == 10 && last.accessSeconds == 10)
        let retried = try gateway.refreshed(pair.refreshToken)
        #expect(retried.refreshSeconds == 10 && retried.accessSeconds == 10)
        gateway.clock.advance(9999)
        pair = try gateway.refreshed(last.refreshToken)
        #expect(pair.accessSeconds <= 1)
        gateway.clock.advance(1)
        #expect(try gateway.refresh(pair.refreshToken).rejection == .lapsed(.age))
        #expect(try gateway.refresh(pair.refreshToken).rejection == .ended(.age))
        #expect(gateway.events.filter { $0.kind == .sessionEnded }.map(\.reason) == ["age"])
    }

    @Test("a session that is not used lapses on its day, not before", arguments: StoreKind.allCases)
    func idle(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        let other = try gateway.login("bob")
        gateway.clock.advance(7 * day - 1)
        #expect(try gateway.refresh(other.refreshToken).tokens != nil)
        gateway.clock.advance(1)
        #expect(try gateway.refresh(pair.refreshToken).rejection == .lapsed(.idle))
        #expect(try gateway.find(pair.sid)?.session.ended?.reason == .idle)
        // Once written down, a clock that goes back does not revive it.
        gateway.clock.advance(-day)
        #expect(try gateway.refresh(pair.refreshToken).rejection == .ended(.idle))
    }

    @Test("why a session ended has an answer for a week, then its row goes", arguments: StoreKind.allCases)
    func purge(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pair = try gateway.login()
        _ = try gateway.ask(.end(pair.sid, reason: .logout))
        gateway.clock.advance(7 * day)
        _ = try gateway.login()
        #expect(try gateway.find(pair.sid)?.session.ended?.reason == .logout)
        gateway.clock.advance(60_001)
        _ = try gateway.login()
        #expect(try gateway.find(pair.sid) == nil)
    }

    @Test("a revocation outlives the purge for as long as its access tokens can live")
    func longAccess() throws {
        var policy = ServiceHarness.policy
        policy.accessLifetime = 90 * day
        let path = try Samples.databasePath()
        let before = try ServiceHarness(path: path, policy: policy)
        let sid = try before.login().sid
        _ = try before.ask(.end(sid, reason: .logout))
        before.clock.advance(60 * day)
        _ = try before.login("bob")
        let gateway = try ServiceHarness(path: Samples.databaseAfterCrash(path), policy: policy)
        gateway.clock.advance(60 * day)
        try gateway.service.publishRecentRevocations {}
        #expect(gateway.revocations.map(\.scope) == [.session(sid)])
    }

    @Test("all of a subject's sessions end but the one that is spared", arguments: StoreKind.allCases)
    func endSubject(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let (spared, other, bob) = (try gateway.login(), try gateway.login(), try gateway.login("bob"))
        let order = SessionOrder.endSubject("alice", sparing: spared.sid, reason: .upstream)
        #expect(try gateway.ask(order).endedCount == 1)
        #expect(try gateway.isLetIn(spared) && !gateway.isLetIn(other) && gateway.isLetIn(bob))
        #expect(try gateway.refresh(other.refreshToken).rejection == .endedWithSubject)
        let next = try gateway.refreshed(spared.refreshToken)
        #expect(try gateway.verify(next)?.epoch == 1 && gateway.isLetIn(next))
        #expect(try gateway.refresh(bob.refreshToken).tokens != nil)
        let fresh = try gateway.login()
        #expect(try gateway.isLetIn(fresh))
        let all = SessionOrder.endSubject("alice", sparing: nil, reason: .control)
        #expect(try gateway.ask(all).endedCount == 1)
        #expect(try !gateway.isLetIn(next) && !gateway.isLetIn(fresh) && gateway.isLetIn(bob))
        #expect(try gateway.refresh(next.refreshToken).rejection == .endedWithSubject)
        let told = gateway.events.filter { $0.kind == .subjectSessionsEnded }
        #expect(told.map(\.reason) == ["upstream", "control"] && told.map(\.sid) == [spared.sid, nil])
    }

    @Test("an access token that had expired with its role is not revived by a password change")
    func sparedAfterExpiry() throws {
        let gateway = try ServiceHarness()
        let stale = try gateway.login()
        _ = try gateway.ask(.expireAccess("alice", reason: .control))
        #expect(try !gateway.isLetIn(stale))
        let current = try gateway.refreshed(stale.refreshToken)
        _ = try gateway.ask(.endSubject("alice", sparing: stale.sid, reason: .upstream))
        #expect(try !gateway.isLetIn(stale) && gateway.isLetIn(current))
    }

    @Test(
        "expired access is refused at once, and a refresh gives access of the new epoch",
        arguments: StoreKind.allCases)
    func expireAccess(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let (pair, bob) = (try gateway.login(), try gateway.login("bob"))
        #expect(try gateway.ask(.expireAccess("alice", reason: .control)).endedCount == 1)
        #expect(try !gateway.isLetIn(pair) && gateway.isLetIn(bob))
        let next = try gateway.refreshed(pair.refreshToken)
        #expect(try gateway.verify(next)?.epoch == 1 && gateway.isLetIn(next))
        #expect(try gateway.isLetIn(try gateway.login()))
        #expect(gateway.events.contains { $0.kind == .subjectAccessExpired && $0.subject == "alice" })
    }

    @Test("an answer waits until the last shard has the revocation in force")
    func acknowledgement() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let acknowledgements = Mutex<[@Sendable () -> Void]>([])
        let asked = Reply<Bool>()
        gateway.feed.subscribe { _, _, applied in
            acknowledgements.withLock { $0.append(applied) }
            asked.give(true)
        }
        let reply = gateway.submit(.end(pair.sid, reason: .logout))
        _ = try asked.wait()
        // Other answers do not wait for it.
        #expect(try gateway.login("bob").subject == "bob")
        #expect(!reply.isHere)
        for applied in acknowledgements.withLock({ $0 }) { applied() }
        #expect(try reply.wait().endedCount == 1)
    }

    @Test("a restarted gateway tells its shards what can still matter, and no more")
    func restart() throws {
        let path = try Samples.databasePath()
        let before = try ServiceHarness(path: path)
        let (old, recent) = (try before.login().sid, try before.login().sid)
        _ = try before.ask(.end(old, reason: .logout))
        before.clock.advance(15 * 60_000 + 30_001)
        _ = try before.ask(.end(recent, reason: .logout))
        _ = try before.ask(.expireAccess("alice", reason: .control))
        let gateway = try ServiceHarness(path: Samples.databaseAfterCrash(path))
        gateway.clock.advance(15 * 60_000 + 30_001)
        let isInForce = Reply<Bool>()
        try gateway.service.publishRecentRevocations { isInForce.give(true) }
        #expect(try isInForce.wait())
        let expected: [Revocation.Scope] = [.session(recent), .subject("alice", epoch: 1, sparing: nil)]
        #expect(gateway.revocations.map(\.scope) == expected)
    }
}
