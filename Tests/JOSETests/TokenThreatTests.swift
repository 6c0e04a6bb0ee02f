// What has broken other verifiers, case by case. Each is refused, and the verifier works on afterwards.

import Crypto
import JOSE
import Primitives
import Testing

@Suite struct TokenThreatTests {
    private let forge: TokenForge

    init() throws { forge = try TokenForge() }

    @Test(
        "none is refused in any spelling, with and without a signature (CVE-2015-9235)",
        arguments: ["none", "None", "NONE", "nOnE", "none ", "", "null"])
    func none(_ name: String) {
        let header = #"{"alg":"\#(name)","typ":"at+jwt","kid":"ec"}"#
        let head = forge.head(header: header)
        #expect(forge.refusal(head + [UInt8(ascii: ".")]) == .malformed)
        #expect(forge.refusal(head) == .malformed)
        #expect(forge.refusal(forge.sign(head)) == .wrongAlgorithm)
    }

    @Test("HMAC under the public key's bytes is refused (CVE-2016-5431)")
    func symmetryConfusion() throws {
        guard case .ellipticCurve(_, let x, let y) = forge.privateKey.publicParameters else { return }
        let head = forge.head(header: #"{"alg":"HS256","typ":"at+jwt","kid":"ec"}"#)
        for key in [[4] + x + y, x + y, x, forge.keys.jwksText, [0x20] + forge.keys.jwksText] {
            let tag = HMACSHA256(key: key.span).authenticate(head.span).bytes
            #expect(forge.refusal(forge.join(head, tag)) == .wrongAlgorithm)
        }
    }

    @Test(
        "an unknown algorithm is refused, and one of another case (CVE-2026-23993)",
        arguments: [
            "ES257", "es256", "ES256K", "Ed25519", "RSA1_5", "dir", "A256GCMKW", "PBES2-HS256+A128KW",
        ])
    func unknownAlgorithm(_ name: String) {
        let token = forge.token(header: #"{"alg":"\#(name)","typ":"at+jwt","kid":"ec","p2c":2147483648}"#)
        #expect(forge.refusal(token) == .wrongAlgorithm)
    }

    @Test("a key in the header is ignored: it neither helps a forgery nor harms a good token (CVE-2018-0114)")
    func embeddedKey() throws {
        let attacker = PrivateKey.generate()
        let jwk = try JSONWebKey(attacker.publicParameters, algorithm: .es256, kid: "ec")
        let set = String(decoding: try KeySet(keys: [jwk]).jwksText, as: UTF8.self)
        let embedded = set.dropFirst(#"{"keys":["#.count).dropLast(2)
        let header = """
            {"alg":"ES256","typ":"at+jwt","kid":"ec","jwk":\(embedded),"jku":"http://127.0.0.1:9/",\
            "x5c":["AA=="],\
            "x5u":"http://127.0.0.1:9/"}
            """
        let head = forge.head(header: header)
        #expect(forge.refusal(forge.join(head, attacker.sign(head.span))) == .wrongSignature)
        #expect(forge.refusal(forge.sign(head)) == nil)
    }

    @Test("a kid of five kilobytes, or one that looks like a path or a query, is just unknown")
    func hostileKeyName() {
        for kid in [
            String(repeating: "k", count: 5000), "../../dev/null", "' OR 1=1 --", "|id", "ec\\u0000.pem",
        ] {
            let token = forge.token(header: #"{"alg":"ES256","typ":"at+jwt","kid":"\#(kid)"}"#)
            #expect(forge.refusal(token) == .unknownKey)
        }
    }

    @Test("psychic signatures are refused: r and s of zero, one, the order and beyond (CVE-2022-21449)")
    func psychicSignatures() {
        let order = hexadecimal("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
        let zero = [UInt8](repeating: 0, count: 32)
        let one = zero.dropLast() + [1]
        let values = [zero, Array(one), order, [UInt8](repeating: 0xFF, count: 32)]
        for r in values {
            for s in values {
                #expect(forge.refusal(forge.join(forge.head(), r + s)) == .wrongSignature)
            }
        }
    }

    @Test("a good signature in DER is refused: a signature has one spelling")
    func derSignature() {
        let head = forge.head()
        let raw = forge.privateKey.sign(head.span)
        func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
            var number = Array(bytes.drop { $0 == 0 })
            if number[0] >= 0x80 { number.insert(0, at: 0) }
            return [2, UInt8(number.count)] + number
        }
        let body = integer(raw[..<32]) + integer(raw[32...])
        #expect(forge.refusal(forge.join(head, [0x30, UInt8(body.count)] + body)) == .wrongSignature)
        #expect(forge.refusal(forge.join(head, raw)) == nil)
    }

    @Test("empty, cut and doubled signatures are refused (CVE-2020-28042)")
    func signatureLengths() {
        let head = forge.head()
        let raw = forge.privateKey.sign(head.span)
        #expect(forge.refusal(forge.join(head, [])) == .malformed)
        for signature in [Array(raw.dropLast()), Array(raw.prefix(32)), raw + raw, raw + [0], [0] + raw] {
            #expect(forge.refusal(forge.join(head, signature)) == .wrongSignature)
        }
        let tagged = forge.taggedToken(header: #"{"alg":"HS256","typ":"at+jwt","kid":"mac"}"#)
        #expect(forge.refusal(tagged) == nil)
        #expect(forge.refusal(Array(tagged.dropLast(11))) != nil)
    }

    @Test(
        "crit, b64 and zip are refused whatever they say (CVE-2025-59420)",
        arguments: [
            #""crit":["exp"],"exp":1"#, #""crit":[]"#, #""crit":["b64"],"b64":false"#, #""crit":null"#,
            #""b64":true"#,
            #""b64":false"#, #""zip":"DEF""#,
        ])
    func extensions(_ members: String) {
        let header = #"{"alg":"ES256","typ":"at+jwt","kid":"ec",\#(members)}"#
        #expect(forge.refusal(forge.token(header: header)) == .extensionUnknown)
    }

    @Test("a JWE has five parts and is refused (CVE-2026-29000)")
    func encrypted() {
        let parts = forge.head(header: #"{"alg":"dir","enc":"A256GCM","typ":"at+jwt","kid":"ec"}"#)
        #expect(forge.refusal(parts + Array(".AAAA.AAAA.AAAA".utf8)) == .malformed)
        #expect(forge.refusal(parts + Array(".AAAA".utf8)) == .wrongAlgorithm)
    }

    @Test(
        "a megabyte of dots is refused by its size, eight kilobytes of them by their shape (CVE-2025-30204)"
    )
    func dots() {
        #expect(forge.refusal([UInt8](repeating: UInt8(ascii: "."), count: 1_000_000)) == .tooLarge)
        #expect(forge.refusal([UInt8](repeating: UInt8(ascii: "."), count: 8192)) == .malformed)
        let deep = String(repeating: "[", count: 6000)
        #expect(forge.refusal(Base64URL.encode(deep.utf8.span) + Array(".AAAA.AAAA".utf8)) == .malformed)
    }

    @Test("repeated names are refused in header and claims, also behind an escape")
    func repeatedNames() {
        for header in [
            #"{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"ec"}"#,
            #"{"alg":"ES256","typ":"at+jwt","kid":"ec","\u0061lg":"none"}"#,
        ] {
            #expect(forge.refusal(forge.token(header: header)) == .malformed)
        }
        let claims = TokenForge.claims().dropLast()
        #expect(forge.refusal(forge.token(claims: claims + #","sub":"root"}"#)) == .malformed)
        #expect(forge.refusal(forge.token(claims: claims + #","\u0073ub":"root"}"#)) == .malformed)
        #expect(forge.refusal(forge.token(claims: claims + #","nested":{"a":1,"a":2}}"#)) == .malformed)
        #expect(forge.refusal(forge.token(claims: claims + #","nested":{"sub":"root"}}"#)) == nil)
    }

    @Test("byte order mark, UTF-16, trailing bytes and a claims array are refused")
    func encodings() {
        let claims = TokenForge.claims()
        for text in [
            "\u{FEFF}" + claims, claims + "x", claims + claims, claims + "\0", "[\(claims)]", "", " ", "null",
        ] {
            #expect(forge.refusal(forge.token(claims: text)) == .malformed)
        }
        #expect(forge.refusal(forge.token(claims: " \n" + claims + "\t")) == nil)
        let wide = claims.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        let head =
            Base64URL.encode(TokenForge.header.utf8.span) + [UInt8(ascii: ".")] + Base64URL.encode(wide.span)
        #expect(forge.refusal(forge.sign(head)) == .malformed)
        let broken =
            Array(claims.utf8.dropLast()) + Array(#","x":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8)
        let second = Base64URL.encode(TokenForge.header.utf8.span) + [UInt8(ascii: ".")]
        #expect(forge.refusal(forge.sign(second + Base64URL.encode(broken.span))) == .malformed)
    }

    @Test("loose base64 is refused even under a good signature: one token has one spelling")
    func looseBase64() {
        let token = String(decoding: forge.token(), as: UTF8.self)
        let parts = token.split(separator: ".").map(String.init)
        for loose in [
            token + "=", token + "==", "\(parts[0])=.\(parts[1]).\(parts[2])",
            token.replacing(".", with: " ."),
            "\(parts[0]).\(parts[1])\n.\(parts[2])",
        ] {
            #expect(forge.refusal(Array(loose.utf8)) == .malformed)
        }
        // 64 bytes are 86 characters, of which the last carries two bits: its other spellings differ in four
        // unused.
        var other = forge.token()
        let last = other.count - 1
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let value = alphabet.firstIndex(of: other[last]) ?? 0
        for low in 1..<16 {
            other[last] = alphabet[value | low]
            #expect(forge.refusal(other) == .malformed)
        }
        let padded = parts[0] + "=." + parts[1]
        #expect(forge.refusal(forge.sign(Array(padded.utf8))) == .malformed)
    }

    @Test("after a good token, the same head with another signature is still refused")
    func sameHead() {
        let token = forge.token()
        #expect(forge.refusal(token) == nil)
        let other = PrivateKey.generate()
        let head = forge.head()
        #expect(forge.refusal(forge.join(head, other.sign(head.span))) == .wrongSignature)
        let hasher = SHA256Hasher()
        let first = hasher.digest(token.span)
        let second = hasher.digest(forge.join(head, other.sign(head.span)).span)
        #expect(first != second)
        #expect(forge.refusal(token) == nil)
    }

    private func hexadecimal(_ text: String) -> [UInt8] {
        let digits = text.utf8.compactMap(ASCII.hexadecimalValue)
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
