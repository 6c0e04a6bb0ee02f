// One connection to one SQLite file. It does every write and every checkpoint of the process: SQLite before
// 3.51.3 can corrupt a write-ahead log when several connections do.
//
// Owned by: the queue that made it; SQLITE_OPEN_NOMUTEX leaves the locking to that. Unsafe code is confined
// to this module: the C handle is private and freed in `deinit`.

import CSQLite

/// An open database.
@safe
package final class Database {
    let handle: OpaquePointer
    private let path: String

    /// The version of the library as the process has found it.
    package static var libraryVersion: String { unsafe String(cString: sqlite3_libversion()) }

    /// Opens a database file; made when it is not there, unless it has to be.
    package init(path: String, isThere: Bool = false) throws(SQLiteError) {
        var opened: OpaquePointer?
        let access = SQLITE_OPEN_READWRITE | (isThere ? 0 : SQLITE_OPEN_CREATE)
        let flags = access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let result = unsafe sqlite3_open_v2(path, &opened, flags, nil)
        guard result == SQLITE_OK, let opened = unsafe opened else {
            let message = unsafe opened.map { unsafe String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            unsafe sqlite3_close_v2(opened)
            throw SQLiteError(code: result, message: message, sql: "open \(path)")
        }
        unsafe handle = opened
        self.path = path
    }

    deinit { unsafe sqlite3_close_v2(handle) }

    /// Runs statements that answer nothing.
    package func execute(_ sql: String) throws(SQLiteError) {
        let result = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
        if result != SQLITE_OK { throw failure(result, sql) }
    }

    /// Compiles a statement, to be used many times.
    package func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        var compiled: OpaquePointer?
        let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
        let result = unsafe sqlite3_prepare_v3(handle, sql, -1, flags, &compiled, nil)
        guard result == SQLITE_OK, let compiled = unsafe compiled else { throw failure(result, sql) }
        return unsafe Statement(compiled, of: self, sql: sql)
    }

    /// The first value of the first row that `sql` answers, as an integer; nil when there is no row.
    package func integer(_ sql: String) throws(SQLiteError) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : nil
    }

    /// The first value of the first row that `sql` answers, as text; nil when there is no row.
    package func text(_ sql: String) throws(SQLiteError) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : nil
    }

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    package var changedRows: Int { unsafe Int(sqlite3_changes(handle)) }

    /// Whether a transaction is open. A failure such as a full disk may have rolled it back already.
    package var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

    func failure(_ code: Int32, _ sql: String) -> SQLiteError {
        let message = unsafe String(cString: sqlite3_errmsg(handle))
        return SQLiteError(code: code, message: message, sql: sql)
    }
}
