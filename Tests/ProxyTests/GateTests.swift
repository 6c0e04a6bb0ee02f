// The gate's parts without a network: which credential a request carries, cookies with and without ours, the
// same-origin rule, and what is stripped. Each refusal stands beside its nearest accepted neighbour.

import HTTP
import JOSE
import Primitives
import Testing

@testable import Proxy

@Suite("Credentials")
struct CredentialsTests {
    private let names = CookieNames(isSecure: true)

    @Test(
        "a bearer token is found whatever the case of its scheme",
        arguments: ["Bearer abc.def.ghi", "bearer abc.def.ghi", "BEARER  abc.def.ghi"])
    func bearer(_ value: String) throws {
        #expect(try found("Authorization: \(value)\r\n") == "bearer abc.def.ghi")
    }

    @Test("another scheme is no credential of ours, and leaves the cookie its say")
    func otherScheme() throws {
        #expect(try found("Authorization: Basic YWxpY2U6eA==\r\n") == "none")
        #expect(
            try found("Authorization: Basic YWxpY2U6eA==\r\nCookie: __Host-access=tok\r\n") == "cookies tok")
    }

    @Test("a bearer header wins over a cookie")
    func precedence() throws {
        #expect(try found("Cookie: __Host-access=one\r\nAuthorization: Bearer two\r\n") == "bearer two")
    }

    @Test("two Authorization fields are one too many; one is not")
    func ambiguous() throws {
        #expect(try found("Authorization: Bearer a\r\nAuthorization: Bearer a\r\n") == "ambiguous")
        #expect(try found("Authorization: Bearer a\r\n") == "bearer a")
    }

    @Test("a refresh token as bearer is recognised and not taken for an access token")
    func misplaced() throws {
        let refreshToken = "rt_" + String(repeating: "A", count: 92)
        #expect(try found("Authorization: Bearer \(refreshToken)\r\n") == "misplaced")
        #expect(try found("Authorization: Bearer \(refreshToken)A\r\n") == "bearer \(refreshToken)A")
    }

    @Test("so is one that is a JWT, of whatever key; another JWT is a bearer token")
    func misplacedJWT() throws {
        func jwt(_ type: String) -> String {
            let head = TokenSigner.head(algorithm: .ps512, kid: "of another gateway", type: type)
            return String(decoding: head, as: UTF8.self) + "e30.c2ln"
        }
        #expect(try found("Authorization: Bearer \(jwt("rt+jwt"))\r\n") == "misplaced")
        #expect(
            try found("Authorization: Bearer \(jwt("rt+jwt"))\r\nAuthorization: Basic eDp5\r\n")
                == "misplaced")
        #expect(try found("Authorization: Bearer \(jwt("at+jwt"))\r\n") == "bearer \(jwt("at+jwt"))")
    }

    @Test("a refresh token is recognised beside another Authorization field, in either place")
    func misplacedBesideAnother() throws {
        let token = "rt_" + String(repeating: "a", count: 92)
        let (ours, basic) = ("Authorization: Bearer \(token)\r\n", "Authorization: Basic eDp5\r\n")
        #expect(try found(ours + basic) == "misplaced")
        #expect(try found(basic + ours) == "misplaced")
        #expect(try found(basic + basic) == "ambiguous")
    }

    @Test("every cookie of our name is a candidate, and no other")
    func cookies() throws {
        #expect(try found("Cookie: a=b; __Host-access=one;__Host-access=two; c=d\r\n") == "cookies one two")
        #expect(try found("Cookie: x__Host-access=one; __host-access=two; __Host-access\r\n") == "cookies ")
        #expect(try found("Cookie: a=b\r\n") == "none")
    }

    private func found(_ fields: String) throws -> String {
        let head = try Heads.request("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        return head.block.withBytes { bytes in
            func text(_ range: ByteRange) -> String { String(lossy: bytes.extracting(range.offsets)) }
            switch Credentials.find(in: head, cookieNames: names) {
            case .none: return "none"
            case .ambiguous: return "ambiguous"
            case .misplacedRefreshToken: return "misplaced"
            case .bearer(let range): return "bearer \(text(range))"
            case .cookies(let ranges): return "cookies " + ranges.map(text).joined(separator: " ")
            }
        }
    }
}

@Suite("Cookies on their way upstream")
struct CookieStrippingTests {
    @Test(
        "our cookies are taken out and the others left",
        arguments: [
            ("access=x", ""), ("a=b; access=x; c=d", "a=b; c=d"), ("refresh=r; access=x", ""),
            ("a=b;access=x", "a=b"), (" a=b ; access = x", "a=b"),
            ("accessx=1; access=", "accessx=1"),
            ("access", ""),
        ])
    func ours(_ value: String, _ kept: String) {
        let bytes = Array(value.utf8)
        let names = CookieNames(isSecure: false)
        let result = CookieFields.withoutOurs(bytes.span, ByteRange(0, bytes.count), names)
        #expect(result.map { String(decoding: $0, as: UTF8.self) } == kept)
    }

    @Test(
        "a field without ours is left alone",
        arguments: ["a=b", "accessx=1; xaccess=2", "", ";;", "ACCESS=1"])
    func others(_ value: String) {
        let bytes = Array(value.utf8)
        let names = CookieNames(isSecure: false)
        #expect(CookieFields.withoutOurs(bytes.span, ByteRange(0, bytes.count), names) == nil)
    }
}

@Suite("Same origin")
struct SameOriginTests {
    private let origin = Array("https://api.example.com".utf8)

    @Test(
        "a request of our own pages, or of nobody's, shows it",
        arguments: [
            "Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n",
            "Origin: https://api.example.com\r\n",
            "Origin: https://evil.example\r\nSec-Fetch-Site: same-origin\r\n",
        ])
    func shown(_ fields: String) throws {
        let head = try Heads.request("POST / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        let isShown = SameOrigin.isShown(by: head, origin)
        #expect(isShown)
    }

    @Test(
        "anything else does not, and neither does silence",
        arguments: [
            "", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: null\r\n",
            "Origin: http://api.example.com\r\n", "Origin: https://api.example.com.evil.example\r\n",
            "Origin: https://api.example.com:444\r\n",
            "Origin: https://api.example.com\r\nSec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n",
            "Origin: https://api.example.com\r\nOrigin: https://api.example.com\r\n",
        ])
    func notShown(_ fields: String) throws {
        let head = try Heads.request("POST / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        let isShown = SameOrigin.isShown(by: head, origin)
        #expect(!isShown)
    }
}

/// Parses heads for tests.
enum Heads {
    static func request(_ text: String) throws -> RequestHead {
        var head = RequestHead()
        let result = try RequestParser.parse(Array(text.utf8).span, into: &head, limits: MessageLimits())
        #expect(result == .complete(text.utf8.count))
        return head
    }

    static func response(_ text: String) throws -> ResponseHead {
        var head = ResponseHead()
        let result = try ResponseParser.parse(
            Array(text.utf8).span, into: &head, isHead: false, limits: MessageLimits())
        #expect(result == .complete(text.utf8.count))
        return head
    }
}
