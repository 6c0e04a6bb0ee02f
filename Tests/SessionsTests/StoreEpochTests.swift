// Epochs: how one row ends every session of a subject, or every access token, and what one session that is
// spared keeps. Written once, run over each store.

import Primitives
import Testing

@testable import Sessions

@Suite struct StoreEpochTests {
    private let start = Samples.start

    private func state(_ store: any SessionStore, _ session: Session) throws -> SessionState? {
        try store.find(session.sid)?.state(at: start)
    }

    private func raise(
        _ store: any SessionStore, _ subject: String, ending: Bool, sparing: SessionID? = nil,
        at offset: Int64 = 0
    ) throws -> Revocation {
        let now = start.advanced(byMilliseconds: offset)
        return try store.raiseEpoch(
            of: subject, endingSessions: ending, sparing: sparing, by: .control, at: now)
    }

    private func scope(
        _ subject: String, _ epoch: Int64, sparing: SessionID? = nil, from oldest: Int64 = 0
    ) -> Revocation.Scope {
        let spared = sparing.map { Revocation.Spared(sid: $0, oldestEpoch: oldest) }
        return .subject(subject, epoch: epoch, sparing: spared)
    }

    @Test("a subject's sessions end by one row, others' do not", arguments: StoreKind.allCases)
    func endAll(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (one, two, bob) = (Samples.session(), Samples.session(), Samples.session("bob"))
        for session in [one, two, bob] { try store.insert(session) }
        #expect(try store.epoch(of: "alice") == 0)
        #expect(try raise(store, "alice", ending: true).scope == scope("alice", 1))
        #expect(try store.epoch(of: "alice") == 1 && store.epoch(of: "bob") == 0)
        #expect(try state(store, one) == .endedWithSubject && state(store, two) == .endedWithSubject)
        #expect(try state(store, bob) == .live)
        // A login afterwards begins at the new epoch, and lives.
        let fresh = Samples.session(epoch: 1)
        try store.insert(fresh)
        #expect(try state(store, fresh) == .live)
        #expect(try store.find(fresh.sid)?.subjectEpoch == 1)
        #expect(try raise(store, "alice", ending: true).scope == scope("alice", 2))
        #expect(try state(store, fresh) == .endedWithSubject)
    }

    @Test("a subject with no sessions can be raised as well", arguments: StoreKind.allCases)
    func nobody(_ kind: StoreKind) throws {
        let store = try kind.make()
        #expect(try raise(store, "nobody", ending: true).scope == scope("nobody", 1))
        #expect(try store.epoch(of: "nobody") == 1)
    }

    @Test("expired access leaves the sessions alive", arguments: StoreKind.allCases)
    func access(_ kind: StoreKind) throws {
        let store = try kind.make()
        let session = Samples.session()
        try store.insert(session)
        #expect(try raise(store, "alice", ending: false).scope == scope("alice", 1))
        #expect(try state(store, session) == .live)
        #expect(try store.find(session.sid)?.subjectEpoch == 1)
        // Only an end of sessions can spare one.
        let raised = try raise(store, "alice", ending: false, sparing: session.sid)
        #expect(raised.scope == scope("alice", 2))
    }

    @Test("one session can be spared, again and again", arguments: StoreKind.allCases)
    func sparing(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (spared, other) = (Samples.session(), Samples.session())
        for session in [spared, other] { try store.insert(session) }
        for epoch in 1...3 as ClosedRange<Int64> {
            let raised = try raise(store, "alice", ending: true, sparing: spared.sid)
            #expect(raised.scope == scope("alice", epoch, sparing: spared.sid))
            #expect(try state(store, spared) == .live && state(store, other) == .endedWithSubject)
        }
        _ = try raise(store, "alice", ending: true)
        #expect(try state(store, spared) == .endedWithSubject)
    }

    @Test("a session that is over cannot be spared back to life", arguments: StoreKind.allCases)
    func sparingTheDead(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (ended, older) = (Samples.session(), Samples.session())
        for session in [ended, older] { try store.insert(session) }
        _ = try store.end(ended.sid, Session.Ending(at: start, reason: .logout))
        _ = try raise(store, "alice", ending: true)
        for (session, epoch) in [(ended, 2), (older, 3)] as [(Session, Int64)] {
            let raised = try raise(store, "alice", ending: true, sparing: session.sid)
            #expect(raised.scope == scope("alice", epoch))
        }
        #expect(try state(store, older) == .endedWithSubject && state(store, ended) == .ended(.logout))
    }

    @Test("a session of somebody else is not spared, nor made immune", arguments: StoreKind.allCases)
    func sparingAStranger(_ kind: StoreKind) throws {
        let store = try kind.make()
        let bob = Samples.session("bob")
        try store.insert(bob)
        for epoch in 1...5 as ClosedRange<Int64> {
            #expect(
                try raise(store, "alice", ending: true, sparing: bob.sid).scope == scope("alice", epoch))
        }
        _ = try raise(store, "bob", ending: true)
        #expect(try state(store, bob) == .endedWithSubject)
    }

    @Test(
        "sparing a session does not revive its tokens that were revoked before", arguments: StoreKind.allCases
    )
    func sparingKeepsOlderRevocations(_ kind: StoreKind) throws {
        let store = try kind.make()
        let session = Samples.session()
        try store.insert(session)
        _ = try raise(store, "alice", ending: false)
        // The access tokens of epoch 0 stay expired; those of epoch 1 are spared, this time and the next.
        for epoch in [2, 3] as [Int64] {
            let raised = try raise(store, "alice", ending: true, sparing: session.sid)
            #expect(raised.scope == scope("alice", epoch, sparing: session.sid, from: 1))
        }
        _ = try raise(store, "alice", ending: false)
        let raised = try raise(store, "alice", ending: true, sparing: session.sid)
        #expect(raised.scope == scope("alice", 5, sparing: session.sid, from: 4))
    }

    @Test("another session than last time is spared from today on", arguments: StoreKind.allCases)
    func sparingAnother(_ kind: StoreKind) throws {
        let store = try kind.make()
        let first = Samples.session()
        try store.insert(first)
        _ = try raise(store, "alice", ending: true, sparing: first.sid)
        let second = Samples.session(epoch: 1)
        try store.insert(second)
        let raised = try raise(store, "alice", ending: true, sparing: second.sid)
        #expect(raised.scope == scope("alice", 2, sparing: second.sid, from: 1))
        #expect(try state(store, first) == .endedWithSubject && state(store, second) == .live)
    }

    @Test("two spellings of one name are two subjects", arguments: StoreKind.allCases)
    func spellings(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (composed, split) = (Samples.session("jos\u{e9}"), Samples.session("jose\u{301}"))
        for session in [composed, split] { try store.insert(session) }
        _ = try raise(store, composed.subject, ending: true)
        #expect(try state(store, composed) == .endedWithSubject && state(store, split) == .live)
        #expect(try store.list(subject: split.subject, limit: 9).map(\.session.sid) == [split.sid])
    }

    @Test("revocations since a moment are told, that moment included", arguments: StoreKind.allCases)
    func revocations(_ kind: StoreKind) throws {
        let store = try kind.make()
        let sessions = (0..<3).map { _ in Samples.session() }
        for session in sessions { try store.insert(session) }
        var told: [Revocation] = []
        for (offset, session) in zip([1000, 2000] as [Int64], sessions) {
            let at = start.advanced(byMilliseconds: offset)
            _ = try store.end(session.sid, Session.Ending(at: at, reason: .logout))
            told.append(Revocation(scope: .session(session.sid), at: at))
        }
        told.append(try raise(store, "alice", ending: true, sparing: sessions[2].sid, at: 1500))
        told.append(try raise(store, "bob", ending: false, at: 3000))
        for since in [0, 1000, 1001, 1500, 2000, 2001, 3000, 3001] as [Int64] {
            let since = start.advanced(byMilliseconds: since)
            let answer = try store.revocations(since: since)
            let expected = told.filter { $0.at >= since }
            #expect(answer.count == expected.count && expected.allSatisfy { answer.contains($0) })
        }
    }
}
