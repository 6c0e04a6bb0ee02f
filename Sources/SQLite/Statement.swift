// A compiled statement: bind, step, read, reset. Values are bound, never written into SQL.

import CSQLite

/// A prepared statement. Owned by the queue of its database, which it keeps open.
@safe
package final class Statement {
    private let handle: OpaquePointer
    private let database: Database
    private let sql: String

    init(_ handle: OpaquePointer, of database: Database, sql: String) {
        unsafe self.handle = handle
        self.database = database
        self.sql = sql
    }

    deinit { unsafe sqlite3_finalize(handle) }

    /// One value for a parameter, or of a column.
    package enum Value: Sendable {
        case integer(Int64)
        case text(String)
        case blob([UInt8])
        case null
    }

    /// Runs the statement once to its end with these values; rows are passed over.
    package func run(_ values: Value...) throws(SQLiteError) {
        try bind(values)
        defer { reset() }
        while try step() {}
    }

    /// Runs the statement with these values and hands each row to `body`.
    package func rows(_ values: Value..., body: (Statement) -> Void) throws(SQLiteError) {
        try bind(values)
        defer { reset() }
        while try step() { body(self) }
    }

    /// Goes to the next row; false when there is none.
    func step() throws(SQLiteError) -> Bool {
        switch unsafe sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            let failure = database.failure(code, sql)
            reset()
            throw failure
        }
    }

    package func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    package func isNull(_ column: Int32) -> Bool {
        unsafe sqlite3_column_type(handle, column) == SQLITE_NULL
    }

    package func text(_ column: Int32) -> String {
        guard let bytes = unsafe sqlite3_column_blob(handle, column) else { return "" }
        let count = unsafe Int(sqlite3_column_bytes(handle, column))
        return unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    package func blob(_ column: Int32) -> [UInt8] {
        guard let bytes = unsafe sqlite3_column_blob(handle, column) else { return [] }
        let count = unsafe Int(sqlite3_column_bytes(handle, column))
        return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
    }

    private func bind(_ values: [Value]) throws(SQLiteError) {
        for (offset, value) in values.enumerated() {
            let index = Int32(offset + 1)
            let result =
                switch value {
                case .integer(let number): unsafe sqlite3_bind_int64(handle, index, number)
                case .text(let text): bindText(text, index)
                case .blob(let bytes): bindBlob(bytes, index)
                case .null: unsafe sqlite3_bind_null(handle, index)
                }
            if result != SQLITE_OK { throw database.failure(result, sql) }
        }
    }

    private func bindText(_ text: String, _ index: Int32) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe gateway_sqlite3_bind_text(
                    handle, index, characters.baseAddress, Int32(characters.count))
            }
        }
    }

    private func bindBlob(_ bytes: [UInt8], _ index: Int32) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe gateway_sqlite3_bind_blob(handle, index, bytes.baseAddress, Int32(bytes.count))
        }
    }

    private func reset() {
        unsafe sqlite3_reset(handle)
        unsafe sqlite3_clear_bindings(handle)
    }
}
