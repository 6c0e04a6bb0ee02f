// When and why a session ended that ended by its subject: what one row of the subject tells of any number of
// sessions, whatever has happened to the subject before and since.

import Primitives
import Testing

@testable import Sessions

@Suite struct SubjectTrailTests {
    private let start = Samples.start

    private func at(_ seconds: Int64) -> WallTime { start.advanced(byMilliseconds: seconds * 1000) }

    private func entry(
        _ seconds: Int64, _ what: SubjectTrail.What, _ reason: EndReason, _ sessionsEpoch: Int64,
        _ epoch: Int64
    ) -> SubjectTrail.Entry {
        SubjectTrail.Entry(
            at: at(seconds), what: what, reason: reason, sessionsEpoch: sessionsEpoch, epoch: epoch)
    }

    /// Ends all of alice's sessions, or her access.
    private func raise(
        _ store: any SessionStore, _ seconds: Int64, _ reason: EndReason = .control, ending: Bool = true,
        sparing: SessionID? = nil
    ) throws {
        _ = try store.raiseEpoch(
            of: "alice", endingSessions: ending, sparing: sparing, by: reason, at: at(seconds))
    }

    private func ending(_ store: any SessionStore, _ session: Session) throws -> SubjectTrail.Entry? {
        try store.find(session.sid)?.subjectEnding
    }

    @Test("each session knows the one revocation that ended it", arguments: StoreKind.allCases)
    func whichOne(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (old, spared, bob) = (Samples.session(), Samples.session(), Samples.session("bob"))
        for session in [old, spared, bob] { try store.insert(session) }
        #expect(try ending(store, old) == nil)
        try raise(store, 1, .upstream, sparing: spared.sid)
        let fresh = Samples.session(epoch: 1)
        try store.insert(fresh)
        try raise(store, 2, ending: false)
        #expect(try ending(store, spared) == nil && ending(store, fresh) == nil)
        try raise(store, 3)
        // A later one of either kind changes nothing for those that are over.
        try raise(store, 4, .upstream)
        try raise(store, 5, ending: false)
        #expect(try ending(store, old) == entry(1, .others, .upstream, 0, 1))
        #expect(try ending(store, spared) == entry(3, .subject, .control, 1, 3))
        #expect(try ending(store, fresh) == entry(3, .subject, .control, 1, 3))
        #expect(try ending(store, bob) == nil)
    }

    @Test("access that was taken back is told of sessions that lived then", arguments: StoreKind.allCases)
    func access(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (long, short) = (Samples.session(), Samples.session())
        for session in [long, short] { try store.insert(session) }
        try raise(store, 1, .upstream, ending: false)
        _ = try store.end(short.sid, Session.Ending(at: at(2), reason: .logout))
        try raise(store, 3, ending: false)
        let late = Samples.session("alice", at: 4000, epoch: 2)
        try store.insert(late)
        try raise(store, 5)
        try raise(store, 6, ending: false)
        func expiries(_ session: Session) throws -> [WallTime]? {
            try store.find(session.sid)?.accessExpiries.map(\.at)
        }
        #expect(try expiries(long) == [at(1), at(3)])
        #expect(try expiries(short) == [at(1)])
        #expect(try expiries(late) == [])
        #expect(try store.find(long.sid)?.accessExpiries.first?.reason == .upstream)
    }

    @Test("a session has one end: what comes after does not take its place", arguments: StoreKind.allCases)
    func firstEndStays(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (session, other) = (Samples.session(), Samples.session())
        for session in [session, other] { try store.insert(session) }
        _ = try store.end(other.sid, Session.Ending(at: at(1), reason: .logout))
        try raise(store, 2, .upstream)
        for session in [session, other] {
            #expect(try store.end(session.sid, Session.Ending(at: at(3), reason: .replaced)) == nil)
        }
        #expect(try store.find(session.sid)?.state(at: at(4)) == .endedWithSubject)
        #expect(try ending(store, session)?.at == at(2))
        #expect(try store.find(other.sid)?.state(at: at(4)) == .ended(.logout))
    }

    @Test("the row of a subject does not grow, and what it does not know it does not guess")
    func bounded() throws {
        let store = try StoreKind.sqlite.make()
        let oldest = Samples.session()
        try store.insert(oldest)
        try raise(store, 0)
        var sessions: [Session] = []
        for round in 1...40 as ClosedRange<Int64> {
            let session = Samples.session(epoch: try store.epoch(of: "alice"))
            try store.insert(session)
            sessions.append(session)
            // Roles change more often than passwords do; that does not crowd the ends out.
            for _ in 0..<3 { try raise(store, round, ending: false) }
            try raise(store, round)
        }
        let trail = try #require(try store.find(oldest.sid)).subjectTrail
        #expect(SubjectTrail.entries(trail).count == 8 && trail.count < 400)
        #expect(try ending(store, oldest) == nil)
        for (round, session) in zip((1 as Int64)..., sessions) {
            #expect(try ending(store, session)?.at == (round > 32 ? at(round) : nil))
        }
    }

    @Test("what is written down is read again, and what is none of it is passed over")
    func lines() {
        let entries = [
            entry(1, .subject, .upstream, 0, 1), entry(2, .others, .control, 1, 2),
            entry(3, .access, .control, 2, 3),
        ]
        let trail = entries.reduce([]) { SubjectTrail.adding($1, to: $0) }
        #expect(SubjectTrail.entries(trail) == entries)
        for line in [
            "", "1 subject control 0", "x subject control 0 1", "1 all control 0 1", "1 subject me 0 1",
        ] {
            #expect(SubjectTrail.entries(trail + Array("\(line)\n".utf8)) == entries, "\(line)")
        }
    }

    @Test("a purge leaves what live rows still need, and a batch that is given up adds nothing")
    func purgeAndRollback() throws {
        for kind in StoreKind.allCases {
            let store = try kind.make()
            let (gone, kept) = (Samples.session(), Samples.session("alice", at: 9 * Samples.day))
            for session in [gone, kept] { try store.insert(session) }
            try raise(store, 10 * 86_400, .upstream)
            try store.beginBatch()
            try raise(store, 11 * 86_400)
            store.rollbackBatch()
            let late = start.advanced(byMilliseconds: 10 * Samples.day)
            #expect(try store.purge(before: late, limit: 9, now: late) == 1)
            #expect(try store.find(gone.sid) == nil)
            #expect(try store.find(kept.sid)?.subjectTrail.count(where: { $0 == UInt8(ascii: "\n") }) == 1)
            #expect(try ending(store, kept)?.reason == .upstream)
        }
    }
}
