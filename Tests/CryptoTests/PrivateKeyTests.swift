// Private keys: made, kept as PEM and read back; which forms are read, which are refused; and what they sign,
// held against the verification that the published vectors have tested.

import Crypto
import Primitives
import Testing

@Suite struct PrivateKeyTests {
    private static let kinds: [PrivateKeyKind] =
        EllipticCurve.allCases.map(PrivateKeyKind.ellipticCurve) + [.rsa(bits: 2048), .ed25519]

    private static func schemes(of kind: PrivateKeyKind) -> [SignatureScheme] {
        switch kind {
        case .ellipticCurve: [.ecdsa]
        case .rsa:
            HashFunction.allCases.map(SignatureScheme.rsaPKCS1)
                + HashFunction.allCases.map(SignatureScheme.rsaPSS)
        case .ed25519: [.ed25519]
        }
    }

    @Test("a key of each kind read back from its PEM text is the same key and signs for it", arguments: kinds)
    func roundTrip(_ kind: PrivateKeyKind) throws {
        let key = PrivateKey.generate(kind)
        let copy = try PrivateKey(pem: key.pem)
        #expect(copy.publicParameters == key.publicParameters)
        #expect(String(decoding: key.pem, as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        for scheme in Self.schemes(of: kind) {
            let verification = try SignatureVerification(key: PublicKey(key.publicParameters), scheme: scheme)
            let generation = try SignatureGeneration(key: copy, scheme: scheme)
            // The object is used again and again.
            for message in ["message", "", "another"] {
                let signature = generation.sign(message.utf8.span)
                #expect(signature.count == generation.signatureBytes)
                #expect(verifies(verification, signature, message))
                #expect(!verifies(verification, signature, "massage"))
            }
        }
    }

    @Test("a key signs by its own scheme only")
    func schemes() throws {
        for kind in [PrivateKeyKind.ellipticCurve(.p256), .ed25519] {
            let key = PrivateKey.generate(kind)
            let own = Self.schemes(of: kind)
            for scheme in [SignatureScheme.ecdsa, .ed25519, .rsaPKCS1(.sha256), .rsaPSS(.sha256)] {
                if own.contains(scheme) {
                    #expect(throws: Never.self) { try SignatureGeneration(key: key, scheme: scheme) }
                } else {
                    #expect(throws: KeyError.unsupported) {
                        try SignatureGeneration(key: key, scheme: scheme)
                    }
                }
            }
        }
    }

    @Test("two keys are two keys", arguments: kinds)
    func fresh(_ kind: PrivateKeyKind) {
        #expect(PrivateKey.generate(kind).publicParameters != PrivateKey.generate(kind).publicParameters)
    }

    @Test("ECDSA and PSS signatures of one message differ, those of PKCS#1, Ed25519 and HMAC do not")
    func determinism() throws {
        let rsa = PrivateKey.generate(.rsa(bits: 2048))
        let makers = [
            (try SignatureGeneration(key: .generate(.ellipticCurve(.p256)), scheme: .ecdsa), true),
            (try SignatureGeneration(key: rsa, scheme: .rsaPSS(.sha256)), true),
            (try SignatureGeneration(key: rsa, scheme: .rsaPKCS1(.sha256)), false),
            (try SignatureGeneration(key: .generate(.ed25519), scheme: .ed25519), false),
            (try SignatureGeneration(secret: [UInt8](repeating: 7, count: 32).span, hash: .sha256), false),
        ]
        for (maker, differs) in makers {
            let (first, second) = (maker.sign("m".utf8.span), maker.sign("m".utf8.span))
            #expect((first != second) == differs)
        }
    }

    @Test("a MAC is made and verified with the same secret, which is as long as the hash")
    func mac() throws {
        for hash in HashFunction.allCases {
            let secret = RandomBytes.make(hash.byteCount)
            let tag = try SignatureGeneration(secret: secret.span, hash: hash).sign("m".utf8.span)
            let verification = try SignatureVerification(secret: secret.span, hash: hash)
            #expect(tag.count == hash.byteCount && verifies(verification, tag, "m"))
            #expect(!verifies(verification, tag, "n"))
            let short = Array(secret.dropLast())
            #expect(throws: KeyError.weak) { try SignatureGeneration(secret: short.span, hash: hash) }
        }
    }
}

private func verifies(_ verification: SignatureVerification, _ signature: [UInt8], _ message: String) -> Bool
{
    verification.verifies(signature.span, of: message.utf8.span)
}

@Suite struct PrivateKeyTextTests {
    @Test("the older form of an EC key is read, its parameters before it, and so is the newer one")
    func forms() throws {
        let key = try PrivateKey(pem: Array(olderPEM.utf8))
        let again = try PrivateKey(pem: key.pem)
        #expect(key.publicParameters == again.publicParameters)
        guard case .ellipticCurve(.p256, _, _) = key.publicParameters else {
            Issue.record("not a P-256 key")
            return
        }
    }

    @Test("a private key with the public half of another one is refused")
    func halves() {
        #expect(throws: KeyError.invalid) { try PrivateKey(pem: Array(mixedPEM.utf8)) }
    }

    @Test("what is no PEM, or is cut, is refused, and so is a public key")
    func unreadable() {
        let pem = PrivateKey.generate(.ellipticCurve(.p256)).pem
        let publicText =
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
            + "-----END PUBLIC KEY-----\n"
        let texts = [
            [], Array("no key".utf8), Array(pem.prefix(pem.count / 2)), Array(pem.dropFirst(8)),
            Array(publicText.utf8), [UInt8](repeating: 0x41, count: 65537),
        ]
        for broken in texts {
            #expect(throws: KeyError.self) { try PrivateKey(pem: broken) }
        }
    }

    @Test("a key that asks for a passphrase is refused as such, in both forms")
    func encrypted() {
        for pem in [encryptedPEM, encryptedOlderPEM] {
            #expect(throws: KeyError.encrypted) { try PrivateKey(pem: Array(pem.utf8)) }
        }
    }

    @Test("a curve that no algorithm has is refused, and a short RSA key")
    func unfit() {
        #expect(throws: KeyError.unsupported) { try PrivateKey(pem: Array(k256PEM.utf8)) }
        #expect(throws: KeyError.weak) { try PrivateKey(pem: Array(shortRSAPEM.utf8)) }
    }
}

// Keys made for this test with the openssl command; they protect nothing.
private let olderPEM = """
    -----BEGIN EC PARAMETERS-----
    BggqhkjOPQMBBw==
    -----END EC PARAMETERS-----
    -----BEGIN EC PRIVATE KEY-----
    MHcCAQEEIHI51I+aAJT12Wnel/aG5LpGsw2jM71Pbtd3e95eKepFoAoGCCqGSM49
    AwEHoUQDQgAE6eVbJfD4Q5vrLRpGxFoCD2wf8SZ4n83yNaWX8EFdkZdGhnK14G1H
    Sa/xT3viMthinmz8GN4bwVCyPBzgFZHe5A==
    -----END EC PRIVATE KEY-----
    """
private let mixedPEM = """
    -----BEGIN EC PRIVATE KEY-----
    MHcCAQEEIHI51I+aAJT12Wnel/aG5LpGsw2jM71Pbtd3e95eKepFoAoGCCqGSM49
    AwEHoUQDQgAExqikB7uWzIv1t7hAx2KoKU4nEjCZgjxN8scxqDvkJMSNGNedT1nI
    vVQZlO9CGmF3cxIuhWi5mnXtLTNtg0qhPw==
    -----END EC PRIVATE KEY-----
    """
private let encryptedOlderPEM = """
    -----BEGIN EC PRIVATE KEY-----
    Proc-Type: 4,ENCRYPTED
    DEK-Info: AES-128-CBC,2C13E1DF2FAE2A0CABEE637B943617C7

    MrSJ1x7+1O4+Kghb4Ljikk0MQZeK2QgM8RUpANETL45lxNam0PI68EWn9r3eDTJc
    /lIO3Awkr3M6fkutVQIRBIJYbD42PWqtCBFzG2jFkeYbNQiZROef1ALfvUy5qRU6
    L+RuyogXwfIIShAraPQIN88Np9LfK8GOhxTnQU1iIlU=
    -----END EC PRIVATE KEY-----
    """
private let k256PEM = """
    -----BEGIN PRIVATE KEY-----
    MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQg/5JPgZepqE0E3znrp2Ag
    8PglP2gvg8bbaLiK6hDVniChRANCAARn5wUC1pOeNeTrCMf1gpRlk+V+GjGmx+HY
    9HH2SGT7hV1PTfZwCFQ7JTTaqZPy4icuz29RHp5hC5OJEfOc6KR2
    -----END PRIVATE KEY-----
    """
private let shortRSAPEM = """
    -----BEGIN PRIVATE KEY-----
    MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBANKySwg+HGwE71TB
    tJ/1f9cFnFkKhS8bqYad/D4I20LkUflyeFChm5jAPfSB3O7X6miXx+uubAuMcbCn
    vQyUow3tKTGIpFJHhJQS/04IqtOL3NlCzd6oehtf6cW3LoRpt19esTYbsyTIt50p
    hly3WRIxbN/PvFtK/c3MAttNimhdAgMBAAECgYAc8adDE5097ZOfNhkFHGmadUfc
    J4jSRt+MAaoEL51HXCwys1n54amJW2dnbmuWWAz4n1k0dDqdf4aiuPhMgSLA5/+z
    I9uglbq589uKOwqhLdnDodbXCbh8k8ztCb2P70lvzR2Iuw395XiDza1Nv1MYBWeq
    FgXyX8MvLiIWPDCPYQJBAPt0poRefdgJSHlKPG4Ldj6STyDKPs+Vswc+FCXhIXOd
    +pBqMozKOoRjGWOor+6mlkLe9BQwm8acOifyToWIoGkCQQDWgRJhNHGHTSA/uZ2o
    eW0KjlCXfneJ+GOPpkuqiRSvJLVYqSz/6xPap3OlE82UfsBGe/bjU1JkWPZqOGfA
    R0nVAkAbd8+k0AmhKspu7WwSfVAKX8MjCtS3qlunI+HhjWkxDwXK9r7U4FZqFcU1
    PL0TLcFmRqKU/gZWOMSljnODZLxZAkEAxd7kvIRrIZuU3xPzimEQpEcpssX3sW9P
    MEj/zb2MNhBPtQzCNQV+GBqWBDZjUtMlvR9HXOYUv/qMvOlxU56vTQJAYAcPbWks
    6LNmsZrSMS4sqz6gFEpczce510XoTB0U4xgajzeGiraVS/Fw8q+U+qi2bejp5RSk
    HogPhNf02rjx5w==
    -----END PRIVATE KEY-----
    """
private let encryptedPEM = """
    -----BEGIN ENCRYPTED PRIVATE KEY-----
    MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjcXYh9LD6MIgICCAAw
    DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEMNtG6TU+RuJOng39WCHUnsEgZC4
    zSk79LTc45E2Gq+CBXzyC/lKA/p8fQFaIo3dswVuD2614s6yz6uGZavom5fRSDT2
    6LuV+PS2rtXcsbu6RE7ILiDBnmOKUYc1Q9snXrFE69hGfs/Z5Cs1wtISYvBDowqx
    k9gCf2hdM0e5V6jjz3QgPOmziMNhL+W5NHrN+1C9spL846FVzLepCtThrdNJMHo=
    -----END ENCRYPTED PRIVATE KEY-----
    """
