// A foreign issuer's keys as they change: what files and fetches bring, which of them counts, and that what
// is known is never replaced by nothing.

import Configuration
import Crypto
import Foundation
import JOSE
import Primitives
import Testing

@testable import Proxy

@Suite("Issuer target")
struct IssuerTargetTests {
    private let folder = TemporaryFolder()

    private func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(milliseconds: seconds * 1000) }

    private func key(_ kid: String?) throws -> JSONWebKey {
        try JSONWebKey(
            PrivateKey.generate(.ellipticCurve(.p256)).publicParameters, algorithm: .es256, kid: kid)
    }

    /// An issuer whose keys are fetched, and are in a file if there are any.
    private func configuration(
        file keys: [JSONWebKey] = [], from url: String = "https://login.test/keys"
    ) throws -> IssuerConfiguration {
        var issuer = IssuerConfiguration(issuer: "https://login.test")
        issuer.audiences = ["api"]
        issuer.place = "gateway.conf:3"
        issuer.keys.remote = RemoteKeys(address: .jwks(try #require(URLText(text: url))))
        if !keys.isEmpty {
            let set = try KeySet(keys: keys)
            issuer.keys.files = [folder.file("keys.jwks", set.jwksText)]
        }
        return issuer
    }

    private func target(
        _ configuration: IssuerConfiguration, previous: IssuerTarget? = nil
    ) throws -> IssuerTarget {
        try IssuerTarget(configuration, tokenBytesMax: 8192, previous: previous)
    }

    private func names(_ target: IssuerTarget) -> [String?] { target.keys.set.keys.map(\.kid) }

    @Test("what is fetched stands beside what is in files; of two of one name the file's counts")
    func merge() throws {
        let (ours, theirs) = (try key("same"), try key("same"))
        let target = try target(configuration(file: [ours]))
        #expect(names(target) == ["same"] && target.keys.version == 0)
        let isNews = try target.take(fetched: [theirs, key("other")], wasWanted: false, at: at(1))
        #expect(isNews && names(target) == ["same", "other"] && target.keys.version == 1)
        #expect(target.keys.set.keys.first?.identity == ours.identity)
    }

    @Test("a fetch that fails takes no key away, and one that brings the same changes nothing")
    func noNews() throws {
        let target = try target(configuration())
        let keys = [try key("a"), try key("b")]
        #expect(try target.take(fetched: keys, wasWanted: false, at: at(1)) == true)
        #expect(try target.take(fetched: keys, wasWanted: false, at: at(2)) == false)
        #expect(try target.take(fetched: nil, wasWanted: true, at: at(3)) == false)
        #expect(names(target) == ["a", "b"] && target.keys.version == 1)
        #expect(try target.take(fetched: [keys[1]], wasWanted: false, at: at(4)) == true)
        #expect(names(target) == ["b"] && target.keys.version == 2)
    }

    @Test("keys that cannot stand beside those of the files are refused, and the old ones stay")
    func collision() throws {
        let target = try target(configuration(file: [key(nil)]))
        _ = try target.take(fetched: [key("a")], wasWanted: false, at: at(1))
        #expect(throws: RuntimeError.self) {
            try target.take(fetched: [key(nil)], wasWanted: false, at: at(2))
        }
        #expect(names(target) == [nil, "a"] && target.keys.version == 1)
    }

    @Test("only what a token has asked for is an attempt; a later success makes a failed one good")
    func attempts() throws {
        let target = try target(configuration())
        _ = try target.take(fetched: [key("a")], wasWanted: false, at: at(1))
        _ = try target.take(fetched: nil, wasWanted: false, at: at(2))
        #expect(target.lastAttempt == nil)
        _ = try target.take(fetched: nil, wasWanted: true, at: at(3))
        #expect(target.lastAttempt == .init(hasSucceeded: false, at: at(3)))
        _ = try target.take(fetched: nil, wasWanted: false, at: at(4))
        #expect(target.lastAttempt == .init(hasSucceeded: false, at: at(3)))
        _ = try target.take(fetched: [key("b")], wasWanted: false, at: at(8))
        #expect(target.lastAttempt == .init(hasSucceeded: true, at: at(3)))
        _ = try target.take(fetched: [key("c")], wasWanted: true, at: at(40))
        #expect(target.lastAttempt == .init(hasSucceeded: true, at: at(40)))
    }

    @Test("keys that were fetched outlive a reload, unless they would come from elsewhere now")
    func reload() throws {
        let old = try target(configuration())
        _ = try old.take(fetched: [key("a")], wasWanted: true, at: at(1))
        var changed = try configuration(file: [key("file")])
        changed.audiences = ["other"]
        let same = try target(changed, previous: old)
        #expect(names(same) == ["file", "a"] && same.lastAttempt == old.lastAttempt)
        let elsewhere = try target(configuration(from: "https://login.test/new"), previous: old)
        #expect(names(elsewhere) == [] && elsewhere.lastAttempt == nil)
        var local = try configuration(file: [key("file")])
        local.keys.remote = nil
        #expect(try names(target(local, previous: old)) == ["file"])
    }

    @Test("files are read again, and one that cannot be used changes nothing")
    func filesAgain() throws {
        let configuration = try configuration(file: [key("one")])
        let target = try target(configuration)
        _ = try target.take(fetched: [key("fetched")], wasWanted: false, at: at(1))
        #expect(try target.readFilesAgain() == false)
        folder.file("keys.jwks", try KeySet(keys: [key("two")]).jwksText)
        #expect(try target.readFilesAgain() == true)
        #expect(names(target) == ["two", "fetched"] && target.keys.version == 2)
        for broken in ["", "{", "[]", #"{"keys":[]}"#, #"{"keys":[{"kty":"XYZ"}]}"#] {
            folder.file("keys.jwks", Array(broken.utf8))
            #expect(throws: RuntimeError.self) { try target.readFilesAgain() }
            #expect(names(target) == ["two", "fetched"] && target.keys.version == 2)
        }
        folder.remove("keys.jwks")
        #expect(throws: RuntimeError.self) { try target.readFilesAgain() }
        folder.file("keys.jwks", try KeySet(keys: [key("three")]).jwksText)
        #expect(try target.readFilesAgain() == true)
        #expect(names(target) == ["three", "fetched"])
    }
}

@Suite("Fixed keys")
struct FixedKeysTests {
    private let folder = TemporaryFolder()

    /// What the keys come to: their algorithms and names, or what is wrong with them.
    private func read(_ sources: IssuerKeys, algorithms: [String] = []) -> String {
        do throws(RuntimeError) {
            let keys = try FixedKeys.read(sources, algorithms: algorithms, place: "gateway.conf:3")
            return keys.map { "\($0.algorithm.name) \($0.kid ?? "-")" }.joined(separator: ", ")
        } catch {
            return error.reason
        }
    }

    private func pem(_ algorithm: String, _ text: String, kid: String? = nil) -> IssuerKeys {
        var sources = IssuerKeys()
        let file = folder.file("key.pem", Array(text.utf8))
        sources.publicKeys = [PublicKeyFile(algorithm: algorithm, file: file, kid: kid)]
        return sources
    }

    private func jwks(_ text: String) -> IssuerKeys {
        var sources = IssuerKeys()
        sources.files = [folder.file("keys.jwks", Array(text.utf8))]
        return sources
    }

    private func secret(_ algorithm: String, _ count: Int) -> IssuerKeys {
        var sources = IssuerKeys()
        let text = SecretText(String(repeating: "s", count: count))
        sources.secrets = [SharedSecret(algorithm: algorithm, secret: text, kid: "s")]
        return sources
    }

    @Test("a PEM key is for the algorithm that is named, where it fits")
    func publicKeys() {
        #expect(read(pem("EdDSA", ed25519PEM)) == "EdDSA -")
        #expect(read(pem("EdDSA", ed25519PEM, kid: "k")) == "EdDSA k")
        #expect(read(pem("ES256", ed25519PEM)).hasSuffix("the key does not fit ES256, or is too short"))
        #expect(read(pem("EdDSA", "hello")).hasSuffix("no public key or certificate in PEM that can be used"))
    }

    @Test("a secret has the length of the hash, and is in no message")
    func secrets() {
        for (algorithm, count) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
            #expect(read(secret(algorithm, count)) == "\(algorithm) s")
            let refusal = read(secret(algorithm, count - 1))
            #expect(refusal == "gateway.conf:3: a secret of \(algorithm) is too short")
        }
    }

    @Test("a set is a file of usable keys; an RSA key without algorithm is for the one that is configured")
    func sets() {
        #expect(read(jwks(#"{"keys":[\#(ed25519JWK)]}"#)) == "EdDSA k")
        #expect(read(jwks(#"{"keys":[\#(ed25519JWK),{"kty":"XYZ","kid":"x"}]}"#)) == "EdDSA k")
        #expect(read(jwks(ed25519JWK)).contains("this is no JWK set"))
        #expect(read(jwks(#"{"keys":[]}"#)).hasSuffix("there is no key in it"))
        #expect(read(jwks(#"{"keys":[{"kty":"XYZ"}]}"#)).contains("none of its 1 keys can be used"))
        #expect(read(jwks("hello")).hasSuffix("this is not JSON"))
        let rsa = jwks(#"{"keys":[{"kty":"RSA","kid":"r","e":"AQAB","n":"\#(modulus)"}]}"#)
        #expect(read(rsa) == "RS256 r")
        #expect(read(rsa, algorithms: ["ES256", "PS512", "RS256"]) == "PS512 r")
    }

    @Test("a file that is not there is named, and the place that names it")
    func missing() {
        var sources = IssuerKeys()
        sources.files = [FileReference(path: "/nonexistent/keys", place: "gateway.conf:7")]
        #expect(read(sources).hasPrefix("gateway.conf:7: /nonexistent/keys cannot be read: "))
    }
}

/// A folder of files that a test writes.
final class TemporaryFolder: Sendable {
    private let url = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)

    init() { try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: url) }

    @discardableResult
    func file(_ name: String, _ bytes: [UInt8]) -> FileReference {
        let path = url.appending(path: name)
        try? Data(bytes).write(to: path)
        return FileReference(path: path.path, place: "gateway.conf:4")
    }

    func remove(_ name: String) { try? FileManager.default.removeItem(at: url.appending(path: name)) }
}

private let ed25519PEM = """
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEAQ+9JOR5plcIzUJJRWYbgLqhIQGhezRvr135XcRuOPbk=
    -----END PUBLIC KEY-----
    """
private let ed25519JWK =
    #"{"kty":"OKP","crv":"Ed25519","kid":"k","x":"Q-9JOR5plcIzUJJRWYbgLqhIQGhezRvr135XcRuOPbk"}"#
private let modulus =
    "kneNWHIcFmM8qjvD3tT5mIe8kzqEn7ZMPfn8AVCNIXai8EnYW84uNVLKf3BKNu1Nnl1Apc86EehYZ9rDWQVDVBvZIN95yVYZB6A"
    + "MqVPrn8qXMk4tZ9Ft1XJTzoSB7ISIyjKcrQgvIAvwsCAbqeaVWvwftJwuX9Xuj2-tKwjaog0d0AR_p-YaWeR4yaD1j_ITKp8s"
    + "rakBGZw2-G5JehtSdv7qK0lYAPDtxmlaFRmpdrIoilYH5ugEP0puG9dtJQHNFdgINA-PoBbEonPglG-fo-J37WFQoY0S_mNXU3"
    + "1JX23kE-q7PM-V_J8_sg1SFlPx8vtmfMgliKd--xPV8vmV2w"
