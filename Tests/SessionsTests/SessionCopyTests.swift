// Copies of a store that works meanwhile, and what is told of a session's past.

import Foundation
import Primitives
import Testing

@testable import Sessions

@Suite struct SessionCopyTests {
    private let start = Samples.start

    /// Enough for several steps.
    @discardableResult
    private func fill(_ store: SQLiteSessionStore) throws -> [Session] {
        let sessions = (0..<6000).map { Samples.session("user\($0)") }
        try store.beginBatch()
        for session in sessions { try store.insert(session) }
        try store.commitBatch()
        return sessions
    }

    @Test("a copy has what was written before it, and what is written while it is made")
    func copy() throws {
        let store = try SQLiteSessionStore(path: Samples.databasePath())
        let sessions = try fill(store)
        let path = try Samples.databasePath()
        let copy = try store.copy(to: path)
        var steps = 0
        while try !copy.step() {
            #expect(try store.rotate(sessions[steps].sid, from: 0, to: Samples.rotation(to: 1)))
            #expect(try store.rotate(sessions[5999 - steps].sid, from: 0, to: Samples.rotation(to: 1)))
            steps += 1
        }
        #expect(steps > 2)
        let copied = try SQLiteSessionStore(path: path)
        #expect(try copied.damage() == [])
        for session in sessions { #expect(try copied.find(session.sid) == store.find(session.sid)) }
        #expect(try store.rotate(sessions[1000].sid, from: 0, to: Samples.rotation(to: 1)))
        #expect(try copied.find(sessions[1000].sid)?.session.generation == 0)
    }

    @Test("refreshes are answered while a copy is made, and a second copy is not begun beside it")
    func service() throws {
        let path = try Samples.databasePath()
        try fill(SQLiteSessionStore(path: path))
        let gateway = try ServiceHarness(path: path)
        var tokens = try gateway.login()
        let paths = try (0..<2).map { _ in try Samples.databasePath() }
        let gate = gateway.clock.hold()
        let held = gateway.submit(.find(.random()))
        _ = gate.entered.wait(timeout: .now() + ServiceHarness.patience)
        let copies = paths.map { gateway.submit(.copy(to: $0)) }
        gate.release.signal()
        _ = try held.wait()
        while !copies[0].isHere { tokens = try gateway.refreshed(tokens.refreshToken) }
        guard case .copied = try copies[0].wait() else {
            Issue.record("no copy was made")
            return
        }
        #expect(try copies[1].wait().isUnavailable)
        #expect(try SQLiteSessionStore(path: paths[0]).find(tokens.sid) != nil)
        // And then another one may be made.
        guard case .copied = try gateway.ask(.copy(to: paths[1])) else {
            Issue.record("no second copy was made")
            return
        }
    }

    @Test("a copy is given up when the store is closed before it is whole, and the next one is whole")
    func closed() throws {
        let path = try Samples.databasePath()
        try fill(SQLiteSessionStore(path: path))
        let gateway = try ServiceHarness(path: path)
        let paths = try (0..<2).map { _ in try Samples.databasePath() }
        let gate = gateway.clock.hold()
        let held = gateway.submit(.find(.random()))
        #expect(gate.entered.wait(timeout: .now() + ServiceHarness.patience) == .success)
        let copy = gateway.submit(.copy(to: paths[0]))
        gateway.service.release {}
        gate.release.signal()
        _ = try held.wait()
        #expect(try copy.wait().isUnavailable)
        #expect(try gateway.ask(.copy(to: paths[1])).isUnavailable)
        try gateway.resume()
        guard case .copied = try gateway.ask(.copy(to: paths[1])) else {
            Issue.record("no copy was made")
            return
        }
        #expect(try SQLiteSessionStore(path: paths[1]).damage() == [])
    }

    @Test("where no copy can be made, that is the answer, and the store goes on")
    func impossible() throws {
        let gateway = try ServiceHarness(path: Samples.databasePath())
        let tokens = try gateway.login()
        for _ in 0..<2 { #expect(try gateway.ask(.copy(to: "/proc/nowhere/copy")).isUnavailable) }
        _ = try gateway.refreshed(tokens.refreshToken)
        #expect(try ServiceHarness().ask(.copy(to: Samples.databasePath())).isUnavailable)
    }

    @Test("damage is found, wherever the pages are")
    func damage() throws {
        let path = try Samples.databasePath()
        do {
            let store = try SQLiteSessionStore(path: path)
            for number in 0..<500 { try store.insert(Samples.session("user\(number)")) }
            #expect(try store.damage() == [])
        }
        var bytes = try Data(contentsOf: URL(filePath: path))
        for index in 0..<4096 { bytes[bytes.count / 2 / 4096 * 4096 + index] = 0x5A }
        try bytes.write(to: URL(filePath: path))
        #expect(try !SQLiteSessionStore(path: path, isReader: true).damage().isEmpty)
    }

    @Test("a reader changes nothing, needs the newest version, and makes no file")
    func reader() throws {
        let path = try Samples.made()
        let before = try Data(contentsOf: URL(filePath: path))
        do {
            let reader = try SQLiteSessionStore(path: path, isReader: true)
            #expect(try reader.list(subject: nil, limit: 1).isEmpty)
            #expect(throws: StoreError.self) { try reader.insert(Samples.session()) }
        }
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
        let missing = try Samples.databasePath()
        #expect(throws: StoreError.self) { try SQLiteSessionStore(path: missing, isReader: true) }
        #expect(!FileManager.default.fileExists(atPath: missing))
    }

    @Test("what a person may ask about is kept: where from, what was repeated, and what ended it")
    func trail() throws {
        let gateway = try ServiceHarness()
        let first = try gateway.login()
        let second = try gateway.refreshed(first.refreshToken)
        for _ in 0..<3 { _ = try gateway.refreshed(first.refreshToken) }
        let elsewhere = ClientDescription(userAgent: "browser", address: "198.51.100.7", label: "")
        let moved = try gateway.ask(
            .refresh(token: Array(second.refreshToken.utf8), delivery: .body, client: elsewhere))
        #expect(moved.tokens != nil)
        #expect(try gateway.refresh(first.refreshToken).rejection == .replayed)
        let session = try #require(try gateway.find(first.sid)?.session)
        let entries = SessionTrail.entries(session.trail)
        #expect(entries.map(\.kind) == [.repeated, .moved, .replay])
        #expect(entries.map(\.generation) == [0, 1, 0])
        #expect(entries.map(\.address) == ["192.0.2.1", "198.51.100.7", "192.0.2.1"])
        #expect(entries.allSatisfy { $0.at == start })
    }

    @Test("a trail is short, and what is no line of it is passed over")
    func trailBounds() {
        var trail: [UInt8] = Array("1 moved x y\n2 danced 1 a\n3 moved\n".utf8)
        #expect(SessionTrail.entries(trail).isEmpty)
        for generation in 0..<20 as Range<UInt32> {
            let entry = SessionTrail.Entry(at: start, kind: .moved, generation: generation, address: "a b")
            trail = SessionTrail.adding(entry, to: trail)
        }
        #expect(SessionTrail.entries(trail).map(\.generation) == Array(12..<20))
        #expect(SessionTrail.entries(trail).allSatisfy { $0.address == "a b" && $0.at == start })
    }
}
