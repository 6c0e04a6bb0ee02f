// Sessions in memory: the store of tests, beside SQLite's, and by the same cases. It forgets everything when
// it goes.
//
// Owned by: the sessions queue. Invariant: while a batch is open, `undo` holds what each change replaced, so
// that a rollback restores it exactly.

import Crypto
package import Primitives

/// The store in dictionaries.
package final class MemorySessionStore: SessionStore {
    private struct Subject {
        var epoch: Int64
        var sessionsEpoch: Int64
        var spared: Revocation.Spared?
        var raised: WallTime
        var trail: [UInt8] = []
    }

    private enum Change {
        case session(SessionID, before: Session?)
        case subject([UInt8], before: Subject?)
        case exchanged(SessionID, before: WallTime?)
    }

    private var sessions: [SessionID: Session] = [:]
    /// By the bytes of the name, as SQLite compares them.
    private var subjects: [[UInt8]: Subject] = [:]
    private var exchanged: [SessionID: WallTime] = [:]
    /// nil when no batch is open.
    private var undo: [Change]?

    package init() {}

    // MARK: - Batches

    package func beginBatch() throws(StoreError) {
        if undo != nil { throw StoreError(kind: .unavailable, detail: "a batch is open already") }
        undo = []
    }

    package func commitBatch() throws(StoreError) {
        if undo == nil { throw StoreError(kind: .unavailable, detail: "no batch is open") }
        undo = nil
    }

    package func rollbackBatch() {
        for change in (undo ?? []).reversed() {
            switch change {
            case .session(let sid, let before): sessions[sid] = before
            case .subject(let name, let before): subjects[name] = before
            case .exchanged(let sid, let before): exchanged[sid] = before
            }
        }
        undo = nil
    }

    private func set(_ sid: SessionID, _ session: Session?) {
        undo?.append(.session(sid, before: sessions[sid]))
        sessions[sid] = session
    }

    private func set(_ name: [UInt8], _ subject: Subject) {
        undo?.append(.subject(name, before: subjects[name]))
        subjects[name] = subject
    }

    // MARK: - Verbs

    package func insert(_ session: Session) throws(StoreError) {
        if sessions[session.sid] != nil { throw StoreError(kind: .unavailable, detail: "the session exists") }
        set(session.sid, session)
    }

    package func find(_ sid: SessionID) throws(StoreError) -> StoredSession? { sessions[sid].map(stored) }

    package func rotate(
        _ sid: SessionID, from generation: UInt32, to next: Rotation
    ) throws(StoreError) -> Bool {
        guard var session = sessions[sid], session.generation == generation, session.ended == nil else {
            return false
        }
        session.generation = next.generation
        session.secretDigest = next.secretDigest
        session.rotated = next.at
        session.refreshed = next.at
        session.idleDeadline = next.idleDeadline
        session.isConfirmed = false
        if let client = next.client {
            session.client.userAgent = client.userAgent
            session.client.address = client.address
        }
        set(sid, session)
        return true
    }

    package func setClaims(_ sid: SessionID, _ claims: [UInt8]) throws(StoreError) {
        guard var session = sessions[sid] else { return }
        session.claims = claims
        set(sid, session)
    }

    package func confirm(_ sid: SessionID, generation: UInt32) throws(StoreError) {
        guard var session = sessions[sid], session.generation == generation else { return }
        session.isConfirmed = true
        set(sid, session)
    }

    package func note(_ sid: SessionID, trail: [UInt8]) throws(StoreError) {
        guard var session = sessions[sid] else { return }
        session.trail = trail
        set(sid, session)
    }

    package func end(_ sid: SessionID, _ ending: Session.Ending) throws(StoreError) -> Session? {
        guard let before = sessions[sid], !stored(before).isOver else { return nil }
        var session = before
        session.ended = ending
        set(sid, session)
        return before
    }

    package func raiseEpoch(
        of subject: String, endingSessions: Bool, sparing sid: SessionID?, by reason: EndReason,
        at now: WallTime
    ) throws(StoreError) -> Revocation {
        let name = Array(subject.utf8)
        let before = subjects[name] ?? Subject(epoch: 0, sessionsEpoch: 0, spared: nil, raised: now)
        var raised = before
        raised.epoch += 1
        raised.raised = now
        raised.spared = nil
        let entry = SubjectTrail.Entry(
            at: now, what: !endingSessions ? .access : sid == nil ? .subject : .others, reason: reason,
            sessionsEpoch: before.sessionsEpoch, epoch: raised.epoch)
        raised.trail = SubjectTrail.adding(entry, to: before.trail)
        if endingSessions {
            raised.sessionsEpoch = raised.epoch
            if let sid, var session = sessions[sid], Array(session.subject.utf8) == name,
                session.ended == nil,
                session.epoch >= before.sessionsEpoch
            {
                session.epoch = raised.epoch
                set(sid, session)
                let known = before.spared.flatMap { $0.sid == sid ? $0 : nil }
                raised.spared = known ?? Revocation.Spared(sid: sid, oldestEpoch: before.epoch)
            }
        }
        set(name, raised)
        return revocation(name, raised)
    }

    package func epoch(of subject: String) throws(StoreError) -> Int64 {
        subjects[Array(subject.utf8)]?.epoch ?? 0
    }

    package func sessionsEnded(of subject: String) throws(StoreError) -> WallTime? {
        subjects[Array(subject.utf8)].flatMap { $0.sessionsEpoch > 0 ? $0.raised : nil }
    }

    package func noteExchanged(_ sid: SessionID, until: WallTime) throws(StoreError) {
        remember(sid, until)
    }

    package func isExchanged(_ sid: SessionID) throws(StoreError) -> Bool { exchanged[sid] != nil }

    private func remember(_ sid: SessionID, _ until: WallTime?) {
        undo?.append(.exchanged(sid, before: exchanged[sid]))
        exchanged[sid] = until
    }

    package func surplus(
        of subject: String, beyond count: Int, at now: WallTime
    ) throws(StoreError) -> [SessionID] {
        let live = try list(subject: subject, limit: .max).filter { $0.state(at: now) == .live }
        return live.dropFirst(count).prefix(SessionLimits.endedAtOnce).map(\.session.sid)
    }

    package func list(subject: String?, limit: Int) throws(StoreError) -> [StoredSession] {
        let name = subject.map { Array($0.utf8) }
        let wanted = sessions.values.filter { name == nil || Array($0.subject.utf8) == name }
        let ordered = wanted.sorted { $0.created > $1.created }
        return ordered.prefix(limit).map(stored)
    }

    package func revocations(since: WallTime) throws(StoreError) -> [Revocation] {
        let ended = sessions.values.compactMap { session in
            session.ended.map { Revocation(scope: .session(session.sid), at: $0.at) }
        }
        let raised = subjects.map { name, subject in revocation(name, subject) }
        return (ended + raised).filter { $0.at >= since }
    }

    package func purge(before: WallTime, limit: Int, now: WallTime) throws(StoreError) -> Int {
        for (sid, _) in exchanged.filter({ $0.value < now }).prefix(limit) { remember(sid, nil) }
        let old = sessions.values.filter { ($0.ended?.at ?? $0.idleDeadline) < before }
        for session in old.prefix(limit) { set(session.sid, nil) }
        return min(old.count, limit)
    }

    private func stored(_ session: Session) -> StoredSession {
        let subject = subjects[Array(session.subject.utf8)]
        return StoredSession(
            session: session, subjectEpoch: subject?.epoch ?? 0, sessionsEpoch: subject?.sessionsEpoch ?? 0,
            subjectTrail: subject?.trail ?? [])
    }

    private func revocation(_ name: [UInt8], _ subject: Subject) -> Revocation {
        let scope = Revocation.Scope.subject(
            String(decoding: name, as: UTF8.self), epoch: subject.epoch, sparing: subject.spared)
        return Revocation(scope: scope, at: subject.raised)
    }
}
