// A copy of a database that is in use, made in small steps between its transactions. What the connection
// writes meanwhile goes into the copy as well, so it never has to begin anew.
//
// Owned by: the queue of the database it copies.

import CSQLite

/// A copy on its way.
@safe
package final class DatabaseCopy {
    private let source: Database
    /// The new file, until it is whole.
    private var target: Database?
    private var handle: OpaquePointer?

    /// Begins a copy into a file that is not there yet. Nothing is copied before the first step.
    package init(of source: Database, to path: String) throws(SQLiteError) {
        self.source = source
        let target = try Database(path: path)
        // Half a copy is of no use to anybody, so it needs no journal; whoever takes the whole one puts it on
        // disk. A commit that waited for that would keep every other transaction waiting.
        try target.execute("PRAGMA journal_mode = OFF")
        try target.execute("PRAGMA synchronous = OFF")
        try target.execute("PRAGMA locking_mode = EXCLUSIVE")
        unsafe handle = unsafe sqlite3_backup_init(target.handle, "main", source.handle, "main")
        if unsafe handle == nil { throw target.failure(SQLITE_ERROR, "backup \(path)") }
        self.target = target
    }

    deinit { unsafe sqlite3_backup_finish(handle) }

    /// Copies so many pages more; true when that was all.
    package func step(pages: Int32) throws(SQLiteError) -> Bool {
        guard let target else { return true }
        let result = unsafe sqlite3_backup_step(handle, pages)
        if result == SQLITE_OK { return false }
        let end = unsafe sqlite3_backup_finish(handle)
        unsafe handle = nil
        self.target = nil
        if result == SQLITE_DONE && end == SQLITE_OK { return true }
        throw target.failure(result == SQLITE_DONE ? end : result, "backup")
    }
}
