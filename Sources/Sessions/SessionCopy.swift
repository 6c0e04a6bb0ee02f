// Copies of the session database for backups, while it is in use, and the look for damage in a database that
// is not. Only a store that is a file has them; others bring tools of their own.

import SQLite

/// A store that can be copied while it works.
package protocol CopyableSessionStore: SessionStore {
    /// Begins a copy into a new file.
    func copy(to path: String) throws(StoreError) -> any SessionCopy
}

/// A copy on its way. Owned by: the sessions queue.
package protocol SessionCopy: AnyObject {
    /// Copies a little more, between two transactions; true when that was all.
    func step() throws(StoreError) -> Bool
}

extension SQLiteSessionStore: CopyableSessionStore {
    package func copy(to path: String) throws(StoreError) -> any SessionCopy {
        do throws(SQLiteError) {
            return SQLiteSessionCopy(try DatabaseCopy(of: database, to: path))
        } catch {
            throw StoreError(kind: .unavailable, detail: error.description)
        }
    }

    /// What is wrong with the file, a line for each finding; it is read from end to end, so not while a
    /// gateway works on it.
    package func damage() throws(StoreError) -> [String] {
        do throws(SQLiteError) {
            var findings: [String] = []
            try database.prepare("PRAGMA quick_check").rows { findings.append($0.text(0)) }
            return findings == ["ok"] ? [] : findings
        } catch {
            if error.kind == .corrupt { return [error.message] }
            throw StoreError(kind: .unavailable, detail: error.description)
        }
    }
}

private final class SQLiteSessionCopy: SessionCopy {
    private let copy: DatabaseCopy

    init(_ copy: DatabaseCopy) { self.copy = copy }

    func step() throws(StoreError) -> Bool {
        do throws(SQLiteError) {
            return try copy.step(pages: Self.pages)
        } catch {
            throw StoreError(kind: .unavailable, detail: error.description)
        }
    }

    /// Of 4 kB: less than a millisecond's work.
    private static let pages: Int32 = 64
}

extension SessionBook {
    /// False when a copy is being made already, or the store makes none.
    func beginCopy(to path: String) throws(StoreError) -> Bool {
        guard copy == nil, let store = store as? any CopyableSessionStore else { return false }
        copy = try store.copy(to: path)
        return true
    }

    /// True when it is whole; nil when there is none any more, since the store was closed meanwhile.
    func continueCopy() throws(StoreError) -> Bool? {
        guard let copy else { return nil }
        if try !copy.step() { return false }
        endCopy()
        return true
    }

    func endCopy() { copy = nil }
}
