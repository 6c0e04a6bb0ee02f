// JWKs and sets of them: what is read, what is refused, what is published.

import Crypto
import JOSE
import Primitives
import Testing

@Suite struct JSONWebKeyTests {
    private let rsa =
        #""kty":"RSA","e":"AQAB","n":""#
        + "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
        + "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
        + "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
        + #"WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw""#
    private let ec =
        #""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","#
        + #""y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#

    private func key(_ members: String, assuming algorithm: SignatureAlgorithm? = nil) throws -> JSONWebKey {
        try JSONWebKey(jwk: json("{\(members)}"), assumedAlgorithm: algorithm)
    }

    @Test("the thumbprint of RFC 7638 §3.1 comes out, whatever else the key says")
    func thumbprint() throws {
        let expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        #expect(try key(rsa).thumbprint == expected)
        #expect(try key(rsa + #","alg":"PS512","kid":"2011-04-29","use":"sig""#).thumbprint == expected)
    }

    @Test("a key without alg is used with the usual algorithm of its kind, or with the one assumed")
    func usualAlgorithm() throws {
        #expect(try key(rsa).algorithm == .rs256)
        #expect(try key(rsa, assuming: .ps384).algorithm == .ps384)
        #expect(try key(ec).algorithm == .es256)
        #expect(try key(rsa + #","alg":"RS512""#, assuming: .ps384).algorithm == .rs512)
        #expect(throws: JOSEError.algorithmMismatch) { try key(ec, assuming: .es384) }
        #expect(throws: JOSEError.algorithmMismatch) { try key(#""kty":"oct","k":"\#(secret(32))""#) }
    }

    @Test(
        "an algorithm of another kind of key is refused",
        arguments: ["RS256", "PS512", "ES384", "ES512", "HS256", "EdDSA"])
    func algorithmMismatch(_ name: String) throws {
        #expect(throws: Never.self) { try key(ec + #","alg":"ES256""#) }
        #expect(throws: JOSEError.algorithmMismatch) { try key(ec + #","alg":"\#(name)""#) }
    }

    @Test("none and unknown algorithms, types and curves are refused")
    func unsupported() {
        for members in [
            ec + #","alg":"none""#, ec + #","alg":"es256""#, #""kty":"ec""#,
            #""kty":"OKP","crv":"X25519","x":"AA""#,
            #""kty":"EC","crv":"secp256k1","x":"AA","y":"AA""#, ec + #","use":"enc""#,
            ec + #","key_ops":["sign"]"#,
        ] {
            #expect(throws: JOSEError.unsupportedKey) { try key(members) }
        }
        #expect(throws: Never.self) { try key(ec + #","use":"sig","key_ops":["verify"]"#) }
    }

    @Test("members that are missing or of the wrong form are refused")
    func malformed() {
        for members in [
            "", #""kty":1"#, #""kty":"EC","crv":"P-256","x":"AA""#, #""kty":"RSA","n":"AQAB""#,
            ec + #","kid":7"#,
            ec + #","kid":"""#, ec + #","alg":null"#, ec + #","use":["sig"]"#, ec + #","key_ops":"verify""#,
            #""kty":"oct","alg":"HS256""#, #""kty":"oct","alg":"HS256","k":"AAA=""#,
        ] {
            #expect(throws: JOSEError.malformedKey) { try key(members) }
        }
        #expect(throws: JOSEError.malformedKey) { try JSONWebKey(jwk: json("[]")) }
        let long = String(repeating: "k", count: 257)
        #expect(throws: JOSEError.malformedKey) { try key(ec + #","kid":"\#(long)""#) }
        #expect(throws: Never.self) { try key(ec + #","kid":"\#(long.dropLast())""#) }
    }

    @Test("a key with its private part is refused")
    func exposed() {
        #expect(throws: JOSEError.privateKeyExposed) { try key(ec + #","d":"AQ""#) }
        #expect(throws: JOSEError.privateKeyExposed) { try key(rsa + #","p":"AQ""#) }
    }

    @Test("an HMAC secret is as long as its hash")
    func secrets() throws {
        for (name, count) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
            #expect(try key(#""kty":"oct","alg":"\#(name)","k":"\#(secret(count))""#).isSecret)
            #expect(throws: JOSEError.unfitKey(.weak)) {
                try key(#""kty":"oct","alg":"\#(name)","k":"\#(secret(count - 1))""#)
            }
        }
    }

    @Test("neither printing nor dumping a key shows its bytes")
    func description() throws {
        let bytes = [UInt8](repeating: 201, count: 32)
        let key = try JSONWebKey(secret: bytes, algorithm: .hs256, kid: "mac")
        var text = "\(key) \(String(reflecting: key))"
        dump(key, to: &text)
        #expect(!text.contains("201") && text.contains("mac"))
        let signing = try SigningKey.generate(.es256)
        dump(signing, to: &text)
        #expect(!text.contains("PRIVATE") && !text.contains("45"))
    }

    private func secret(_ count: Int) -> String { Base64URL.text([UInt8](repeating: 7, count: count).span) }
}

@Suite struct KeySetTests {
    private func publicKey(kid: String?) throws -> JSONWebKey {
        try JSONWebKey(PrivateKey.generate().publicParameters, algorithm: .es256, kid: kid)
    }

    @Test("a set publishes what it can read back, and never a secret")
    func publishing() throws {
        let secret = [UInt8](repeating: 7, count: 32)
        let keys = [
            try publicKey(kid: "a\"b"), try JSONWebKey(secret: secret, algorithm: .hs256, kid: "mac"),
            try publicKey(kid: "c"),
        ]
        let set = try KeySet(keys: keys)
        let text = String(decoding: set.jwksText, as: UTF8.self)
        #expect(!text.contains("oct") && !text.contains(Base64URL.text(secret.span)) && !text.contains("mac"))
        let copy = try KeySet(jwks: json(text))
        #expect(copy.keys.map(\.kid) == ["a\"b", "c"])
        #expect(copy.jwksText == set.jwksText)
    }

    @Test("two keys of one name are refused, and two nameless ones of one algorithm")
    func ambiguity() throws {
        let (a, b, nameless) = (try publicKey(kid: "a"), try publicKey(kid: "b"), try publicKey(kid: nil))
        #expect(throws: Never.self) { try KeySet(keys: [a, b]) }
        #expect(throws: Never.self) { try KeySet(keys: [nameless]) }
        #expect(throws: JOSEError.ambiguousKeyID) { try KeySet(keys: [a, b, a]) }
        #expect(throws: Never.self) { try KeySet(keys: [a, nameless]) }
        #expect(throws: JOSEError.ambiguousKeyID) { try KeySet(keys: [nameless, nameless]) }
    }

    @Test("names that only look alike are two names")
    func equivalentNames() throws {
        let keys = [try publicKey(kid: "caf\u{E9}"), try publicKey(kid: "cafe\u{301}")]
        #expect(try KeySet(keys: keys).keys.count == 2)
    }

    @Test("keys that cannot be used are left out of a published set, which works on (RFC 7517 §5)")
    func leftOut() throws {
        let good = String(
            decoding: try KeySet(keys: [publicKey(kid: "good")]).jwksText, as: UTF8.self)
        let element = good.dropFirst(#"{"keys":["#.count).dropLast(2)
        let secret = Base64URL.text([UInt8](repeating: 7, count: 32).span)
        let nameless = element.replacing(#","kid":"good""#, with: "")
        let text = """
            {"keys":[{"kty":"new"},7,{"kty":"oct","alg":"HS256","kid":"s","k":"\(secret)"},\
            \(element),\(nameless)]}
            """
        let set = try KeySet(jwks: json(text))
        #expect(set.keys.map(\.kid) == ["good"] && set.ignoredCount == 4)
    }

    @Test("a document that is no set is refused; an empty set is one")
    func shape() throws {
        for text in ["[]", "{}", #"{"keys":{}}"#, "null"] {
            #expect(throws: JOSEError.malformedKey) { try KeySet(jwks: json(text)) }
        }
        #expect(try KeySet(jwks: json(#"{"keys":[]}"#)).keys.isEmpty)
    }
}
