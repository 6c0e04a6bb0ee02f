// The files of the gateway's own keys: in the state directory `keys/keys.json` with a file for each
// signing key, and `refresh.key`. Several gateways, and the commands beside them, may use one directory:
// who writes has the lock, who reads sees a whole list, since each file is replaced in one step.
//
// Invariant: `keys.json` names no key whose file is not on disk, wherever a crash comes between two steps.

import Glibc
import JOSE
import Network
import Primitives
import Sessions

/// The keys in a state directory.
struct KeyDirectory {
    typealias Problem = StateDirectory.Problem

    private let state: String
    private var folder: String { "\(state)/keys" }
    private var manifestPath: String { "\(folder)/\(SigningKeyManifest.fileName)" }
    private var refreshPath: String { "\(state)/refresh.key" }
    private var presencePath: String { "\(folder)/running" }
    /// The one key of earlier releases.
    private var singleKeyPath: String { "\(state)/signing-key.pem" }

    init(state: String) { self.state = state }

    /// Makes the directory where it is missing.
    func make() throws(Problem) { try StateDirectory.make(folder) }

    // MARK: - Locks

    /// The right to write; nil while another process has it.
    func lock() throws(Problem) -> FileLock? { try lock("\(folder)/lock", isShared: false) }

    /// The same, for which somebody waits.
    func waitForLock() throws(Problem) -> FileLock {
        for _ in 0..<Self.lockTries {
            if let lock = try lock() { return lock }
            usleep(Self.lockPauseMicroseconds)
        }
        throw Problem(reason: "another process has been changing \(folder) for too long")
    }

    /// Whether no gateway runs on the directory.
    func isUnused() throws(Problem) -> Bool { try lock(presencePath, isShared: false) != nil }

    /// Shows that a gateway runs on the directory, for as long as the lock is kept.
    func enter() throws(Problem) -> FileLock? { try lock(presencePath, isShared: true) }

    private func lock(_ path: String, isShared: Bool) throws(Problem) -> FileLock? {
        do throws(SystemError) {
            return try FileLock.take(path, isShared: isShared)
        } catch {
            throw Problem(reason: "\(path) cannot be locked: \(error.reason)")
        }
    }

    private static let lockTries = 100
    private static let lockPauseMicroseconds: UInt32 = 50_000

    // MARK: - Signing keys

    /// The list as it stands on disk; nil before the first start.
    func manifestText() throws(Problem) -> [UInt8]? { try StateDirectory.read(manifestPath) }

    /// The list without its keys.
    func manifest(_ text: [UInt8]) throws(Problem) -> SigningKeyManifest {
        guard let manifest = SigningKeyManifest(parsing: text) else {
            throw Problem(reason: "\(manifestPath) is no list of signing keys")
        }
        return manifest
    }

    /// The list with its keys.
    ///
    /// - Parameter known: keys that need not be read again: the file of a key never changes.
    func ring(_ text: [UInt8], known: SigningKeyRing?) throws(Problem) -> SigningKeyRing {
        let manifest = try manifest(text)
        var keys: [SigningKey] = []
        for record in manifest.records {
            if let key = known?.key(record.kid) { keys.append(key) } else { keys.append(try key(record)) }
        }
        guard let ring = SigningKeyRing(manifest, keys: keys) else {
            throw Problem(reason: "\(manifestPath) does not fit its keys")
        }
        return ring
    }

    private func key(_ record: SigningKeyRecord) throws(Problem) -> SigningKey {
        let path = "\(folder)/\(record.fileName)"
        guard let file = try StateDirectory.read(path) else {
            throw Problem(reason: "\(path) is missing, and \(manifestPath) names it")
        }
        let key: SigningKey
        do throws(JOSEError) {
            key = try SigningKey(record.algorithm, file: file, kid: record.kid)
        } catch {
            throw Problem(reason: "\(path) is no key that can sign \(record.algorithm.name)")
        }
        if let thumbprint = key.verificationKey.thumbprint, thumbprint != record.kid {
            throw Problem(reason: "\(path) holds another key than its name says")
        }
        return key
    }

    /// Writes a ring in the place of the list that is on disk. For who has the lock.
    func store(_ ring: SigningKeyRing, replacing old: SigningKeyManifest?) throws(Problem) {
        for change in ring.changes(from: old) {
            switch change {
            case .write(let name, let bytes): try StateDirectory.write("\(folder)/\(name)", bytes)
            case .remove(let name): try StateDirectory.remove("\(folder)/\(name)")
            }
        }
    }

    /// The key of an earlier release, which is taken over.
    func singleKey() throws(Problem) -> SigningKey? {
        guard let pem = try StateDirectory.read(singleKeyPath) else { return nil }
        do throws(JOSEError) {
            return try SigningKey(.es256, file: pem, kid: nil)
        } catch {
            throw Problem(reason: "\(singleKeyPath) is no private key that can sign ES256")
        }
    }

    /// Removes that key once it is in the ring: a key stands in one place only.
    func removeSingleKey(takenInto ring: SigningKeyRing) throws(Problem) {
        guard let key = try singleKey(), ring.key(key.kid) != nil else { return }
        try StateDirectory.remove(singleKeyPath)
    }

    // MARK: - Keys of refresh tokens

    func refreshText() throws(Problem) -> [UInt8]? { try StateDirectory.read(refreshPath) }

    func refreshRing(_ text: [UInt8]) throws(Problem) -> RefreshKeyRing {
        guard let ring = RefreshKeyRing(parsing: text) else {
            throw Problem(
                reason: "\(refreshPath) is no refresh key file; without it no refresh token is believed")
        }
        return ring
    }

    /// Writes the keys of refresh tokens. For who has the lock.
    func store(_ ring: RefreshKeyRing) throws(Problem) { try StateDirectory.write(refreshPath, ring.text) }
}
