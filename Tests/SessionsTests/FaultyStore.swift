// A store that fails when it is told to: a verb, a number of times, or whatever touches one session. It
// counts what is asked of it, so that a test can see how many transactions there were.

import Primitives
import Synchronization
import Support

@testable import Sessions

/// The verbs of `SessionStore` that can fail.
enum StoreVerb: String, CaseIterable {
    case begin, commit, insert, find, rotate, setClaims, confirm, note, end, raiseEpoch, epoch, list,
        revocations,
        purge
    case sessionsEnded, noteExchanged, isExchanged
}

/// What is to go wrong; shared between a test and its store.
final class Faults: Sendable {
    private struct State {
        var failures: [StoreVerb: Int] = [:]
        var poisoned: SessionID?
        var counts: [StoreVerb: Int] = [:]
        var random: SeededGenerator?
    }

    private let state = Mutex(State())

    /// The next calls of a verb fail.
    func fail(_ verb: StoreVerb, times: Int = 1) { state.withLock { $0.failures[verb] = times } }

    /// Every verb that concerns this session fails; nil heals.
    func poison(_ sid: SessionID?) { state.withLock { $0.poisoned = sid } }

    /// From now on one call in a hundred fails.
    func failAtRandom(seed: UInt64) { state.withLock { $0.random = SeededGenerator(seed: seed) } }

    /// Nothing fails any more.
    func heal() {
        state.withLock { state in
            state.failures = [:]
            state.poisoned = nil
            state.random = nil
        }
    }

    func count(_ verb: StoreVerb) -> Int { state.withLock { $0.counts[verb, default: 0] } }

    func check(_ verb: StoreVerb, _ sid: SessionID? = nil) throws(StoreError) {
        let isFailing = state.withLock { state in
            state.counts[verb, default: 0] += 1
            if state.random?.next().isMultiple(of: 100) == true { return true }
            if let sid, sid == state.poisoned { return true }
            guard let left = state.failures[verb], left > 0 else { return false }
            state.failures[verb] = left - 1
            return true
        }
        if isFailing { throw StoreError(kind: .unavailable, detail: "made to fail: \(verb.rawValue)") }
    }
}

/// A store in front of another one.
final class FaultyStore: CopyableSessionStore {
    private let base: any SessionStore
    private let faults: Faults

    init(_ base: any SessionStore, _ faults: Faults) {
        self.base = base
        self.faults = faults
    }

    func beginBatch() throws(StoreError) {
        try faults.check(.begin)
        try base.beginBatch()
    }

    func commitBatch() throws(StoreError) {
        try faults.check(.commit)
        try base.commitBatch()
    }

    func rollbackBatch() { base.rollbackBatch() }

    func insert(_ session: Session) throws(StoreError) {
        try faults.check(.insert, session.sid)
        try base.insert(session)
    }

    func find(_ sid: SessionID) throws(StoreError) -> StoredSession? {
        try faults.check(.find, sid)
        return try base.find(sid)
    }

    func rotate(_ sid: SessionID, from generation: UInt32, to next: Rotation) throws(StoreError) -> Bool {
        try faults.check(.rotate, sid)
        return try base.rotate(sid, from: generation, to: next)
    }

    func setClaims(_ sid: SessionID, _ claims: [UInt8]) throws(StoreError) {
        try faults.check(.setClaims, sid)
        try base.setClaims(sid, claims)
    }

    func confirm(_ sid: SessionID, generation: UInt32) throws(StoreError) {
        try faults.check(.confirm, sid)
        try base.confirm(sid, generation: generation)
    }

    func note(_ sid: SessionID, trail: [UInt8]) throws(StoreError) {
        try faults.check(.note, sid)
        try base.note(sid, trail: trail)
    }

    func end(_ sid: SessionID, _ ending: Session.Ending) throws(StoreError) -> Session? {
        try faults.check(.end, sid)
        return try base.end(sid, ending)
    }

    func raiseEpoch(
        of subject: String, endingSessions: Bool, sparing: SessionID?, by reason: EndReason, at now: WallTime
    ) throws(StoreError) -> Revocation {
        try faults.check(.raiseEpoch)
        return try base.raiseEpoch(
            of: subject, endingSessions: endingSessions, sparing: sparing, by: reason, at: now)
    }

    func epoch(of subject: String) throws(StoreError) -> Int64 {
        try faults.check(.epoch)
        return try base.epoch(of: subject)
    }

    func surplus(of subject: String, beyond count: Int, at now: WallTime) throws(StoreError) -> [SessionID] {
        try faults.check(.list)
        return try base.surplus(of: subject, beyond: count, at: now)
    }

    func list(subject: String?, limit: Int) throws(StoreError) -> [StoredSession] {
        try faults.check(.list)
        return try base.list(subject: subject, limit: limit)
    }

    func revocations(since: WallTime) throws(StoreError) -> [Revocation] {
        try faults.check(.revocations)
        return try base.revocations(since: since)
    }

    func sessionsEnded(of subject: String) throws(StoreError) -> WallTime? {
        try faults.check(.sessionsEnded)
        return try base.sessionsEnded(of: subject)
    }

    func noteExchanged(_ sid: SessionID, until: WallTime) throws(StoreError) {
        try faults.check(.noteExchanged, sid)
        try base.noteExchanged(sid, until: until)
    }

    func isExchanged(_ sid: SessionID) throws(StoreError) -> Bool {
        try faults.check(.isExchanged, sid)
        return try base.isExchanged(sid)
    }

    func copy(to path: String) throws(StoreError) -> any SessionCopy {
        guard let base = base as? any CopyableSessionStore else {
            throw StoreError(kind: .unavailable, detail: "this store makes no copies")
        }
        return try base.copy(to: path)
    }

    func purge(before: WallTime, limit: Int, now: WallTime) throws(StoreError) -> Int {
        try faults.check(.purge)
        return try base.purge(before: before, limit: limit, now: now)
    }
}
