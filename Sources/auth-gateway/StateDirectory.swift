// What the gateway keeps between two starts: the signing key, the server key of refresh tokens, and
// sessions.db. Made at first start, readable by its owner only; whoever has these files can make tokens.

import JOSE
import Network
import Primitives
import Sessions

/// The state directory, opened.
struct StateDirectory {
    let signingKey: SigningKey
    let refreshKeys: [RefreshKey]
    let databasePath: String

    /// A state directory that cannot be used, in one plain line.
    struct Problem: Error {
        let reason: String
    }

    /// Opens the directory; makes it and the keys where they are missing.
    init(path: String) throws(Problem) {
        do throws(SystemError) {
            try Files.makePrivateDirectory(path)
        } catch {
            throw Problem(reason: "the state directory \(path) cannot be made: \(error.reason)")
        }
        signingKey = try Self.signingKey("\(path)/signing-key.pem")
        refreshKeys = try Self.refreshKeys("\(path)/refresh.key")
        databasePath = "\(path)/sessions.db"
    }

    private static func signingKey(_ path: String) throws(Problem) -> SigningKey {
        let pem = try existing(path)
        let key: SigningKey
        do throws(JOSEError) {
            if let pem { key = try SigningKey(pem: pem) } else { key = try SigningKey.generate() }
        } catch {
            throw Problem(reason: "\(path) is no private key that can sign ES256")
        }
        if pem == nil { try create(path, key.pem) }
        return key
    }

    private static func refreshKeys(_ path: String) throws(Problem) -> [RefreshKey] {
        if let text = try existing(path) {
            guard let keys = RefreshKey.parse(text) else {
                throw Problem(
                    reason: "\(path) is no refresh key file; without it no refresh token is believed")
            }
            return keys
        }
        let key = RefreshKey(number: 1)
        try create(path, key.line)
        return [key]
    }

    /// The bytes of a file; nil when it is not there, which is not the same as not readable.
    private static func existing(_ path: String) throws(Problem) -> [UInt8]? {
        do throws(SystemError) {
            return try Files.read(path)
        } catch {
            if error.isNotFound { return nil }
            throw Problem(reason: "\(path) cannot be read: \(error.reason)")
        }
    }

    private static func create(_ path: String, _ bytes: [UInt8]) throws(Problem) {
        do throws(SystemError) {
            try Files.replace(path, with: bytes)
        } catch {
            throw Problem(reason: "\(path) cannot be written: \(error.reason)")
        }
    }
}
