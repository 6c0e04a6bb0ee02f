// Public keys: what is refused, and signatures with their nearest forgeries.

import Crypto
import Primitives
import Testing

@Suite struct PublicKeyTests {
    @Test("a point is accepted on its curve and refused beside it, short, long or on another curve")
    func points() throws {
        guard
            case .ellipticCurve(_, let x, let y) = PrivateKey.generate(.ellipticCurve(.p256)).publicParameters
        else { return }
        #expect(throws: Never.self) { try PublicKey(.ellipticCurve(.p256, x: x, y: y)) }
        var other = y
        other[31] ^= 1
        #expect(throws: KeyError.invalid) { try PublicKey(.ellipticCurve(.p256, x: x, y: other)) }
        #expect(throws: KeyError.wrongLength) { try PublicKey(.ellipticCurve(.p256, x: x, y: y + [0])) }
        #expect(throws: KeyError.wrongLength) {
            try PublicKey(.ellipticCurve(.p256, x: Array(x.dropLast()), y: y))
        }
        #expect(throws: KeyError.wrongLength) { try PublicKey(.ellipticCurve(.p384, x: x, y: y)) }
        let zero = [UInt8](repeating: 0, count: 32)
        #expect(throws: KeyError.invalid) { try PublicKey(.ellipticCurve(.p256, x: zero, y: zero)) }
    }

    @Test("an RSA key of 2048 bits is accepted; a weaker, even or absurd one is refused")
    func rsa() {
        let modulus = [0xC1] + [UInt8](repeating: 0x5A, count: 254) + [0x01]
        let exponent: [UInt8] = [1, 0, 1]
        #expect(throws: Never.self) { try PublicKey(.rsa(modulus: modulus, exponent: exponent)) }
        #expect(throws: Never.self) { try PublicKey(.rsa(modulus: [0] + modulus, exponent: exponent)) }
        let weak = [0x7F] + modulus.dropFirst()
        #expect(throws: KeyError.weak) { try PublicKey(.rsa(modulus: Array(weak), exponent: exponent)) }
        #expect(throws: KeyError.weak) { try PublicKey(.rsa(modulus: [0] + weak, exponent: exponent)) }
        let even = modulus.dropLast() + [2]
        #expect(throws: KeyError.invalid) { try PublicKey(.rsa(modulus: Array(even), exponent: exponent)) }
        #expect(throws: KeyError.invalid) { try PublicKey(.rsa(modulus: modulus, exponent: [1, 0, 0])) }
        #expect(throws: KeyError.invalid) { try PublicKey(.rsa(modulus: modulus, exponent: [0, 1])) }
        #expect(throws: KeyError.wrongLength) { try PublicKey(.rsa(modulus: modulus, exponent: [0])) }
        #expect(throws: KeyError.wrongLength) { try PublicKey(.rsa(modulus: [], exponent: exponent)) }
        let huge = [UInt8](repeating: 0xFF, count: 1025)
        #expect(throws: KeyError.unsupported) { try PublicKey(.rsa(modulus: huge, exponent: exponent)) }
        #expect(throws: KeyError.unsupported) { try PublicKey(.rsa(modulus: modulus, exponent: huge)) }
    }

    @Test("an Ed25519 key has 32 bytes")
    func ed25519() {
        #expect(throws: KeyError.wrongLength) { try PublicKey(.ed25519([UInt8](repeating: 1, count: 31))) }
        #expect(throws: Never.self) { try PublicKey(.ed25519(ed25519PublicKey)) }
    }
}

@Suite struct SignatureVerificationTests {
    @Test("a key verifies under its own scheme only")
    func schemes() throws {
        let key = try PublicKey(PrivateKey.generate(.ellipticCurve(.p256)).publicParameters)
        #expect(throws: Never.self) { try SignatureVerification(key: key, scheme: .ecdsa) }
        for scheme in [SignatureScheme.ed25519, .rsaPKCS1(.sha256), .rsaPSS(.sha256)] {
            #expect(throws: KeyError.unsupported) { try SignatureVerification(key: key, scheme: scheme) }
        }
    }

    @Test("an ES256 signature with one byte less or more, or as zeros, is refused")
    func lengths() throws {
        let key = PrivateKey.generate(.ellipticCurve(.p256))
        let verification = try SignatureVerification(key: PublicKey(key.publicParameters), scheme: .ecdsa)
        let generation = try SignatureGeneration(key: key, scheme: .ecdsa)
        let signature = generation.sign("message".utf8.span)
        #expect(verifies(verification, signature, "message"))
        #expect(!verifies(verification, Array(signature.dropLast()), "message"))
        #expect(!verifies(verification, signature + [0], "message"))
        #expect(!verifies(verification, [], "message"))
        #expect(!verifies(verification, [UInt8](repeating: 0, count: 64), "message"))
        #expect(!verifies(verification, [UInt8](repeating: 0xFF, count: 64), "message"))
        #expect(verifies(verification, signature, "message"))
    }

    @Test("an HMAC key is at least as long as the hash")
    func shortSecret() {
        for hash in HashFunction.allCases {
            let secret = [UInt8](repeating: 7, count: hash.byteCount)
            #expect(throws: Never.self) { try SignatureVerification(secret: secret.span, hash: hash) }
            let short = Array(secret.dropLast())
            #expect(throws: KeyError.weak) { try SignatureVerification(secret: short.span, hash: hash) }
        }
    }

    @Test("the Ed25519 signature of RFC 8037 verifies repeatedly, and not with S + L")
    func ed25519() throws {
        let verification = try SignatureVerification(
            key: PublicKey(.ed25519(ed25519PublicKey)), scheme: .ed25519)
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        let text = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        let signature = try #require(decoded(text))
        #expect(verifies(verification, signature, message))
        #expect(!verifies(verification, signature, message + "x"))
        #expect(!verifies(verification, malleated(signature), message))
        #expect(!verifies(verification, Array(signature.dropLast()), message))
        #expect(verifies(verification, signature, message))
    }

    /// The signature with the group's order L added to S, which means the same number.
    private func malleated(_ signature: [UInt8]) -> [UInt8] {
        let order = hexadecimal("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        var result = signature
        var carry = 0
        for index in 0..<32 {
            let sum = Int(signature[32 + index]) + Int(order[index]) + carry
            result[32 + index] = UInt8(sum & 255)
            carry = sum >> 8
        }
        return result
    }
}

private func verifies(_ verification: SignatureVerification, _ signature: [UInt8], _ message: String) -> Bool
{
    verification.verifies(signature.span, of: message.utf8.span)
}

private func decoded(_ text: String) -> [UInt8]? { Base64URL.decode(text.utf8.span) }

private let ed25519PublicKey = decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo") ?? []
