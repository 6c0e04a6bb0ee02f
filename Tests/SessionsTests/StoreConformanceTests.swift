// What every store has to do, written once and run over each: rows come back as they were put, conditions
// hold, and a batch that is given up has not happened.

import Primitives
import Testing

@testable import Sessions

@Suite struct StoreConformanceTests {
    private let start = Samples.start

    @Test("a session comes back as it was put in", arguments: StoreKind.allCases)
    func insertAndFind(_ kind: StoreKind) throws {
        let store = try kind.make()
        var session = Samples.session("al\0ice é 😀")
        session.claims = [0, 255, 34]
        session.client = ClientDescription(userAgent: "", address: "", label: "'); DROP TABLE sessions; --")
        session.generation = .max
        session.isConfirmed = true
        session.trail = [0, 10, 255]
        try store.insert(session)
        let stored = StoredSession(session: session, subjectEpoch: 0, sessionsEpoch: 0)
        #expect(try store.find(session.sid) == stored)
        #expect(try store.find(.random()) == nil)
        #expect(throws: StoreError.self) { try store.insert(session) }
    }

    @Test("a session moves on only from the generation that is named", arguments: StoreKind.allCases)
    func rotation(_ kind: StoreKind) throws {
        let store = try kind.make()
        let session = Samples.session()
        try store.insert(session)
        try store.confirm(session.sid, generation: 0)
        #expect(try !store.rotate(session.sid, from: 1, to: Samples.rotation(to: 2)))
        #expect(try !store.rotate(.random(), from: 0, to: Samples.rotation(to: 1)))
        #expect(try store.find(session.sid)?.session.generation == 0)
        let other = ClientDescription(userAgent: "newer", address: "198.51.100.7", label: "not taken over")
        #expect(try store.rotate(session.sid, from: 0, to: Samples.rotation(to: 1, client: other)))
        #expect(try !store.rotate(session.sid, from: 0, to: Samples.rotation(to: 1)))
        let moved = try #require(try store.find(session.sid)?.session)
        #expect(moved.generation == 1 && moved.secretDigest == Samples.digest(1) && !moved.isConfirmed)
        #expect(moved.rotated == start.advanced(byMilliseconds: 1000) && moved.refreshed == moved.rotated)
        #expect(moved.idleDeadline == start.advanced(byMilliseconds: 1000 + 7 * Samples.day))
        #expect(moved.client.userAgent == "newer" && moved.client.address == "198.51.100.7")
        #expect(moved.client.label == "phone" && moved.claims == session.claims)
        #expect(moved.created == session.created && moved.finalDeadline == session.finalDeadline)
        #expect(try store.rotate(session.sid, from: 1, to: Samples.rotation(to: 9)))
        #expect(try store.find(session.sid)?.session.client.userAgent == "newer")
    }

    @Test("an ended session does not move on, and does not end twice", arguments: StoreKind.allCases)
    func ending(_ kind: StoreKind) throws {
        let store = try kind.make()
        let session = Samples.session()
        try store.insert(session)
        let ending = Session.Ending(at: start, reason: .logout)
        #expect(try store.end(.random(), ending) == nil)
        #expect(try store.end(session.sid, ending)?.subject == "alice")
        #expect(try store.end(session.sid, Session.Ending(at: start, reason: .replay)) == nil)
        #expect(try !store.rotate(session.sid, from: 0, to: Samples.rotation(to: 1)))
        let ended = try #require(try store.find(session.sid))
        #expect(ended.session.ended == ending && ended.session.generation == 0)
        #expect(ended.state(at: start) == .ended(.logout))
    }

    @Test("every reason is kept by its name", arguments: StoreKind.allCases)
    func reasons(_ kind: StoreKind) throws {
        let store = try kind.make()
        for reason in EndReason.allCases {
            let session = Samples.session()
            try store.insert(session)
            _ = try store.end(session.sid, Session.Ending(at: start, reason: reason))
            #expect(try store.find(session.sid)?.session.ended?.reason == reason)
        }
    }

    @Test("only the generation that is stored can be confirmed", arguments: StoreKind.allCases)
    func confirmation(_ kind: StoreKind) throws {
        let store = try kind.make()
        let session = Samples.session()
        try store.insert(session)
        try store.confirm(.random(), generation: 0)
        try store.confirm(session.sid, generation: 1)
        #expect(try store.find(session.sid)?.session.isConfirmed == false)
        try store.confirm(session.sid, generation: 0)
        try store.confirm(session.sid, generation: 0)
        #expect(try store.find(session.sid)?.session.isConfirmed == true)
        #expect(try store.rotate(session.sid, from: 0, to: Samples.rotation(to: 1)))
        #expect(try store.find(session.sid)?.session.isConfirmed == false)
    }

    @Test(
        "lists are newest first, of one subject or of all, and as long as asked",
        arguments: StoreKind.allCases)
    func lists(_ kind: StoreKind) throws {
        let store = try kind.make()
        let alice = (0..<4).map { Samples.session("alice", at: $0 * 1000) }
        let others = [Samples.session("bob", at: 10_000), Samples.session("Alice", at: 11_000)]
        for session in alice + others { try store.insert(session) }
        _ = try store.end(alice[1].sid, Session.Ending(at: start, reason: .idle))
        let newest = alice.reversed().map(\.sid)
        #expect(try store.list(subject: "alice", limit: 10).map(\.session.sid) == newest)
        #expect(try store.list(subject: "alice", limit: 2).map(\.session.sid) == Array(newest.prefix(2)))
        #expect(try store.list(subject: "carol", limit: 10).isEmpty)
        #expect(try store.list(subject: "alice", limit: 0).isEmpty)
        let all = try store.list(subject: nil, limit: 3).map(\.session.sid)
        #expect(all == [others[1].sid, others[0].sid, alice[3].sid])
        _ = try store.rotate(alice[0].sid, from: 0, to: Samples.rotation(to: 1, at: 99_000))
        #expect(try store.list(subject: nil, limit: 1).map(\.session.sid) == [others[1].sid])
        // However many have ended, those that live are not crowded out.
        for session in alice[1...] {
            _ = try store.end(session.sid, Session.Ending(at: start, reason: .logout))
        }
        #expect(try store.list(subject: "alice", limit: 4).map(\.session.sid) == newest)
    }

    @Test("the surplus of a subject is what lives beyond the newest few", arguments: StoreKind.allCases)
    func surplus(_ kind: StoreKind) throws {
        let store = try kind.make()
        let old = Samples.session("alice")
        try store.insert(old)
        _ = try store.raiseEpoch(of: "alice", endingSessions: true, sparing: nil, by: .control, at: start)
        let alice = (1..<8).map { Samples.session("alice", at: Int64($0) * 1000, epoch: 1) }
        let lapsed = Samples.session("alice", at: -8 * Samples.day, epoch: 1)
        for session in [lapsed] + alice + [Samples.session("bob")] { try store.insert(session) }
        _ = try store.end(alice[4].sid, Session.Ending(at: start, reason: .logout))
        func surplus(beyond count: Int, at time: WallTime) throws -> [SessionID] {
            try store.surplus(of: "alice", beyond: count, at: time)
        }
        #expect(try surplus(beyond: 4, at: start) == [alice[1].sid, alice[0].sid])
        #expect(try surplus(beyond: 6, at: start) == [])
        #expect(try surplus(beyond: 0, at: start).count == 6)
        #expect(try surplus(beyond: 0, at: start.advanced(byMilliseconds: 8 * Samples.day)) == [])
        #expect(try store.surplus(of: "carol", beyond: 0, at: start) == [])
    }

    @Test("what is noted of a session is kept, and nothing else changes", arguments: StoreKind.allCases)
    func trail(_ kind: StoreKind) throws {
        let store = try kind.make()
        var session = Samples.session()
        try store.insert(session)
        try store.note(.random(), trail: [1])
        #expect(try store.find(session.sid)?.session == session)
        session.trail = [1, 0, 2]
        try store.note(session.sid, trail: session.trail)
        #expect(try store.find(session.sid)?.session == session)
    }

    @Test("what ended long ago goes, a few rows at a time, and nothing else", arguments: StoreKind.allCases)
    func purge(_ kind: StoreKind) throws {
        let store = try kind.make()
        let live = Samples.session("live", at: 20 * Samples.day)
        let lapsed = (0..<3).map { _ in Samples.session("lapsed") }
        let ended = (0..<3).map { _ in Samples.session("ended", at: 20 * Samples.day) }
        // Its deadline passed long ago, but it was found out only now: the answer to "why" is kept a while.
        let foundOut = Samples.session("found out")
        for session in [foundOut, live] + lapsed + ended { try store.insert(session) }
        for session in ended { _ = try store.end(session.sid, Session.Ending(at: start, reason: .logout)) }
        let late = start.advanced(byMilliseconds: 8 * Samples.day)
        _ = try store.end(foundOut.sid, Session.Ending(at: late, reason: .idle))
        #expect(try store.purge(before: start, limit: 10, now: start) == 0)
        #expect(try store.purge(before: late, limit: 4, now: start) == 4)
        #expect(try store.purge(before: late, limit: 4, now: start) == 2)
        #expect(try store.purge(before: late, limit: 4, now: start) == 0)
        let left = try store.list(subject: nil, limit: 10).map(\.session.subject)
        #expect(left == ["live", "found out"])
        #expect(try store.purge(before: late.advanced(byMilliseconds: 1), limit: 4, now: start) == 1)
    }

    @Test(
        "what has been exchanged is remembered until its time, a few are forgotten at a time",
        arguments: StoreKind.allCases)
    func exchanged(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (kept, old) = (SessionID.random(), (0..<3).map { _ in SessionID.random() })
        for sid in old { try store.noteExchanged(sid, until: start) }
        try store.noteExchanged(kept, until: start.advanced(byMilliseconds: 1))
        let later = start.advanced(byMilliseconds: 1)
        _ = try store.purge(before: start, limit: 10, now: start)
        #expect(try old.filter(store.isExchanged).count == 3)
        _ = try store.purge(before: start, limit: 2, now: later)
        #expect(try old.filter(store.isExchanged).count == 1)
        _ = try store.purge(before: start, limit: 2, now: later)
        #expect(try old.filter(store.isExchanged).isEmpty && store.isExchanged(kept))
        #expect(try !store.isExchanged(.random()))
        // What is given up has not happened.
        let other = SessionID.random()
        try store.beginBatch()
        try store.noteExchanged(other, until: later.advanced(byMilliseconds: 1))
        _ = try store.purge(before: start, limit: 2, now: later.advanced(byMilliseconds: 1))
        #expect(try store.isExchanged(other) && !store.isExchanged(kept))
        store.rollbackBatch()
        #expect(try !store.isExchanged(other) && store.isExchanged(kept))
    }

    @Test("lapsed sessions are found among very many others", arguments: StoreKind.allCases)
    func sweep(_ kind: StoreKind) throws {
        let store = try kind.make()
        for number in 0..<1200 {
            let isLapsed = number.isMultiple(of: 400)
            try store.insert(Samples.session("\(number)", at: isLapsed ? 0 : 20 * Samples.day))
        }
        let late = start.advanced(byMilliseconds: 8 * Samples.day)
        var found = 0
        for _ in 0..<4 { found += try store.purge(before: late, limit: 10, now: late) }
        #expect(found == 3)
        // Once round: the search begins anew.
        try store.insert(Samples.session("late"))
        for _ in 0..<4 { found += try store.purge(before: late, limit: 10, now: late) }
        #expect(found == 4)
        #expect(try store.list(subject: nil, limit: 2000).count == 1197)
    }

    @Test("a batch that is given up has not happened", arguments: StoreKind.allCases)
    func rollback(_ kind: StoreKind) throws {
        let store = try kind.make()
        let (kept, moved, old) = (Samples.session(), Samples.session("bob"), Samples.session("old"))
        let added = Samples.session("carol")
        for session in [kept, moved, old] { try store.insert(session) }
        _ = try store.raiseEpoch(
            of: "alice", endingSessions: true, sparing: kept.sid, by: .control, at: start)
        let before = try snapshot(store, [kept, moved, old, added])
        for isCommitted in [false, true] {
            try store.beginBatch()
            try store.insert(added)
            #expect(try store.rotate(moved.sid, from: 0, to: Samples.rotation(to: 1)))
            try store.confirm(moved.sid, generation: 1)
            _ = try store.end(kept.sid, Session.Ending(at: start, reason: .control))
            _ = try store.raiseEpoch(of: "alice", endingSessions: true, sparing: nil, by: .control, at: start)
            _ = try store.raiseEpoch(of: "dave", endingSessions: false, sparing: nil, by: .control, at: start)
            let late = start.advanced(byMilliseconds: 7 * Samples.day + 1)
            #expect(try store.purge(before: late, limit: 10, now: start) == 3)
            let inside = try snapshot(store, [kept, moved, old, added])
            #expect(inside != before)
            if isCommitted { try store.commitBatch() } else { store.rollbackBatch() }
            #expect(try snapshot(store, [kept, moved, old, added]) == (isCommitted ? inside : before))
        }
        // Harmless when no batch is open, and a second one does not open inside the first.
        store.rollbackBatch()
        try store.beginBatch()
        #expect(throws: StoreError.self) { try store.beginBatch() }
        store.rollbackBatch()
        #expect(throws: StoreError.self) { try store.commitBatch() }
    }

    /// All that the store tells, as text.
    private func snapshot(_ store: any SessionStore, _ sessions: [Session]) throws -> [String] {
        var lines = try sessions.map { String(describing: try store.find($0.sid)) }
        lines += try ["alice", "bob", "dave"].map { "\($0) \(try store.epoch(of: $0))" }
        let revocations = try store.revocations(since: WallTime(milliseconds: 0))
        return lines + revocations.map { "\($0)" }.sorted()
    }
}
