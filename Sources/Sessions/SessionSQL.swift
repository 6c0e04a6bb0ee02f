// The SQL of the sessions database, to be read against `SessionSchema`.

/// The statements of the store.
enum SessionSQL {
    static let insert = """
        INSERT INTO sessions (sid, subject, claims, user_agent, address, label, created, refreshed,
            idle_deadline, final_deadline, generation, secret_digest, rotated, confirmed, epoch, trail)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
        """
    static let select = """
        SELECT s.sid, s.subject, s.claims, s.user_agent, s.address, s.label, s.created, s.refreshed,
            s.idle_deadline, s.final_deadline, s.generation, s.secret_digest, s.rotated, s.confirmed, s.epoch,
            s.ended, s.end_reason, ifnull(u.epoch, 0), ifnull(u.sessions_epoch, 0), s.trail,
            ifnull(u.trail, x'')
        FROM sessions AS s LEFT JOIN subjects AS u ON u.subject = s.subject
        """
    static let rotate = """
        UPDATE sessions SET generation = ?3, secret_digest = ?4, rotated = ?5, refreshed = ?5,
            idle_deadline = ?6, confirmed = 0, user_agent = ifnull(?7, user_agent),
            address = ifnull(?8, address)
        WHERE sid = ?1 AND generation = ?2 AND ended IS NULL
        """
    static let confirm =
        "UPDATE sessions SET confirmed = 1 WHERE sid = ?1 AND generation = ?2 AND confirmed = 0"
    static let end = "UPDATE sessions SET ended = ?2, end_reason = ?3 WHERE sid = ?1 AND ended IS NULL"
    /// Gives a session that is alive the epoch that its subject is about to get.
    static let spare = """
        UPDATE sessions SET epoch = 1 + ifnull((SELECT epoch FROM subjects WHERE subject = ?2), 0)
        WHERE sid = ?1 AND subject = ?2 AND ended IS NULL
            AND epoch >= ifnull((SELECT sessions_epoch FROM subjects WHERE subject = ?2), 0)
        """
    static let subjectColumns = "subject, epoch, spared, spared_epoch, raised"
    /// What was revoked before stays revoked: a session that is spared now is spared with its tokens of
    /// today's epoch on, unless it was the spared one already.
    static let raiseEpoch = """
        INSERT INTO subjects VALUES (?1, 1, ?2, ?3, 0, ?4, ?5)
        ON CONFLICT (subject) DO UPDATE SET epoch = epoch + 1,
            sessions_epoch = CASE WHEN ?2 THEN epoch + 1 ELSE sessions_epoch END,
            spared_epoch = CASE WHEN spared IS ?3 THEN spared_epoch ELSE epoch END, spared = ?3, raised = ?4,
            trail = ?5
        RETURNING \(subjectColumns)
        """
    /// The newest that live, and those that ended last: an index has both at hand, however many there are.
    static let newestOfSubject = """
        SELECT id FROM (SELECT id FROM sessions WHERE subject = ?1 AND ended IS NULL
            ORDER BY id DESC LIMIT ?2)
        UNION ALL
        SELECT id FROM (SELECT id FROM sessions WHERE subject = ?1 AND ended IS NOT NULL
            ORDER BY ended DESC, id DESC LIMIT ?2)
        """
    static let purgeExchanged =
        "DELETE FROM exchanged WHERE sid IN (SELECT sid FROM exchanged WHERE remembered < ?1 LIMIT ?2)"
    /// From the newest on, so that no login reads more rows than the limit and what it ends.
    static let surplus = """
        SELECT sid FROM sessions WHERE subject = ?1 AND ended IS NULL
            AND epoch >= ifnull((SELECT sessions_epoch FROM subjects WHERE subject = ?1), 0)
            AND min(idle_deadline, final_deadline) > ?2
        ORDER BY id DESC LIMIT ?4 OFFSET ?3
        """
    static let purge = """
        DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ended < ?1 LIMIT ?2)
        """
    /// How far the next rows reach, and how many they are.
    static let reach =
        "SELECT max(id), count(*) FROM (SELECT id FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2)"
    static let sweep = """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE id > ?1 AND id <= ?2 AND idle_deadline < ?3 AND ended IS NULL
            LIMIT ?4)
        """
}
