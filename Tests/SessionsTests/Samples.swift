// What several suites need: sample sessions, a directory of their own, and the stores that every store test
// runs over.

import Crypto
import Foundation
import Primitives

@testable import Sessions

enum Samples {
    static let start = WallTime(seconds: 1_700_000_000)
    static let client = ClientDescription(userAgent: "browser", address: "192.0.2.1", label: "phone")
    static let day: Int64 = 86_400_000

    /// A session that began so many milliseconds after `start`.
    static func session(
        _ subject: String = "alice", at offset: Int64 = 0, sid: SessionID = .random(), epoch: Int64 = 0
    ) -> Session {
        let created = start.advanced(byMilliseconds: offset)
        return Session(
            sid: sid, subject: subject, claims: Array(#"{"role":"admin"}"#.utf8), client: client,
            created: created, refreshed: created, idleDeadline: created.advanced(byMilliseconds: 7 * day),
            finalDeadline: created.advanced(byMilliseconds: 90 * day), generation: 0, secretDigest: digest(0),
            rotated: created, isConfirmed: false, epoch: epoch, ended: nil)
    }

    static func digest(_ number: UInt8) -> SHA256Digest { SHA256Hasher().digest([number].span) }

    static func rotation(
        to generation: UInt32, at offset: Int64 = 1000, client: ClientDescription? = nil
    ) -> Rotation {
        let at = start.advanced(byMilliseconds: offset)
        return Rotation(
            generation: generation, secretDigest: digest(UInt8(generation)), at: at,
            idleDeadline: at.advanced(byMilliseconds: 7 * day), client: client)
    }

    /// A path for a database in a directory of its own.
    static func databasePath() throws -> String { try directory().appending(path: "sessions.db").path }

    /// The path of a new database, made and closed again.
    static func made() throws -> String {
        let path = try databasePath()
        _ = try SQLiteSessionStore(path: path)
        return path
    }

    /// What a crash at this moment would leave: the file and its write-ahead log, in a new directory.
    static func databaseAfterCrash(_ path: String) throws -> String {
        let copy = try databasePath()
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
        }
        return copy
    }

    /// All that a database has on disk.
    static func bytes(ofDatabase path: String) throws -> [UInt8] {
        try ["", "-wal"].flatMap { [UInt8](try Data(contentsOf: URL(filePath: path + $0))) }
    }

    /// A new empty directory; whoever asks for it leaves it to the system's cleaning.
    static func directory() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appending(path: "sessions-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }
}

/// The implementations of `SessionStore`.
enum StoreKind: String, CaseIterable {
    case memory, sqlite

    /// An empty store.
    func make() throws -> any SessionStore {
        switch self {
        case .memory: MemorySessionStore()
        case .sqlite: try SQLiteSessionStore(path: Samples.directory().appending(path: "sessions.db").path)
        }
    }
}
