// What `auth-gateway version` prints: the program's version, and for reports those of the libraries in use,
// which may be newer than those that it was built with.

import Crypto
import Primitives
import Sessions

/// The version of the program.
enum Version {
    static let number = "0.1.0"
    /// When it came out, as manual pages say it.
    static let date = "2026-11-21"

    static var text: String { "auth-gateway \(number)" }

    static var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.string("version", number)
        writer.string("openssl", CryptoLibrary.version)
        writer.string("sqlite", SQLiteSessionStore.libraryVersion)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
