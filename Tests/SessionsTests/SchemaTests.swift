// Opening sessions.db: a good file is taken up again, any other is refused in one plain line and left as it
// is.

import Foundation
import Primitives
import SQLite
import Testing

@testable import Sessions

@Suite struct SchemaTests {
    private let directory: URL
    private var path: String { directory.appending(path: "sessions.db").path }

    init() throws { directory = try Samples.directory() }

    /// Why the file is refused; nil when it is opened.
    private func refusal(_ path: String) -> StoreError? {
        do throws(StoreError) {
            _ = try SQLiteSessionStore(path: path)
            return nil
        } catch {
            return error
        }
    }

    private func expectRefusal(_ words: String, at path: String) {
        guard let error = refusal(path) else {
            Issue.record("the file was opened")
            return
        }
        #expect(error.kind == .unusable)
        #expect(error.detail.hasPrefix(path) && error.detail.contains(words) && !error.detail.contains("\n"))
    }

    private func make(_ sql: String) throws { try Database(path: path).execute(sql) }

    @Test("a new file is made, is ours, and has the newest version")
    func fresh() throws {
        #expect(refusal(path) == nil)
        let database = try Database(path: path)
        #expect(try database.integer("PRAGMA application_id") == SessionSchema.applicationID)
        #expect(try database.integer("PRAGMA user_version") == Int64(SessionSchema.migrations.count))
        #expect(try database.text("PRAGMA journal_mode") == "wal")
        #expect(try database.text("PRAGMA integrity_check") == "ok")
    }

    @Test("an empty file is as good as none")
    func empty() throws {
        try Data().write(to: URL(filePath: path))
        #expect(refusal(path) == nil)
    }

    @Test("what was stored is there when the file is opened again")
    func reopened() throws {
        let session = Samples.session()
        do {
            let store = try SQLiteSessionStore(path: path)
            try store.insert(session)
            _ = try store.rotate(session.sid, from: 0, to: Samples.rotation(to: 1))
        }
        for _ in 0..<2 {
            let store = try SQLiteSessionStore(path: path)
            #expect(try store.find(session.sid)?.session.generation == 1)
        }
    }

    @Test(
        "a file of every earlier version is brought forward, and nothing in it is lost",
        arguments: SchemaFixtures.all.keys.sorted())
    func migration(_ version: Int) throws {
        #expect(SchemaFixtures.all.count == SessionSchema.migrations.count - 1)
        try make(try #require(SchemaFixtures.all[version]))
        do {
            let store = try SQLiteSessionStore(path: path)
            let sids = try SchemaFixtures.sids
            let live = try #require(try store.find(sids[0]))
            #expect(live.subjectEpoch == 3 && live.sessionsEpoch == 2 && live.session.ended == nil)
            var expected = Samples.session("alice", at: 1000, sid: sids[0], epoch: 3)
            expected.claims = Array("{}".utf8)
            expected.refreshed = Samples.start.advanced(byMilliseconds: 2000)
            expected.idleDeadline = expected.refreshed.advanced(byMilliseconds: 7 * Samples.day)
            expected.generation = 7
            expected.rotated = Samples.start.advanced(byMilliseconds: 2500)
            expected.isConfirmed = true
            #expect(live.session == expected)
            #expect(try store.list(subject: "alice", limit: 9).map(\.session.sid) == sids)
            let ended = Session.Ending(at: Samples.start.advanced(byMilliseconds: 3000), reason: .logout)
            #expect(try store.find(sids[1])?.session.ended == ended)
            #expect(try store.revocations(since: Samples.start).count == 2)
            #expect(try store.rotate(sids[0], from: 7, to: Samples.rotation(to: 8)))
            #expect(try store.isExchanged(sids[0]) == (version >= 2))
            // Who ended a subject's sessions was not kept then, and is from now on.
            #expect(live.subjectTrail.isEmpty)
            _ = try store.raiseEpoch(
                of: "alice", endingSessions: true, sparing: nil, by: .upstream, at: Samples.start)
            let ending = SubjectTrail.Entry(
                at: Samples.start, what: .subject, reason: .upstream, sessionsEpoch: 2, epoch: 4)
            #expect(try store.find(sids[0])?.subjectEnding == ending)
        }
        #expect(try schema(path) == schema(Samples.made()))
        let database = try Database(path: path)
        #expect(try database.text("PRAGMA integrity_check") == "ok")
    }

    /// What a database is made of, whichever way it came to be.
    private func schema(_ path: String) throws -> [String] {
        var lines: [String] = []
        let database = try Database(path: path)
        let sql = "SELECT name || ' ' || ifnull(sql, '') FROM sqlite_schema ORDER BY name"
        try database.prepare(sql).rows { row in
            lines.append(row.text(0).split(whereSeparator: \.isWhitespace).joined(separator: " "))
        }
        return lines + ["\(try database.integer("PRAGMA user_version") ?? 0)"]
    }

    @Test("a file of a newer gateway is refused, and keeps its version")
    func newer() throws {
        #expect(refusal(path) == nil)
        let next = SessionSchema.migrations.count + 1
        try make("PRAGMA user_version = \(next)")
        expectRefusal("has schema version \(next)", at: path)
        #expect(try Database(path: path).integer("PRAGMA user_version") == Int64(next))
        try make("PRAGMA user_version = \(SessionSchema.migrations.count)")
        #expect(refusal(path) == nil)
    }

    @Test(
        "a database of another program is refused, and not even its journal mode is changed",
        arguments: [
            "CREATE TABLE notes (text)", "CREATE TABLE notes (text); PRAGMA user_version = 1",
            "CREATE TABLE notes (text); PRAGMA application_id = 7", "PRAGMA user_version = 5",
            "PRAGMA application_id = 7; PRAGMA user_version = 1",
        ])
    func foreign(_ sql: String) throws {
        try make(sql)
        let before = try Data(contentsOf: URL(filePath: path))
        expectRefusal("is a database, but not one of auth-gateway", at: path)
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
    }

    @Test("a version below the first is refused, and is no crash")
    func negativeVersion() throws {
        #expect(refusal(path) == nil)
        try make("PRAGMA user_version = -1")
        expectRefusal("is a database, but not one of auth-gateway", at: path)
    }

    @Test("a file that is no database is refused as damaged, and stays", arguments: [10, 511, 4096, 100_000])
    func garbage(_ count: Int) throws {
        let bytes = Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) })
        try bytes.write(to: URL(filePath: path))
        expectRefusal("is damaged or no database", at: path)
        #expect(try Data(contentsOf: URL(filePath: path)) == bytes)
    }

    @Test("a database that was overwritten in the middle is refused as damaged")
    func overwritten() throws {
        #expect(refusal(path) == nil)
        var bytes = try Data(contentsOf: URL(filePath: path))
        for index in 100..<1000 { bytes[index] = 0xA5 }
        try bytes.write(to: URL(filePath: path))
        expectRefusal("is damaged", at: path)
    }

    @Test("a second gateway on the same file is refused while the first runs, fresh or reopened")
    func secondOpener() throws {
        for _ in 0..<2 {
            let first = try SQLiteSessionStore(path: path)
            expectRefusal("is in use by another process", at: path)
            // The first one is none the worse for it.
            let session = Samples.session()
            try first.insert(session)
            #expect(try first.find(session.sid) != nil)
        }
        #expect(refusal(path) == nil)
    }

    @Test("a path that cannot be opened is refused")
    func unreadable() throws {
        expectRefusal("cannot be opened for reading and writing", at: path + "-missing/sessions.db")
        expectRefusal("cannot be opened for reading and writing", at: directory.path)
        try Data("file".utf8).write(to: URL(filePath: path))
        expectRefusal("cannot be opened for reading and writing", at: path + "/sessions.db")
    }

    @Test("a write-ahead log that was cut short loses its last transactions, and nothing before them")
    func tornLog() throws {
        let store = try SQLiteSessionStore(path: path)
        let session = Samples.session()
        try store.insert(session)
        let whole = try Data(contentsOf: URL(filePath: path + "-wal")).count
        for generation in 1...5 as ClosedRange<UInt32> {
            let next = Samples.rotation(to: generation)
            #expect(try store.rotate(session.sid, from: generation - 1, to: next))
        }
        let log = try Data(contentsOf: URL(filePath: path + "-wal"))
        var generations: [UInt32] = []
        for cut in [log.count, log.count - 1, log.count - 5000, whole, whole - 1] {
            let copy = try Samples.directory().appending(path: "sessions.db").path
            try FileManager.default.copyItem(atPath: path, toPath: copy)
            try log.prefix(cut).write(to: URL(filePath: copy + "-wal"))
            let found = try SQLiteSessionStore(path: copy).find(session.sid)
            if cut < whole {
                #expect(found == nil)
            } else {
                generations.append(try #require(found).session.generation)
            }
        }
        #expect(generations.first == 5 && generations[1] == 4 && generations.last == 0)
        #expect(generations == generations.sorted(by: >))
    }
}
