// A write-ahead log that was torn: cut anywhere, or with a bit that has turned. What is left is the state
// after one of the transactions, whole, and never a mixture; a database that cannot be written keeps what it
// has.

import Foundation
import Primitives
import SQLite
import Support
import Testing

@testable import Sessions

@Suite struct StoreDamageTests {
    private static let chosen = UInt64.random(in: 0...UInt64.max)

    /// Sessions that move on together, one generation in each transaction, so that a mixture would show.
    private func make(_ path: String, count: Int) throws -> (SQLiteSessionStore, [SessionID]) {
        let store = try SQLiteSessionStore(path: path)
        let sessions = (0..<3).map { _ in Samples.session() }
        try store.beginBatch()
        for session in sessions { try store.insert(session) }
        try store.commitBatch()
        for generation in 1...UInt32(count) {
            try store.beginBatch()
            for session in sessions {
                let next = Samples.rotation(to: generation)
                #expect(try store.rotate(session.sid, from: generation - 1, to: next))
            }
            try store.commitBatch()
        }
        return (store, sessions.map(\.sid))
    }

    /// The generations that a file with this log holds; nil when it is refused as damaged.
    private func generations(_ base: Data, _ log: Data, _ sids: [SessionID]) throws -> [UInt32?]? {
        let path = try Samples.databasePath()
        try base.write(to: URL(filePath: path))
        try log.write(to: URL(filePath: path + "-wal"))
        do throws(StoreError) {
            let store = try SQLiteSessionStore(path: path)
            var found: [UInt32?] = []
            for sid in sids { found.append(try store.find(sid)?.session.generation) }
            return found
        } catch {
            #expect(error.kind == .unusable)
            return nil
        }
    }

    @Test(
        "a log that is cut or bent anywhere leaves the state after some transaction, whole",
        arguments: [1, chosen])
    func tornLog(_ seed: UInt64) throws {
        print("torn logs with seed \(seed)")
        let path = try Samples.databasePath()
        let (store, sids) = try make(path, count: 30)
        let base = try Data(contentsOf: URL(filePath: path))
        let log = try Data(contentsOf: URL(filePath: path + "-wal"))
        #expect(try generations(base, log, sids) == [30, 30, 30])
        var random = SeededGenerator(seed: seed)
        var (states, refused) = (Set<UInt32?>(), 0)
        for round in 0..<150 {
            var torn = log
            let place = random.below(log.count)
            switch round % 3 {
            case 0: torn = log.prefix(place)
            case 1: torn[place] ^= UInt8(1) << UInt8(random.below(8))
            // A page that was never written, as a disk leaves it that has reordered its writes.
            default: for index in place..<min(place + 512, log.count) { torn[index] = 0 }
            }
            guard let found = try generations(base, torn, sids) else {
                refused += 1
                continue
            }
            #expect(Set(found).count == 1, "seed \(seed), round \(round): \(found)")
            states.insert(found[0])
        }
        #expect(states.count > 15 && refused == 0, "seed \(seed): \(refused) refused")
        _ = store
    }

    @Test("while the database cannot be written, nothing changes, and it comes back by itself")
    func readOnly() throws {
        let path = try Samples.databasePath()
        let store = try SQLiteSessionStore(path: path)
        let session = Samples.session()
        try store.insert(session)
        try store.database.execute("PRAGMA query_only = ON")
        do throws(StoreError) {
            _ = try store.rotate(session.sid, from: 0, to: Samples.rotation(to: 1))
            Issue.record("a row was written")
        } catch {
            #expect(error.kind == .unavailable)
        }
        #expect(try store.find(session.sid)?.session.generation == 0)
        try store.database.execute("PRAGMA query_only = OFF")
        #expect(try store.rotate(session.sid, from: 0, to: Samples.rotation(to: 1)))
    }

    @Test("a clock that goes a day ahead and comes back logs nobody out")
    func clockSteps() throws {
        let gateway = try ServiceHarness()
        var (tokens, lost) = (try gateway.login(), try gateway.login())
        _ = try gateway.refreshed(lost.refreshToken)
        for step in [-3_600_000, Samples.day, -Samples.day, 6 * Samples.day, -6 * Samples.day] {
            gateway.clock.advance(step)
            tokens = try gateway.refreshed(tokens.refreshToken)
            #expect(try gateway.isLetIn(tokens))
            _ = try gateway.refreshed(lost.refreshToken)
        }
        lost = try gateway.refreshed(lost.refreshToken)
        _ = try gateway.refreshed(lost.refreshToken)
    }
}
