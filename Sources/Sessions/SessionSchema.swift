// The tables of sessions.db, as an ordered list of migrations: `PRAGMA user_version` says how many have run.
// A newer version than this list knows is refused; it belongs to a newer gateway.

import SQLite

/// The schema of the sessions database.
enum SessionSchema {
    /// "agw1": says that the file is ours (`PRAGMA application_id`).
    static let applicationID: Int64 = 0x6167_7731

    /// Version n is what the first n entries make.
    static let migrations = [
        """
        CREATE TABLE sessions (
            sid            BLOB PRIMARY KEY,
            subject        TEXT NOT NULL,
            claims         BLOB NOT NULL,
            user_agent     TEXT NOT NULL,
            address        TEXT NOT NULL,
            label          TEXT NOT NULL,
            created        INTEGER NOT NULL,
            refreshed      INTEGER NOT NULL,
            idle_deadline  INTEGER NOT NULL,
            final_deadline INTEGER NOT NULL,
            generation     INTEGER NOT NULL,
            secret_digest  BLOB NOT NULL,
            rotated        INTEGER NOT NULL,
            confirmed      INTEGER NOT NULL,
            epoch          INTEGER NOT NULL,
            ended          INTEGER,
            end_reason     TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX sessions_by_subject ON sessions (subject, created);
        CREATE INDEX sessions_by_idle_deadline ON sessions (idle_deadline);
        CREATE INDEX sessions_by_end ON sessions (ended) WHERE ended IS NOT NULL;
        CREATE TABLE subjects (
            subject        TEXT PRIMARY KEY,
            epoch          INTEGER NOT NULL,
            sessions_epoch INTEGER NOT NULL,
            spared         BLOB,
            spared_epoch   INTEGER NOT NULL,
            raised         INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX subjects_by_raised ON subjects (raised);
        """,
        """
        CREATE TABLE exchanged (
            sid        BLOB PRIMARY KEY,
            remembered INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX exchanged_by_remembered ON exchanged (remembered);
        """,
        // A rotation touches one page: rows lie in the order of their making, found by an index that never
        // changes, and no index has a column that a rotation moves. Wide rows as the tree itself made of each
        // level a tenth of the one below, and of each rotation two or three pages of the log.
        """
        CREATE TABLE rows (
            id             INTEGER PRIMARY KEY,
            sid            BLOB NOT NULL,
            subject        TEXT NOT NULL,
            claims         BLOB NOT NULL,
            user_agent     TEXT NOT NULL,
            address        TEXT NOT NULL,
            label          TEXT NOT NULL,
            created        INTEGER NOT NULL,
            refreshed      INTEGER NOT NULL,
            idle_deadline  INTEGER NOT NULL,
            final_deadline INTEGER NOT NULL,
            generation     INTEGER NOT NULL,
            secret_digest  BLOB NOT NULL,
            rotated        INTEGER NOT NULL,
            confirmed      INTEGER NOT NULL,
            epoch          INTEGER NOT NULL,
            ended          INTEGER,
            end_reason     TEXT,
            trail          BLOB NOT NULL DEFAULT x''
        ) STRICT;
        INSERT INTO rows (sid, subject, claims, user_agent, address, label, created, refreshed, idle_deadline,
                final_deadline, generation, secret_digest, rotated, confirmed, epoch, ended, end_reason)
            SELECT sid, subject, claims, user_agent, address, label, created, refreshed, idle_deadline,
                final_deadline, generation, secret_digest, rotated, confirmed, epoch, ended, end_reason
            FROM sessions ORDER BY created;
        DROP TABLE sessions;
        ALTER TABLE rows RENAME TO sessions;
        CREATE UNIQUE INDEX sessions_by_sid ON sessions (sid);
        CREATE INDEX sessions_by_subject ON sessions (subject, ended);
        CREATE INDEX sessions_by_end ON sessions (ended) WHERE ended IS NOT NULL;
        """,
        "ALTER TABLE subjects ADD COLUMN trail BLOB NOT NULL DEFAULT x''",
    ]

    /// Says why an opened database cannot be used; nil when it is ours, or new. Changes nothing in it.
    ///
    /// - Parameter isReader: whether it is to stay as it is, which an earlier version cannot.
    static func refusal(
        of database: Database, path: String, isReader: Bool
    ) throws(SQLiteError) -> StoreError? {
        let version = try database.integer("PRAGMA user_version") ?? 0
        let application = try database.integer("PRAGMA application_id") ?? 0
        let isEmpty = try database.integer("SELECT count(*) FROM sqlite_schema") == 0
        let isNew = isEmpty && application == 0 && version == 0
        if !isNew && (application != applicationID || version < 1) {
            return StoreError(kind: .unusable, detail: "\(path) is a database, but not one of auth-gateway")
        }
        if version > migrations.count {
            return StoreError(
                kind: .unusable,
                detail:
                    "\(path) has schema version \(version); this gateway knows up to \(migrations.count): "
                    + "it belongs to a newer gateway")
        }
        if isReader && version < migrations.count {
            let detail =
                isNew
                ? "\(path) is empty" : "\(path) is of an earlier gateway: the next start brings it forward"
            return StoreError(kind: .unusable, detail: detail)
        }
        return nil
    }

    /// Brings a database that is ours, or new, to the newest version.
    static func migrate(_ database: Database) throws(SQLiteError) {
        let version = Int(try database.integer("PRAGMA user_version") ?? 0)
        if version == migrations.count { return }
        try database.execute("BEGIN IMMEDIATE")
        for migration in migrations[version...] { try database.execute(migration) }
        try database.execute("PRAGMA application_id = \(applicationID)")
        try database.execute("PRAGMA user_version = \(migrations.count)")
        try database.execute("COMMIT")
    }
}
