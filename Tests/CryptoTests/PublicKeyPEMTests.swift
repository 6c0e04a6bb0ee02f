// Public keys out of PEM texts and certificates: the numbers are those that the same key has as a JWK, and
// what is no public key for signatures is refused.

import Crypto
import Primitives
import Testing

@Suite struct PublicKeyPEMTests {
    private func read(_ text: String) throws(KeyError) -> PublicKeyParameters {
        try PublicKeyParameters(pem: Array(text.utf8))
    }

    private func bytes(_ text: String) -> [UInt8] { Base64URL.decode(text.utf8.span) ?? [] }

    @Test("a key on each curve has the coordinates of its JWK, in full length")
    func curves() throws {
        for (pem, curve, x, y) in [
            (p256, EllipticCurve.p256, p256X, p256Y), (p384, .p384, p384X, p384Y),
            (p521, .p521, p521X, p521Y),
        ] {
            #expect(try read(pem) == .ellipticCurve(curve, x: bytes(x), y: bytes(y)))
            #expect(throws: Never.self) { try PublicKey(read(pem)) }
        }
    }

    @Test("an RSA key has the modulus and exponent of its JWK, an Ed25519 key its point")
    func others() throws {
        #expect(try read(rsa) == .rsa(modulus: bytes(rsaModulus), exponent: [1, 0, 1]))
        #expect(try read(ed25519) == .ed25519(bytes("Q-9JOR5plcIzUJJRWYbgLqhIQGhezRvr135XcRuOPbk")))
    }

    @Test("the key of a certificate is the one that it certifies")
    func certified() throws { #expect(try read(certificate) == read(p256)) }

    @Test("what stands around the text does not matter, and of two keys the first counts")
    func surroundings() throws {
        let expected = try read(p256)
        let spellings = [
            "partner, 2026\n" + p256, p256 + "\nend", p256.replacing("\n", with: "\r\n"), p256 + "\n" + rsa,
            p256 + "\n" + certificate,
        ]
        for text in spellings { #expect(try read(text) == expected) }
        #expect(try read(rsa + "\n" + p256) == read(rsa))
    }

    @Test("a short RSA key is read, and not made a key of")
    func short() throws {
        #expect(throws: KeyError.weak) { try PublicKey(read(rsa1024)) }
        #expect(throws: Never.self) { try PublicKey(read(rsa)) }
    }

    @Test("keys of another kind or curve are refused", arguments: [x25519, secp256k1])
    func unsupported(_ pem: String) { #expect(throws: KeyError.unsupported) { try read(pem) } }

    @Test("a private key, and what is no PEM or is cut, is refused")
    func unreadable() throws {
        let privatePEM = String(decoding: PrivateKey.generate(.ellipticCurve(.p256)).pem, as: UTF8.self)
        let cut = String(p256.dropLast(40))
        for text in ["", "no key", privatePEM, cut, p256.replacing("PUBLIC", with: "OTHER"), "\0" + cut] {
            #expect(throws: KeyError.self, "\(text)") { try read(text) }
        }
        #expect(throws: KeyError.self) { try read(p256.replacing("MFkw", with: "MFkx")) }
    }

    @Test("a text of 64 kB is read, and a larger one is not")
    func size() throws {
        let padding = 65536 - p256.utf8.count - 1
        #expect(throws: Never.self) { try read(String(repeating: "#", count: padding) + "\n" + p256) }
        #expect(throws: KeyError.wrongLength) {
            try read(String(repeating: "#", count: padding + 1) + "\n" + p256)
        }
    }
}

private let p256 = """
    -----BEGIN PUBLIC KEY-----
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEskGxW/vtCePO9kAUb/dvSAwjq60e
    7JsqftDhlsXZeNgLYn4cPtkWQYFR5FuI/AC75SZFRQamIm5UAJibtfBOyg==
    -----END PUBLIC KEY-----
    """
private let p256X = "skGxW_vtCePO9kAUb_dvSAwjq60e7JsqftDhlsXZeNg"
private let p256Y = "C2J-HD7ZFkGBUeRbiPwAu-UmRUUGpiJuVACYm7XwTso"

private let certificate = """
    -----BEGIN CERTIFICATE-----
    MIIBcDCCARWgAwIBAgIUbF9uhhI7HF6k3zikN7fZBS6MI8cwCgYIKoZIzj0EAwIw
    DDEKMAgGA1UEAwwBYTAgFw0yNjExMjExMzQ3MDdaGA8yMTI2MTAyODEzNDcwN1ow
    DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLJBsVv77Qnj
    zvZAFG/3b0gMI6utHuybKn7Q4ZbF2XjYC2J+HD7ZFkGBUeRbiPwAu+UmRUUGpiJu
    VACYm7XwTsqjUzBRMB0GA1UdDgQWBBTlLFpqFkdaS5J08dPQHf6Y7lqAvTAfBgNV
    HSMEGDAWgBTlLFpqFkdaS5J08dPQHf6Y7lqAvTAPBgNVHRMBAf8EBTADAQH/MAoG
    CCqGSM49BAMCA0kAMEYCIQDFsA+JAOzUGbhLgWENYQyO0bYJnP+fvgpB/uFol5AF
    pAIhAJT2EespPSs6f0Ty+BYD2byXm5HB4cWHNPMoGk3qevDJ
    -----END CERTIFICATE-----
    """

private let p384 = """
    -----BEGIN PUBLIC KEY-----
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVgbvlNJy2koucv1KxBeR/dniX2QgmVHM
    OJcwbWxTLfLqvtz1MGtPQFqhDduYTnkN+gVuEKaCNiZMUGq12+KWDUz9atrApCx9
    5PfH6SkHnVx+ktSgwVK2q7dNCGiskSKr
    -----END PUBLIC KEY-----
    """
private let p384X = "VgbvlNJy2koucv1KxBeR_dniX2QgmVHMOJcwbWxTLfLqvtz1MGtPQFqhDduYTnkN"
private let p384Y = "-gVuEKaCNiZMUGq12-KWDUz9atrApCx95PfH6SkHnVx-ktSgwVK2q7dNCGiskSKr"

// The first byte of its second coordinate is zero.
private let p521 = """
    -----BEGIN PUBLIC KEY-----
    MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBo3ee7SAipMzeIG/wJQvfnaiKmTKO
    L5d+nlYI06Fmp0iZbGe0N3jHEHNRjmR9KJ0h/6+BvJiqZLTU6AaN4JmzEwgA+uEb
    UV2pV79J5fJ3vE0H3nKmMnRfwrpZ37fk1kbBmxZmJPyISIBuWPbdN1fho03yyAux
    rWMPYInAVQw2LRXiONo=
    -----END PUBLIC KEY-----
    """
private let p521X =
    "AaN3nu0gIqTM3iBv8CUL352oipkyji-Xfp5WCNOhZqdImWxntDd4xxBzUY5kfSidIf-vgbyYqmS01OgGjeCZsxMI"
private let p521Y =
    "APrhG1FdqVe_SeXyd7xNB95ypjJ0X8K6Wd-35NZGwZsWZiT8iEiAblj23TdX4aNN8sgLsa1jD2CJwFUMNi0V4jja"

private let rsa = """
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAkneNWHIcFmM8qjvD3tT5
    mIe8kzqEn7ZMPfn8AVCNIXai8EnYW84uNVLKf3BKNu1Nnl1Apc86EehYZ9rDWQVD
    VBvZIN95yVYZB6AMqVPrn8qXMk4tZ9Ft1XJTzoSB7ISIyjKcrQgvIAvwsCAbqeaV
    WvwftJwuX9Xuj2+tKwjaog0d0AR/p+YaWeR4yaD1j/ITKp8srakBGZw2+G5JehtS
    dv7qK0lYAPDtxmlaFRmpdrIoilYH5ugEP0puG9dtJQHNFdgINA+PoBbEonPglG+f
    o+J37WFQoY0S/mNXU31JX23kE+q7PM+V/J8/sg1SFlPx8vtmfMgliKd++xPV8vmV
    2wIDAQAB
    -----END PUBLIC KEY-----
    """
private let rsaModulus =
    "kneNWHIcFmM8qjvD3tT5mIe8kzqEn7ZMPfn8AVCNIXai8EnYW84uNVLKf3BKNu1Nnl1Apc86EehYZ9rDWQVDVBvZIN95yVYZB6A"
    + "MqVPrn8qXMk4tZ9Ft1XJTzoSB7ISIyjKcrQgvIAvwsCAbqeaVWvwftJwuX9Xuj2-tKwjaog0d0AR_p-YaWeR4yaD1j_ITKp8s"
    + "rakBGZw2-G5JehtSdv7qK0lYAPDtxmlaFRmpdrIoilYH5ugEP0puG9dtJQHNFdgINA-PoBbEonPglG-fo-J37WFQoY0S_mNXU3"
    + "1JX23kE-q7PM-V_J8_sg1SFlPx8vtmfMgliKd--xPV8vmV2w"

private let rsa1024 = """
    -----BEGIN PUBLIC KEY-----
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCp/uFE4Hws/3k9mt8SxosKRaS3
    H0GTjYs2yfyJyMymEjROrNo7C+/gmoxMnISi+D//ZGByxApB2WPfpM+WFxjW8S1/
    nN+BoTBIo2WJnLE4ZYPSWG94rM4UKws7JMJ6RKgkKMKVYwSbhKKZhiEhQ/fXzXhS
    UeGEyTDkQiFahX1JZQIDAQAB
    -----END PUBLIC KEY-----
    """

private let ed25519 = """
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEAQ+9JOR5plcIzUJJRWYbgLqhIQGhezRvr135XcRuOPbk=
    -----END PUBLIC KEY-----
    """

private let x25519 = """
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VuAyEAKYkg8RJGPGK7cEY7vNJOoaj0KDFSxO2sBGoNtMZIcgg=
    -----END PUBLIC KEY-----
    """

private let secp256k1 = """
    -----BEGIN PUBLIC KEY-----
    MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEFcqLh57My37nVZ/oCl7S5K7I3zUiSEXE
    fPUQzh1sYV+btYnH79fWjAFyZWzr+gI4fr5TvTUtmsd5bPcvG4m0DQ==
    -----END PUBLIC KEY-----
    """
