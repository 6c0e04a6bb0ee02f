// What SQLite can answer instead of a result: its extended code, its words, and the SQL. Never a bound value:
// those are sessions.

/// A failed call of SQLite.
package struct SQLiteError: Error, Sendable, CustomStringConvertible {
    /// What the failure means for whoever asked.
    package enum Kind: Sendable, Equatable {
        /// No room left on the disk (SQLITE_FULL).
        case full
        /// Somebody else holds the database (SQLITE_BUSY, SQLITE_LOCKED).
        case busy
        /// The file cannot be written (SQLITE_READONLY, SQLITE_PERM, SQLITE_CANTOPEN).
        case inaccessible
        /// The file is damaged or no database (SQLITE_CORRUPT, SQLITE_NOTADB).
        case corrupt
        /// The disk failed (SQLITE_IOERR).
        case inputOutput
        case other
    }

    /// SQLite's extended result code.
    package let code: Int32
    package let message: String
    package let sql: String

    package init(code: Int32, message: String, sql: String) {
        self.code = code
        self.message = message
        self.sql = sql
    }

    package var kind: Kind {
        switch code & 0xFF {
        case 13: .full
        case 5, 6: .busy
        case 3, 8, 14: .inaccessible
        case 11, 26: .corrupt
        case 10: .inputOutput
        default: .other
        }
    }

    package var description: String { "SQLite: \(message) (\(code)) in: \(sql)" }
}
