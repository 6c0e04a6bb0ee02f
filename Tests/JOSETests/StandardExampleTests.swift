// The examples of RFC 7515, appendix A, each with its key: what the standard shows is what is verified, and
// the nearest forgery is not. Beside them the points of RFC 7517, 7518, 7519 and 8725 about the form of keys
// and tokens that no other suite has.

import Crypto
import JOSE
import Primitives
import Testing

@Suite struct StandardExampleTests {
    private func verifier(_ jwk: String, _ algorithm: SignatureAlgorithm? = nil) throws -> JWSVerifier {
        let key = try JSONWebKey(jwk: json(jwk), assumedAlgorithm: algorithm)
        return try JWSVerifier(keys: KeySet(keys: [key]))
    }

    private func payload(_ token: String, _ verifier: JWSVerifier) throws(TokenRejection) -> String {
        let bytes = try verifier.payload(of: token.utf8.span, types: nil, bytesMax: 8192)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let claims =
        "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"

    @Test("appendix A.1 to A.3: HS256, RS256 and ES256 over the same claims")
    func signatures() throws {
        for (token, jwk, algorithm) in [
            (a1, a1Key, SignatureAlgorithm.hs256), (a2, a2Key, .rs256), (a3, a3Key, .es256),
        ] {
            let verifier = try verifier(jwk, algorithm)
            #expect(try payload(token, verifier) == Self.claims)
            let other = token.replacing(".eyJpc3MiOiJqb2Ui", with: ".eyJpc3MiOiJqb2Uu")
            #expect(throws: TokenRejection.wrongSignature) { try payload(other, verifier) }
        }
    }

    @Test("appendix A.1 to A.3: no key verifies another's token, whatever the header says")
    func crossed() throws {
        let keys = [(a1Key, SignatureAlgorithm.hs256), (a2Key, .rs256), (a3Key, .es256)]
        for (index, token) in [a1, a2, a3].enumerated() {
            for (other, (jwk, algorithm)) in keys.enumerated() where other != index {
                let verifier = try verifier(jwk, algorithm)
                #expect(throws: TokenRejection.wrongAlgorithm) { try payload(token, verifier) }
            }
        }
    }

    @Test("appendix A.4: ES512, whose payload is no JSON: a signature, and no token")
    func es512() throws {
        #expect(try payload(a4, verifier(a4Key)) == "Payload")
        let key = try JSONWebKey(jwk: json(a4Key))
        let tokens = try TokenVerifier(
            keys: KeySet(keys: [key]), policy: TokenForge.policy { $0.types = [""] })
        guard case .refused(.malformed) = tokens.verify(a4.utf8.span, now: TokenForge.now) else {
            Issue.record("a payload that is no claims set")
            return
        }
    }

    @Test("appendix A.5: an unsecured token is refused, with whatever key")
    func unsecured() throws {
        let token = "eyJhbGciOiJub25lIn0." + a1.split(separator: ".")[1] + "."
        let verifier = try verifier(a1Key, .hs256)
        #expect(throws: TokenRejection.malformed) { try payload(token, verifier) }
        #expect(throws: TokenRejection.wrongAlgorithm) { try payload(token + "AA", verifier) }
    }

    @Test("a token in a token is refused: the outer one has no claims (RFC 7519 §7.2)")
    func nested() throws {
        let forge = try TokenForge()
        let inner = String(decoding: forge.token(), as: UTF8.self)
        let header = #"{"alg":"ES256","typ":"at+jwt","kid":"ec","cty":"JWT"}"#
        #expect(forge.refusal(forge.token(header: header, claims: inner)) == .malformed)
        #expect(forge.refusal(forge.token(header: header, claims: "\"\(inner)\"")) == .malformed)
        #expect(forge.refusal(forge.token(header: header)) == nil)
    }

    @Test("a kid has at most 256 bytes, in a key and in a token (RFC 8725 §3.10)")
    func keyNames() throws {
        for (count, isFit) in [(256, true), (257, false)] {
            let kid = String(repeating: "k", count: count)
            let key = try? JSONWebKey(jwk: json(a3Key.replacing("{", with: "{\"kid\":\"\(kid)\",")))
            #expect((key != nil) == isFit)
        }
    }

    @Test("numbers of a key have their full length, and no more (RFC 7518 §6.2.1.2)")
    func coordinates() throws {
        #expect(throws: Never.self) { try JSONWebKey(jwk: json(a3Key)) }
        for wrong in [
            a3Key.replacing(#""x":"f8"#, with: #""x":"AAf8"#), a3Key.replacing("VEU\"", with: "VE\""),
            a3Key.replacing("VEU\"", with: "VEU=\""), a3Key.replacing("f83O", with: "f84O"),
            a3Key.replacing("P-256", with: "P-384"), a3Key.replacing("\"EC\"", with: "\"ec\""),
        ] {
            #expect(throws: JOSEError.self, "\(wrong)") { try JSONWebKey(jwk: json(wrong)) }
        }
    }
}

private let a1 = """
    eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
    .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
    .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
    """
private let a1Key = """
    {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}
    """

private let a2 = """
    eyJhbGciOiJSUzI1NiJ9\
    .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
    .cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb\
    F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383\
    LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy\
    wlVmtVrBp0igcN_IoypGlUPQGe77Rw
    """
private let a2Key = """
    {"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrc\
    S2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5\
    z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWN\
    moudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}
    """

private let a3 = """
    eyJhbGciOiJFUzI1NiJ9\
    .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
    .DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q
    """
private let a3Key = """
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",\
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
    """

private let a4 = """
    eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA\
    .AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo\
    XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn
    """
private let a4Key = """
    {"kty":"EC","crv":"P-521",\
    "x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",\
    "y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}
    """
