// A session as a row of the database has it, and back.

import Crypto
import Primitives
import SQLite

extension Statement.Value {
    static func time(_ time: WallTime) -> Self { .integer(time.milliseconds) }
}

extension Statement {
    func time(_ column: Int32) -> WallTime { WallTime(milliseconds: integer(column)) }

    /// A row of `SQL.subjectColumns`.
    func subjectRevocation() -> Revocation {
        let spared = (isNull(2) ? nil : SessionID(bytes: blob(2).span)).map {
            Revocation.Spared(sid: $0, oldestEpoch: integer(3))
        }
        return Revocation(scope: .subject(text(0), epoch: integer(1), sparing: spared), at: time(4))
    }
}

extension StoredSession {
    /// A row of `SQL.select`; nil when a column does not hold what we wrote.
    init?(_ row: Statement) {
        guard let sid = SessionID(bytes: row.blob(0).span),
            let digest = SHA256Digest(bytes: row.blob(11).span),
            let generation = UInt32(exactly: row.integer(10))
        else { return nil }
        var ended: Session.Ending?
        if !row.isNull(15) {
            ended = Session.Ending(at: row.time(15), reason: EndReason(rawValue: row.text(16)) ?? .control)
        }
        let session = Session(
            sid: sid, subject: row.text(1), claims: row.blob(2),
            client: ClientDescription(userAgent: row.text(3), address: row.text(4), label: row.text(5)),
            created: row.time(6), refreshed: row.time(7), idleDeadline: row.time(8),
            finalDeadline: row.time(9),
            generation: generation, secretDigest: digest, rotated: row.time(12),
            isConfirmed: row.integer(13) != 0,
            epoch: row.integer(14), ended: ended, trail: row.blob(19))
        self.init(
            session: session, subjectEpoch: row.integer(17), sessionsEpoch: row.integer(18),
            subjectTrail: row.blob(20))
    }
}
