// The SQLite wrapper: what is bound comes back, failures carry their kind and never a value, transactions are
// seen.

import Foundation
import SQLite
import Testing

@Suite struct DatabaseTests {
    private let directory: URL
    private let database: Database

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "sqlite-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        database = try Database(path: directory.appending(path: "test.db").path)
    }

    private func kind(_ body: () throws(SQLiteError) -> Void) -> SQLiteError.Kind? {
        do throws(SQLiteError) {
            try body()
            return nil
        } catch {
            return error.kind
        }
    }

    @Test("every kind of value comes back as it was bound")
    func values() throws {
        try database.execute("CREATE TABLE t (a INTEGER, b TEXT, c BLOB, d TEXT) STRICT")
        let texts = ["", "a", "with \0 inside", "é\u{301} 😀", String(repeating: "x", count: 100_000)]
        let blobs: [[UInt8]] = [[], [0], Array(0...255), [UInt8](repeating: 7, count: 100_000)]
        let insert = try database.prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4)")
        let read = try database.prepare("SELECT a, b, c, d FROM t WHERE a = ?1")
        var number = Int64.min
        for text in texts {
            for blob in blobs {
                try insert.run(.integer(number), .text(text), .blob(blob), .null)
                #expect(database.changedRows == 1)
                var rows = 0
                try read.rows(.integer(number)) { row in
                    rows += 1
                    #expect(row.integer(0) == number && row.text(1) == text && row.blob(2) == blob)
                    #expect(row.isNull(3) && !row.isNull(1) && !row.isNull(2))
                }
                #expect(rows == 1)
                number += 1
            }
        }
        try insert.run(.integer(.max), .text("last"), .blob([]), .null)
        #expect(try database.integer("SELECT max(a) FROM t") == .max)
    }

    @Test("text is compared byte by byte: two spellings of one letter are two texts")
    func spellings() throws {
        try database.execute("CREATE TABLE t (a TEXT PRIMARY KEY) STRICT, WITHOUT ROWID")
        let insert = try database.prepare("INSERT INTO t VALUES (?1)")
        try insert.run(.text("\u{e9}"))
        try insert.run(.text("e\u{301}"))
        #expect(try database.integer("SELECT count(*) FROM t") == 2)
    }

    @Test("the first value of a query is read, and none where there is no row")
    func first() throws {
        #expect(try database.integer("SELECT 41 + 1") == 42)
        #expect(try database.text("SELECT 'words'") == "words")
        #expect(try database.integer("SELECT 1 WHERE 0") == nil)
        #expect(try database.text("SELECT 1 WHERE 0") == nil)
    }

    @Test("a failed statement can be used again, and its error names the SQL but no value")
    func failedStatement() throws {
        try database.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL) STRICT")
        let insert = try database.prepare("INSERT INTO t VALUES (?1, ?2)")
        try insert.run(.integer(1), .text("first"))
        do throws(SQLiteError) {
            try insert.run(.integer(1), .text("a-secret-value"))
            Issue.record("a second row with the same key")
        } catch {
            #expect(error.kind == .other && error.description.contains("INSERT INTO t"))
            #expect(!error.description.contains("a-secret-value"))
        }
        #expect(kind { () throws(SQLiteError) in try insert.run(.integer(2), .null) } == .other)
        try insert.run(.integer(2), .text("second"))
        #expect(try database.integer("SELECT count(*) FROM t") == 2)
    }

    @Test("too many values are refused, and the statement stays good")
    func tooManyValues() throws {
        let select = try database.prepare("SELECT ?1")
        #expect(kind { () throws(SQLiteError) in try select.run(.integer(1), .integer(2)) } == .other)
        var found: Int64?
        try select.rows(.integer(3)) { found = $0.integer(0) }
        #expect(found == 3)
    }

    @Test("what one run binds is not there in the next")
    func bindingsAreCleared() throws {
        let select = try database.prepare("SELECT ?1, ?2")
        try select.run(.integer(1), .text("left over"))
        var isNull = false
        try select.rows(.integer(2)) { isNull = $0.isNull(1) }
        #expect(isNull)
    }

    @Test("an open transaction is seen, and a rolled back one leaves nothing")
    func transactions() throws {
        try database.execute("CREATE TABLE t (a INTEGER) STRICT")
        #expect(!database.isInTransaction)
        try database.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
        #expect(database.isInTransaction)
        try database.execute("ROLLBACK")
        #expect(!database.isInTransaction)
        #expect(try database.integer("SELECT count(*) FROM t") == 0)
    }

    @Test("wrong SQL is an error and not a crash")
    func wrongSQL() {
        #expect(kind { () throws(SQLiteError) in try database.execute("SELEC 1") } == .other)
        #expect(
            kind { () throws(SQLiteError) in _ = try database.prepare("SELECT * FROM nothing") } == .other)
        #expect(kind { () throws(SQLiteError) in _ = try database.prepare("") } != nil)
    }

    @Test("a statement keeps its database open")
    func lifetime() throws {
        let path = directory.appending(path: "other.db").path
        func statement() throws -> Statement { try Database(path: path).prepare("SELECT 5") }
        let five = try statement()
        var found: Int64?
        try five.rows { found = $0.integer(0) }
        #expect(found == 5)
    }
}

/// Each way in which a file can be no good, told apart.
@Suite struct DatabaseFailureTests {
    private let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "sqlite-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    private func failure(_ name: String, _ sql: String) -> SQLiteError.Kind? {
        do throws(SQLiteError) {
            try Database(path: directory.appending(path: name).path).execute(sql)
            return nil
        } catch {
            return error.kind
        }
    }

    @Test("a path that cannot be opened is inaccessible, a file that can be made is made")
    func paths() throws {
        #expect(failure("missing/test.db", "SELECT 1") == .inaccessible)
        #expect(failure("", "SELECT 1") == .inaccessible)
        #expect(failure("fresh.db", "CREATE TABLE t (a)") == nil)
        #expect(FileManager.default.fileExists(atPath: directory.appending(path: "fresh.db").path))
    }

    @Test("a file that is no database is corrupt", arguments: [10, 100, 5000])
    func garbage(_ count: Int) throws {
        let bytes = Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) })
        try bytes.write(to: directory.appending(path: "garbage.db"))
        #expect(failure("garbage.db", "CREATE TABLE t (a)") == .corrupt)
    }

    @Test("a database that another connection writes to is busy")
    func busy() throws {
        let writer = try Database(path: directory.appending(path: "busy.db").path)
        try writer.execute("CREATE TABLE t (a); BEGIN EXCLUSIVE")
        #expect(failure("busy.db", "INSERT INTO t VALUES (1)") == .busy)
        try writer.execute("COMMIT")
        #expect(failure("busy.db", "INSERT INTO t VALUES (1)") == nil)
    }

    @Test("a database that may not grow is full, and has lost nothing")
    func full() throws {
        let database = try Database(path: directory.appending(path: "full.db").path)
        try database.execute(
            "CREATE TABLE t (a BLOB); INSERT INTO t VALUES (x'00'); PRAGMA max_page_count = 4")
        do throws(SQLiteError) {
            try database.execute("INSERT INTO t VALUES (zeroblob(100000))")
            Issue.record("more than four pages were written")
        } catch {
            #expect(error.kind == .full)
        }
        try database.execute("PRAGMA max_page_count = 1000; INSERT INTO t VALUES (zeroblob(100000))")
        #expect(try database.integer("SELECT count(*) FROM t") == 2)
    }

    @Test("each result code means what SQLite says, extended or not")
    func kinds() {
        let expected: [(Int32, SQLiteError.Kind)] = [
            (13, .full), (5, .busy), (6, .busy), (261, .busy), (3, .inaccessible), (8, .inaccessible),
            (14, .inaccessible), (1032, .inaccessible), (11, .corrupt), (26, .corrupt), (267, .corrupt),
            (10, .inputOutput), (4874, .inputOutput), (1, .other), (19, .other), (21, .other),
        ]
        for (code, kind) in expected {
            #expect(SQLiteError(code: code, message: "", sql: "").kind == kind, "code \(code)")
        }
    }
}
