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
            case .bearer(let range): return "bearer \(text(range))"
            case .cookies(let ranges): return "cookies " + ranges.map(text).joined(separator: " ")
            }
        }
    }
}

@Suite("Misplaced refresh tokens")
struct MisplacedTokenTests {
    private static let token = "rt_" + String(repeating: "A", count: 92)
    private let names = CookieNames(isSecure: true)

    @Test(
        "one is found wherever it stands in a head",
        arguments: [
            ("/\(token)/x", "", "path"), ("/x?a=\(token)", "", "query"), ("/x?\(token)&b=c", "", "query"),
            ("/", "Authorization: Bearer \(token)\r\n", "authorization"),
            ("/", "Authorization: bearer\t\(token)\r\n", "authorization"),
            ("/", "Authorization: \(token)\r\n", "authorization"),
            ("/", "Authorization: Basic eDp5, Bearer \(token)\r\n", "authorization"),
            ("/", "Authorization: Basic eDp5\r\nAuthorization: Bearer \(token)\r\n", "authorization"),
            ("/", "Cookie: a=b; other=\(token)\r\n", "cookie"),
            ("/", "Cookie: __Host-access=\(token)\r\n", "cookie"),
            ("/", "Cookie: refresh=\(token)\r\n", "cookie"),
            ("/", "Cookie: __Secure-refresh=x\(token)-; y=\"\(token)\"\r\n", "cookie"),
            ("/", "Cookie: __Secure-refresh=\(token)\r\nCookie: a=\(token)\r\n", "cookie"),
            ("/", "X-Refresh-Token: \(token)\r\n", "header"),
            ("/", "Coo_kie: __Secure-refresh=\(token)\r\n", "header"),
            ("/", "Referer: https://h/?t=\(token)\r\n", "header"),
            ("/", "\(token): x\r\n", "header"),
        ])
    func found(_ target: String, _ fields: String, _ place: String) throws {
        #expect(try foundPlace(target, fields) == place)
    }

    @Test(
        "the refresh cookie itself, and what is no token, pass",
        arguments: [
            ("/", "Cookie: a=b; __Secure-refresh=\(token)\r\n"), ("/part_one?start_x=rt_1", ""),
            ("/", "Authorization: Bearer \(token)A\r\n"),
            ("/", "Authorization: Bearer eyJrt_.x\(token).rt_\r\n"), ("/\(token)A", ""),
            ("/", "X-Cart_: cart_\(token)\r\n"),
        ])
    func passing(_ target: String, _ fields: String) throws {
        #expect(try foundPlace(target, fields) == nil)
    }

    @Test("one that is a JWT is found as a bearer token, whatever key has signed it; another JWT passes")
    func signed() throws {
        func jwt(_ type: String) -> String {
            let head = TokenSigner.head(algorithm: .ps512, kid: "of another gateway", type: type)
            return "Authorization: Bearer \(String(decoding: head, as: UTF8.self))e30.c2ln\r\n"
        }
        #expect(try foundPlace("/", jwt("rt+jwt")) == "authorization")
        #expect(try foundPlace("/", "Authorization: Basic eDp5\r\n" + jwt("rt+jwt")) == "authorization")
        #expect(try foundPlace("/", jwt("at+jwt")) == nil)
    }

    @Test("one that only the path's normal form shows is found")
    func normalPath() throws {
        let head = try Heads.request("GET /%72t_x HTTP/1.1\r\nHost: h\r\n\r\n")
        let place = MisplacedToken.place(
            in: head, normalPath: Array("/\(Self.token)".utf8), cookieNames: names)
        #expect(place == .path)
    }

    @Test("a log sees a text up to the token in it")
    func cut() {
        for (path, shown) in [("/a/\(Self.token)/b", "/a/"), ("/cart_/b", "/cart_/b")] {
            let bytes = Array("GET \(path) HTTP/1.1".utf8)
            let range = MisplacedToken.cut(ByteRange(4, 4 + path.utf8.count), in: bytes.span)
            #expect(String(decoding: bytes[range.offsets], as: UTF8.self) == shown)
        }
    }

    private func foundPlace(_ target: String, _ fields: String) throws -> String? {
        let head = try Heads.request("GET \(target) HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        return MisplacedToken.place(in: head, normalPath: [], cookieNames: names)?.rawValue
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

    @Test("on the host of the public URL its port counts, whatever Host says")
    func portOfThePublicHost() throws {
        for (host, isOurs) in [("api.example.com", false), ("other.example.com", true)] {
            let head = try Heads.request(
                "POST / HTTP/1.1\r\nHost: \(host)\r\nOrigin: https://\(host)\r\n\r\n")
            #expect(SameOrigin.isShown(by: head, Array("https://api.example.com:8443".utf8)) == isOurs)
        }
    }

    @Test(
        "a request of our own pages, or of nobody's, shows it",
        arguments: [
            "Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n",
            "Origin: https://api.example.com\r\n",
            "Origin: https://evil.example\r\nSec-Fetch-Site: same-origin\r\n",
            "Origin: https://h\r\n",
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
            "Origin: https://api.example.com:444\r\n", "Origin: http://h\r\n", "Origin: https://h:444\r\n",
            "Origin: https://hh\r\n", "Origin: https://\r\n", "Origin: h\r\n",
            "Origin: https://h\r\nSec-Fetch-Site: same-site\r\n",
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
