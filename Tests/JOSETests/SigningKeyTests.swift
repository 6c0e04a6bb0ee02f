// Signing keys of every algorithm: made, kept as a file and read back; their names; what they sign,
// verified as the gate does it; and the examples of the RFCs whose signatures are determined.

import Crypto
import Foundation
import JOSE
import Primitives
import Testing

@Suite struct SigningKeyTests {
    private let payload = Array(TokenForge.claims().utf8)
    private let policy = ClaimsPolicy(issuer: "https://issuer.test", audiences: ["api"])

    private func isAccepted(_ token: [UInt8], _ keys: [SigningKey]) throws -> Bool {
        let set = try KeySet(keys: keys.map(\.verificationKey))
        let verifier = try TokenVerifier(keys: set, policy: policy)
        if case .accepted = verifier.verify(token.span, now: TokenForge.now) { return true }
        return false
    }

    @Test(
        "a key of each algorithm signs what it verifies, also read back",
        arguments: SignatureAlgorithm.allCases)
    func roundTrip(_ algorithm: SignatureAlgorithm) throws {
        let key = try SigningKey.generate(algorithm)
        let isSecret = key.verificationKey.isSecret
        let copy = try SigningKey(algorithm, file: key.fileText, kid: isSecret ? key.kid : nil)
        #expect(copy.kid == key.kid && copy.fileText == key.fileText && key.algorithm == algorithm)
        #expect(copy.verificationKey.identity == key.verificationKey.identity)
        let token = try TokenSigner(key: copy).sign(payload: payload)
        #expect(try isAccepted(token, [key]))
        #expect(token.starts(with: TokenSigner.head(algorithm: algorithm, kid: key.kid)))
        // Under the same name, another key of the algorithm does not verify it.
        let other = try SigningKey(algorithm, file: SigningKey.generate(algorithm).fileText, kid: key.kid)
        #expect(try !isAccepted(token, [other]))
    }

    @Test("a public key is named by its thumbprint, a secret by nothing that could be told from it")
    func names() throws {
        let key = try SigningKey.generate(.es384)
        #expect(key.kid == key.verificationKey.thumbprint && key.kid.utf8.count == 43)
        let secret = try SigningKey.generate(.hs256)
        let again = try SigningKey(.hs256, file: secret.fileText, kid: "another")
        #expect(secret.kid.utf8.count == 22 && again.kid == "another")
        #expect(throws: JOSEError.namelessSecret) { try SigningKey(.hs256, file: secret.fileText, kid: nil) }
        #expect(try SigningKey(.es384, file: key.fileText, kid: "2026-11").kid == "2026-11")
        let long = String(repeating: "k", count: 257)
        for name in ["", long] {
            #expect(throws: JOSEError.malformedKey) { try SigningKey(.es384, file: key.fileText, kid: name) }
        }
    }

    @Test("RSA keys are made with 3072 bits, secrets as long as their hash")
    func sizes() throws {
        #expect(try SigningKey.generate(.ps512).verificationKey.signatureBytes == 384)
        for (algorithm, count) in [(SignatureAlgorithm.hs256, 32), (.hs384, 48), (.hs512, 64)] {
            let text = try SigningKey.generate(algorithm).fileText.dropLast()
            let secret = Base64URL.decode(Array(text).span)
            #expect(secret?.count == count)
        }
    }

    @Test("a key is read for an algorithm of its kind only")
    func kinds() throws {
        let ec = try SigningKey.generate(.es256).fileText
        for algorithm in SignatureAlgorithm.allCases where algorithm != .es256 {
            #expect(throws: JOSEError.self, "\(algorithm)") { try SigningKey(algorithm, file: ec, kid: "k") }
        }
        #expect(throws: Never.self) { try SigningKey(.es256, file: ec, kid: "k") }
    }

    @Test("a secret is base64url where that is long enough, else text, else bytes as they are")
    func secrets() throws {
        func verifies(_ secret: [UInt8], _ file: [UInt8]) throws -> Bool {
            let token = try TokenSigner(key: SigningKey(.hs256, file: file, kid: "k")).sign(payload: payload)
            let key = try JSONWebKey(secret: secret, algorithm: .hs256, kid: "k")
            let verifier = try TokenVerifier(keys: KeySet(keys: [key]), policy: policy)
            if case .accepted = verifier.verify(token.span, now: TokenForge.now) { return true }
            return false
        }
        let secret = RandomBytes.make(40)
        let spelled = Base64URL.encode(secret.span)
        #expect(try verifies(secret, spelled) && verifies(secret, spelled + [0x0D, 0x0A]))
        // 32 letters spell 24 bytes, too few: so they are meant as they are.
        let text = Array("abcdefghijklmnopqrstuvwxyzabcdef".utf8)
        #expect(try verifies(text, text) && verifies(text, text + [0x0A]))
        let binary = [0xFF] + [UInt8](repeating: 0x41, count: 31) + [0x0A]
        #expect(try verifies(binary, binary))
    }

    @Test("a short secret is refused, and somebody's PEM file")
    func unfitSecrets() throws {
        let short = [UInt8](repeating: 0x2E, count: 31)
        #expect(throws: JOSEError.unfitKey(.weak)) { try SigningKey(.hs256, file: short, kid: "k") }
        #expect(throws: Never.self) { try SigningKey(.hs256, file: short + [0x2E], kid: "k") }
        // Also behind a blank, as in CVE-2026-34950.
        let pem = try SigningKey.generate(.es256).fileText
        for file in [pem, [0x20] + pem, [UInt8](repeating: 0x2E, count: 4097)] {
            #expect(throws: JOSEError.malformedKey) { try SigningKey(.hs256, file: file, kid: "k") }
        }
    }

    @Test("neither printing nor dumping a key shows its bytes")
    func printing() throws {
        let key = try SigningKey.generate(.hs256)
        var text = "\(key) \(String(reflecting: key))"
        dump(key, to: &text)
        let secret = String(decoding: key.fileText.dropLast(), as: UTF8.self)
        #expect(text.contains(key.kid) && !text.contains(secret))
    }
}

@Suite struct SigningVectorTests {
    @Test(
        "the cookbook's and RFC 8037's determined signatures come out byte for byte",
        arguments: [
            "jws/4_1.rsa_v15_signature", "jws/4_4.hmac-sha2_integrity_protection", "curve25519-jws",
        ])
    func determined(_ name: String) throws {
        guard let root = try vectors("jose-cookbook/\(name).json") else { return }
        let jwk = try #require(root["input"]?["key"])
        let token = try #require(root["output"]?["compact"]?.string)
        let end = try #require(token.lastIndex(of: "."))
        let head = Array(token[..<end].utf8)
        let signature = try generation(jwk).sign(head.span)
        let text = Base64URL.text(signature.span)
        #expect(text == token[token.index(after: end)...])
    }

    @Test("the cookbook's other keys sign what its public keys verify")
    func undetermined() throws {
        guard let root = try vectors("jose-cookbook/jws/4_3.ecdsa_signature.json") else { return }
        let jwk = try #require(root["input"]?["key"])
        let signature = try generation(jwk).sign("message".utf8.span)
        let key = try PublicKey(.ellipticCurve(.p521, x: bytes(jwk, "x"), y: bytes(jwk, "y")))
        let verification = try SignatureVerification(key: key, scheme: .ecdsa)
        let isGood = verification.verifies(signature.span, of: "message".utf8.span)
        #expect(isGood)
    }

    private func generation(_ jwk: JSONValue) throws -> SignatureGeneration {
        switch jwk["kty"]?.string {
        case "oct":
            let secret = try bytes(jwk, "k")
            return try SignatureGeneration(secret: secret.span, hash: .sha256)
        case "RSA":
            // RFC 8017 §A.1.2: version and eight numbers.
            let members = try ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map { try bytes(jwk, $0) }
            let text = pem("RSA PRIVATE KEY", DER.sequence([[0]].map(DER.integer) + members.map(DER.integer)))
            return try SignatureGeneration(key: PrivateKey(pem: text), scheme: .rsaPKCS1(.sha256))
        case "EC":
            // RFC 5915 §3: version, the number, and the curve, here P-521.
            let curve = DER.value(0xA0, [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23])
            let key = try DER.sequence([DER.integer([1]), DER.value(0x04, bytes(jwk, "d")), curve])
            return try SignatureGeneration(key: PrivateKey(pem: pem("EC PRIVATE KEY", key)), scheme: .ecdsa)
        default:
            // RFC 8410 §7.
            let seed = try DER.value(0x04, DER.value(0x04, bytes(jwk, "d")))
            let name = DER.sequence([[0x06, 0x03, 0x2B, 0x65, 0x70]])
            let key = DER.sequence([DER.integer([0]), name, seed])
            return try SignatureGeneration(key: PrivateKey(pem: pem("PRIVATE KEY", key)), scheme: .ed25519)
        }
    }

    private func bytes(_ jwk: JSONValue, _ name: String) throws -> [UInt8] {
        let text = Array((jwk[name]?.string ?? "").utf8)
        let bytes = Base64URL.decode(text.span)
        return try #require(bytes)
    }

    private func pem(_ label: String, _ der: [UInt8]) -> [UInt8] {
        let text = Data(der).base64EncodedString(options: .lineLength64Characters)
        return Array("-----BEGIN \(label)-----\n\(text)\n-----END \(label)-----\n".utf8)
    }
}

/// As much of DER (X.690) as keys need.
private enum DER {
    static func value(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        let length: [UInt8] =
            count < 128 ? [UInt8(count)] : [0x82, UInt8(count >> 8), UInt8(count & 255)]
        return [tag] + length + content
    }

    static func integer(_ bytes: [UInt8]) -> [UInt8] {
        value(0x02, (bytes.first ?? 0) >= 0x80 ? [0] + bytes : bytes)
    }

    static func sequence(_ values: [[UInt8]]) -> [UInt8] { value(0x30, values.flatMap(\.self)) }
}

/// A file of the vectors; nil, and a line that says so, where they are not there.
private func vectors(_ path: String) throws -> JSONValue? {
    let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let file = repository.deletingLastPathComponent().appending(path: "shared/vectors/\(path)")
    guard let data = try? Data(contentsOf: file) else {
        print("skipped: \(path) is not beside the repository")
        return nil
    }
    return try JSONDocument(parsing: Array(data), nodesMax: 100_000).root
}
