// Sessions in SQLite: write-ahead log, `synchronous=FULL`, one connection for everything. Each verb is one
// prepared statement on one row; a rotation is claimed by a conditional UPDATE, never by read-then-write.
//
// Owned by: the sessions queue.

import Crypto
package import Primitives
import SQLite

/// The store in `sessions.db`.
package final class SQLiteSessionStore: SessionStore {
    let database: Database
    private let begin: Statement
    private let commit: Statement
    private let insertion: Statement
    private let finding: Statement
    private let rotation: Statement
    private let confirmation: Statement
    private let ending: Statement
    private let claimsSetting: Statement
    private let noting: Statement
    private let epochReading: Statement
    private let endReading: Statement
    private let exchangeNoting: Statement
    private let exchangeReading: Statement
    private let exchangePurging: Statement
    private let epochRaising: Statement
    private let sparing: Statement
    private let counting: Statement
    private let listing: Statement
    private let listingAll: Statement
    private let purging: Statement
    private let reach: Statement
    private let sweeping: Statement
    /// The last row that the search for lapsed sessions has looked at.
    private var swept: Int64 = 0

    /// The version of SQLite, as reports of faults name it.
    package static var libraryVersion: String { Database.libraryVersion }

    /// Opens or makes the database.
    ///
    /// - Parameter isReader: the file must be there and of the newest version; nothing is changed in it.
    /// - Throws: in one plain line, what is wrong with the file: damaged, newer, not ours, not accessible.
    package init(path: String, isReader: Bool = false) throws(StoreError) {
        database = try Self.open(path, isReader)
        do throws(SQLiteError) {
            begin = try database.prepare("BEGIN IMMEDIATE")
            commit = try database.prepare("COMMIT")
            insertion = try database.prepare(SessionSQL.insert)
            finding = try database.prepare(SessionSQL.select + " WHERE s.sid = ?1")
            rotation = try database.prepare(SessionSQL.rotate)
            confirmation = try database.prepare(SessionSQL.confirm)
            noting = try database.prepare("UPDATE sessions SET trail = ?2 WHERE sid = ?1")
            ending = try database.prepare(SessionSQL.end)
            claimsSetting = try database.prepare("UPDATE sessions SET claims = ?2 WHERE sid = ?1")
            epochReading = try database.prepare(
                "SELECT epoch, sessions_epoch, trail FROM subjects WHERE subject = ?1")
            endReading = try database.prepare(
                "SELECT raised FROM subjects WHERE subject = ?1 AND sessions_epoch > 0")
            exchangeNoting = try database.prepare("INSERT OR REPLACE INTO exchanged VALUES (?1, ?2)")
            exchangeReading = try database.prepare("SELECT 1 FROM exchanged WHERE sid = ?1")
            exchangePurging = try database.prepare(SessionSQL.purgeExchanged)
            epochRaising = try database.prepare(SessionSQL.raiseEpoch)
            sparing = try database.prepare(SessionSQL.spare)
            counting = try database.prepare(SessionSQL.surplus)
            listing = try database.prepare(
                SessionSQL.select
                    + " WHERE s.id IN (\(SessionSQL.newestOfSubject)) ORDER BY s.id DESC LIMIT ?2")
            listingAll = try database.prepare(SessionSQL.select + " ORDER BY s.id DESC LIMIT ?1")
            purging = try database.prepare(SessionSQL.purge)
            reach = try database.prepare(SessionSQL.reach)
            sweeping = try database.prepare(SessionSQL.sweep)
        } catch {
            throw StoreError(opening: path, error)
        }
    }

    private static func open(_ path: String, _ isReader: Bool) throws(StoreError) -> Database {
        let database: Database
        let unusable: StoreError?
        do throws(SQLiteError) {
            database = try Database(path: path, isThere: isReader)
            // The lock is taken before the first look: a second gateway on this file is refused here, not
            // later.
            try database.execute("PRAGMA locking_mode = EXCLUSIVE")
            // A file that is not ours is left as it is: the journal mode is written into it.
            unusable = try SessionSchema.refusal(of: database, path: path, isReader: isReader)
            if unusable == nil {
                try isReader ? database.execute("PRAGMA query_only = ON") : prepareFile(database, path)
            }
        } catch {
            throw StoreError(opening: path, error)
        }
        if let unusable { throw unusable }
        return database
    }

    private static func prepareFile(_ database: Database, _ path: String) throws(SQLiteError) {
        guard try database.text("PRAGMA journal_mode = WAL") == "wal" else {
            throw SQLiteError(code: 8, message: "no write-ahead log can be made", sql: path)
        }
        try database.execute("PRAGMA synchronous = FULL")
        // What all rotations share, the upper floors of the trees, has room in it at ten million sessions.
        try database.execute("PRAGMA cache_size = -65536")
        try SessionSchema.migrate(database)
        // Not before: a migration may have to sort more than memory holds.
        try database.execute("PRAGMA temp_store = MEMORY")
    }

    // MARK: - Batches

    package func beginBatch() throws(StoreError) { try store { () throws(SQLiteError) in try begin.run() } }

    package func commitBatch() throws(StoreError) { try store { () throws(SQLiteError) in try commit.run() } }

    package func rollbackBatch() {
        // SQLite may have rolled back by itself, on a full disk for one.
        if database.isInTransaction { try? database.execute("ROLLBACK") }
    }

    // MARK: - Verbs

    package func insert(_ session: Session) throws(StoreError) {
        try store { () throws(SQLiteError) in
            try insertion.run(
                .blob(session.sid.bytes), .text(session.subject), .blob(session.claims),
                .text(session.client.userAgent), .text(session.client.address), .text(session.client.label),
                .time(session.created), .time(session.refreshed), .time(session.idleDeadline),
                .time(session.finalDeadline), .integer(Int64(session.generation)),
                .blob(session.secretDigest.bytes), .time(session.rotated),
                .integer(session.isConfirmed ? 1 : 0), .integer(session.epoch), .blob(session.trail))
        }
    }

    package func find(_ sid: SessionID) throws(StoreError) -> StoredSession? {
        try store { () throws(SQLiteError) in
            var found: StoredSession?
            var isThere = false
            try finding.rows(.blob(sid.bytes)) { row in
                isThere = true
                found = StoredSession(row)
            }
            // A row that is not as we write them is damage, and not the absence of a session.
            if isThere && found == nil {
                throw SQLiteError(code: 11, message: "a row of sessions is damaged", sql: SessionSQL.select)
            }
            return found
        }
    }

    package func rotate(
        _ sid: SessionID, from generation: UInt32, to next: Rotation
    ) throws(StoreError) -> Bool {
        try store { () throws(SQLiteError) in
            try rotation.run(
                .blob(sid.bytes), .integer(Int64(generation)), .integer(Int64(next.generation)),
                .blob(next.secretDigest.bytes), .time(next.at), .time(next.idleDeadline),
                next.client.map { .text($0.userAgent) } ?? .null,
                next.client.map { .text($0.address) } ?? .null)
            return database.changedRows == 1
        }
    }

    package func setClaims(_ sid: SessionID, _ claims: [UInt8]) throws(StoreError) {
        try store { () throws(SQLiteError) in try claimsSetting.run(.blob(sid.bytes), .blob(claims)) }
    }

    package func confirm(_ sid: SessionID, generation: UInt32) throws(StoreError) {
        try store { () throws(SQLiteError) in
            try confirmation.run(.blob(sid.bytes), .integer(Int64(generation)))
        }
    }

    package func note(_ sid: SessionID, trail: [UInt8]) throws(StoreError) {
        try store { () throws(SQLiteError) in try noting.run(.blob(sid.bytes), .blob(trail)) }
    }

    package func end(_ sid: SessionID, _ end: Session.Ending) throws(StoreError) -> Session? {
        guard let stored = try find(sid), !stored.isOver else { return nil }
        return try store { () throws(SQLiteError) in
            try ending.run(.blob(sid.bytes), .time(end.at), .text(end.reason.rawValue))
            return database.changedRows == 1 ? stored.session : nil
        }
    }

    package func raiseEpoch(
        of subject: String, endingSessions: Bool, sparing spared: SessionID?, by reason: EndReason,
        at now: WallTime
    ) throws(StoreError) -> Revocation {
        try store { () throws(SQLiteError) in
            var (epoch, sessionsEpoch, trail) = (Int64(0), Int64(0), [UInt8]())
            try epochReading.rows(.text(subject)) { row in
                (epoch, sessionsEpoch, trail) = (row.integer(0), row.integer(1), row.blob(2))
            }
            let entry = SubjectTrail.Entry(
                at: now, what: !endingSessions ? .access : spared == nil ? .subject : .others, reason: reason,
                sessionsEpoch: sessionsEpoch, epoch: epoch + 1)
            var isSpared = false
            if endingSessions, let spared {
                // Before the epoch is raised: only what is alive now can be spared.
                try sparing.run(.blob(spared.bytes), .text(subject))
                isSpared = database.changedRows == 1
            }
            let sparedBytes = isSpared ? spared.map { Statement.Value.blob($0.bytes) } : nil
            var raised = Revocation(scope: .subject(subject, epoch: 0, sparing: nil), at: now)
            try epochRaising.rows(
                .text(subject), .integer(endingSessions ? 1 : 0), sparedBytes ?? .null, .time(now),
                .blob(SubjectTrail.adding(entry, to: trail))
            ) { raised = $0.subjectRevocation() }
            return raised
        }
    }

    package func epoch(of subject: String) throws(StoreError) -> Int64 {
        try store { () throws(SQLiteError) in
            var epoch: Int64 = 0
            try epochReading.rows(.text(subject)) { epoch = $0.integer(0) }
            return epoch
        }
    }

    package func sessionsEnded(of subject: String) throws(StoreError) -> WallTime? {
        try store { () throws(SQLiteError) in
            var ended: WallTime?
            try endReading.rows(.text(subject)) { ended = $0.time(0) }
            return ended
        }
    }

    package func noteExchanged(_ sid: SessionID, until: WallTime) throws(StoreError) {
        try store { () throws(SQLiteError) in
            try exchangeNoting.run(.blob(sid.bytes), .time(until))
        }
    }

    package func isExchanged(_ sid: SessionID) throws(StoreError) -> Bool {
        try store { () throws(SQLiteError) in
            var isThere = false
            try exchangeReading.rows(.blob(sid.bytes)) { _ in isThere = true }
            return isThere
        }
    }

    package func surplus(
        of subject: String, beyond count: Int, at now: WallTime
    ) throws(StoreError) -> [SessionID] {
        try store { () throws(SQLiteError) in
            var sids: [SessionID] = []
            let most = Int64(SessionLimits.endedAtOnce)
            try counting.rows(.text(subject), .time(now), .integer(Int64(count)), .integer(most)) { row in
                if let sid = SessionID(bytes: row.blob(0).span) { sids.append(sid) }
            }
            return sids
        }
    }

    package func list(subject: String?, limit: Int) throws(StoreError) -> [StoredSession] {
        try store { () throws(SQLiteError) in
            var sessions: [StoredSession] = []
            let collect: (Statement) -> Void = { row in
                if let session = StoredSession(row) { sessions.append(session) }
            }
            if let subject {
                try listing.rows(.text(subject), .integer(Int64(limit)), body: collect)
            } else {
                try listingAll.rows(.integer(Int64(limit)), body: collect)
            }
            return sessions
        }
    }

    package func revocations(since: WallTime) throws(StoreError) -> [Revocation] {
        try store { () throws(SQLiteError) in
            var revocations: [Revocation] = []
            try database.prepare("SELECT sid, ended FROM sessions WHERE ended >= ?1").rows(.time(since)) {
                row in
                guard let sid = SessionID(bytes: row.blob(0).span) else { return }
                revocations.append(Revocation(scope: .session(sid), at: row.time(1)))
            }
            let raised = try database.prepare(
                "SELECT \(SessionSQL.subjectColumns) FROM subjects WHERE raised >= ?1")
            try raised.rows(.time(since)) { revocations.append($0.subjectRevocation()) }
            return revocations
        }
    }

    package func purge(before: WallTime, limit: Int, now: WallTime) throws(StoreError) -> Int {
        try store { () throws(SQLiteError) in
            try exchangePurging.run(.time(now), .integer(Int64(limit)))
            try purging.run(.time(before), .integer(Int64(limit)))
            let ended = database.changedRows
            if ended == limit { return ended }
            return ended + (try sweep(before: before, limit: limit - ended))
        }
    }

    /// Deletes lapsed sessions among the next rows. No index knows when a session lapses: each rotation would
    /// have to write it, and this costs less than a page for each row in a day.
    private func sweep(before: WallTime, limit: Int) throws(SQLiteError) -> Int {
        var (end, count) = (Int64(0), Int64(0))
        try reach.rows(.integer(swept), .integer(Self.sweptRows)) { row in
            (end, count) = (row.integer(0), row.integer(1))
        }
        try sweeping.run(.integer(swept), .integer(end), .time(before), .integer(Int64(limit)))
        let lapsed = database.changedRows
        // What was left over is found the next time; behind the last row comes the first one.
        if lapsed < limit { swept = count < Self.sweptRows ? 0 : end }
        return lapsed
    }

    private static let sweptRows: Int64 = 512

    private func store<Result>(_ verb: () throws(SQLiteError) -> Result) throws(StoreError) -> Result {
        do throws(SQLiteError) { return try verb() } catch { throw StoreError(error) }
    }
}

extension StoreError {
    fileprivate init(_ error: SQLiteError) {
        self.init(kind: error.kind == .corrupt ? .unusable : .unavailable, detail: error.description)
    }

    fileprivate init(opening path: String, _ error: SQLiteError) {
        let words =
            switch error.kind {
            case .corrupt:
                "is damaged or no database; restore a backup, or move it away to start with no sessions"
            case .busy: "is in use by another process; one gateway at a time can have it"
            case .inaccessible: "cannot be opened for reading and writing"
            case .full: "cannot be written: the disk is full"
            case .inputOutput: "cannot be read or written: the disk fails"
            case .other: "cannot be used"
            }
        self.init(kind: .unusable, detail: "\(path) \(words) (\(error.message))")
    }
}
