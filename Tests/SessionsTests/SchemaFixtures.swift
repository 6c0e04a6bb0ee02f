// sessions.db as earlier gateways made it, with rows in it: SQL text, one entry for each schema version. What
// a version was does not change any more.

import Primitives
import Testing

/// Databases of earlier versions.
enum SchemaFixtures {
    /// By version; the newest one is made by the store itself.
    static let all: [Int: String] = [1: version1, 2: version2, 3: version3]

    /// The session that each fixture holds alive, and the one that ended.
    static var sids: [SessionID] {
        get throws {
            try [UInt8(0x11), 0x22].map { byte in
                let bytes = [UInt8](repeating: byte, count: 16)
                let sid = SessionID(bytes: bytes.span)
                return try #require(sid)
            }
        }
    }

    private static let version1 = "PRAGMA user_version = 1;" + tables
    private static let version2 = "PRAGMA user_version = 2;" + tables + exchanged
    private static let version3 =
        "PRAGMA user_version = 3; PRAGMA application_id = 1634170673;" + exchanged + subjects + """
            CREATE TABLE rows (
                id INTEGER PRIMARY KEY, sid BLOB NOT NULL, subject TEXT NOT NULL, claims BLOB NOT NULL,
                user_agent TEXT NOT NULL, address TEXT NOT NULL, label TEXT NOT NULL,
                created INTEGER NOT NULL, refreshed INTEGER NOT NULL,
                idle_deadline INTEGER NOT NULL, final_deadline INTEGER NOT NULL,
                generation INTEGER NOT NULL, secret_digest BLOB NOT NULL, rotated INTEGER NOT NULL,
                confirmed INTEGER NOT NULL, epoch INTEGER NOT NULL, ended INTEGER, end_reason TEXT,
                trail BLOB NOT NULL DEFAULT x''
            ) STRICT;
            ALTER TABLE rows RENAME TO sessions;
            CREATE UNIQUE INDEX sessions_by_sid ON sessions (sid);
            CREATE INDEX sessions_by_subject ON sessions (subject, ended);
            CREATE INDEX sessions_by_end ON sessions (ended) WHERE ended IS NOT NULL;
            INSERT INTO sessions VALUES (1, x'22222222222222222222222222222222', 'alice', x'7b7d', '', '', '',
                1700000000000, 1700000000000, 1700604800000, 1707776000000, 0,
                x'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 1700000000000,
                0, 0, 1700000003000, 'logout', x'');
            INSERT INTO sessions VALUES (2, x'11111111111111111111111111111111', 'alice', x'7b7d', 'browser',
                '192.0.2.1', 'phone', 1700000001000, 1700000002000, 1700604802000, 1707776001000, 7,
                x'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 1700000002500,
                1, 3, NULL, NULL, x'');
            """

    private static let exchanged = """
        CREATE TABLE exchanged (
            sid BLOB PRIMARY KEY, remembered INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX exchanged_by_remembered ON exchanged (remembered);
        INSERT INTO exchanged VALUES (x'11111111111111111111111111111111', 1900000000000);
        """

    private static let tables = """
        PRAGMA application_id = 1634170673;
        CREATE TABLE sessions (
            sid BLOB PRIMARY KEY, subject TEXT NOT NULL, claims BLOB NOT NULL, user_agent TEXT NOT NULL,
            address TEXT NOT NULL, label TEXT NOT NULL, created INTEGER NOT NULL, refreshed INTEGER NOT NULL,
            idle_deadline INTEGER NOT NULL, final_deadline INTEGER NOT NULL, generation INTEGER NOT NULL,
            secret_digest BLOB NOT NULL, rotated INTEGER NOT NULL, confirmed INTEGER NOT NULL,
            epoch INTEGER NOT NULL, ended INTEGER, end_reason TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX sessions_by_subject ON sessions (subject, created);
        CREATE INDEX sessions_by_idle_deadline ON sessions (idle_deadline);
        CREATE INDEX sessions_by_end ON sessions (ended) WHERE ended IS NOT NULL;
        INSERT INTO sessions VALUES (x'11111111111111111111111111111111', 'alice', x'7b7d', 'browser',
            '192.0.2.1', 'phone', 1700000001000, 1700000002000, 1700604802000, 1707776001000, 7,
            x'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 1700000002500,
            1, 3, NULL, NULL);
        INSERT INTO sessions VALUES (x'22222222222222222222222222222222', 'alice', x'7b7d', '', '', '',
            1700000000000, 1700000000000, 1700604800000, 1707776000000, 0,
            x'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 1700000000000,
            0, 0, 1700000003000, 'logout');
        """ + subjects

    private static let subjects = """
        CREATE TABLE subjects (
            subject TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sessions_epoch INTEGER NOT NULL, spared BLOB,
            spared_epoch INTEGER NOT NULL, raised INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX subjects_by_raised ON subjects (raised);
        INSERT INTO subjects VALUES ('alice', 3, 2, NULL, 0, 1700000004000);
        """
}
