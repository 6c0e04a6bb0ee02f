// The keys of an issuer that its block names: in files, as a JWK set or PEM, and shared secrets. What is
// wrong with one is said with the place that names it; nothing of a key is in any message.

import Configuration
import Crypto
import JOSE
import Network
import Primitives

/// Reads the keys of an `issuer` block, all but those that are fetched.
enum FixedKeys {
    static func read(_ configuration: IssuerConfiguration) throws(RuntimeError) -> [JSONWebKey] {
        try read(configuration.keys, algorithms: configuration.algorithms, place: configuration.place)
    }

    static func read(
        _ sources: IssuerKeys, algorithms: [String], place: String
    ) throws(RuntimeError) -> [JSONWebKey] {
        let algorithms = algorithms.compactMap { SignatureAlgorithm(name: $0) }
        var keys: [JSONWebKey] = []
        for file in sources.files { keys += try keySet(file, algorithms) }
        for entry in sources.publicKeys { keys.append(try publicKey(entry)) }
        for entry in sources.secrets { keys.append(try secret(entry, place)) }
        return keys
    }

    private static func keySet(
        _ file: FileReference, _ algorithms: [SignatureAlgorithm]
    ) throws(RuntimeError) -> [JSONWebKey] {
        let bytes = try contents(file)
        guard let document = try? JSONDocument(parsing: bytes) else {
            throw problem(file, "this is not JSON")
        }
        guard let set = try? KeySet(jwks: document.root, algorithms: algorithms) else {
            throw problem(file, "this is no JWK set, or two of its keys have one name")
        }
        if set.keys.isEmpty {
            let ignored = set.ignoredCount
            throw problem(
                file,
                ignored == 0
                    ? "there is no key in it"
                    : "none of its \(ignored) keys can be used: "
                        + "public keys for signatures are (RSA from 2048 bits, P-256, P-384, P-521, Ed25519)")
        }
        return set.keys
    }

    private static func publicKey(_ entry: PublicKeyFile) throws(RuntimeError) -> JSONWebKey {
        let bytes = try contents(entry.file)
        guard let algorithm = SignatureAlgorithm(name: entry.algorithm) else {
            throw problem(entry.file, "\(entry.algorithm) is no algorithm")
        }
        let parameters: PublicKeyParameters
        do throws(KeyError) {
            parameters = try PublicKeyParameters(pem: bytes)
        } catch {
            throw problem(entry.file, "this is no public key or certificate in PEM that can be used")
        }
        guard let key = try? JSONWebKey(parameters, algorithm: algorithm, kid: entry.kid) else {
            throw problem(entry.file, "the key does not fit \(entry.algorithm), or is too short")
        }
        return key
    }

    private static func secret(
        _ entry: SharedSecret, _ place: String
    ) throws(RuntimeError) -> JSONWebKey {
        guard let algorithm = SignatureAlgorithm(name: entry.algorithm),
            let key = try? JSONWebKey(
                secret: Array(entry.secret.revealed.utf8), algorithm: algorithm, kid: entry.kid)
        else {
            // RFC 7518 §3.2: "A key of the same size as the hash output ... or larger MUST be used".
            throw RuntimeError(reason: "\(place): a secret of \(entry.algorithm) is too short")
        }
        return key
    }

    private static func contents(_ file: FileReference) throws(RuntimeError) -> [UInt8] {
        do throws(SystemError) {
            return try Files.read(file.path)
        } catch {
            throw RuntimeError(reason: "\(file.place): \(file.path) cannot be read: \(error.reason)")
        }
    }

    private static func problem(_ file: FileReference, _ text: String) -> RuntimeError {
        RuntimeError(reason: "\(file.place): \(file.path): \(text)")
    }
}
