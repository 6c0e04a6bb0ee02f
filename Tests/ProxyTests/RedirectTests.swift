// Where people are sent: to the login page and back, and over the refresh endpoint and back, and never out of
// the origin.

import Configuration
import HTTP
import Testing

@testable import Proxy

@Suite("Targets to return to")
struct ReturnTargetTests {
    @Test(
        "a path of this origin is one",
        arguments: [
            "/", "/x", "/x/y?z=1", "/x//y", "/x?u=//evil.example/", "/x?u=https://evil.example/", "/%41",
            "/@x",
            "/refreshments", "/refres", "/x/refresh", "/x?/refresh", "/Refresh", "/x:80", "/x/../y",
        ])
    func local(_ target: String) {
        #expect(isLocal(target))
    }

    @Test(
        "what a browser takes for another host is none",
        arguments: [
            "", "x", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/x\\y",
            "https://evil.example/", "https:/x", "javascript:alert(1)", "@evil.example", "?x", ".", " /x",
        ])
    func foreign(_ target: String) {
        #expect(!isLocal(target))
    }

    @Test(
        "no byte in it ends a line, a field or a URL",
        arguments: [
            "/x\r\nSet-Cookie: a=b", "/x\n", "/\t/evil.example", "/x y", "/x\0", "/x#y", "/\u{e4}",
            "/x\u{7f}",
        ])
    func bytes(_ target: String) {
        #expect(!isLocal(target))
    }

    @Test(
        "the refresh endpoint is none, in any spelling",
        arguments: [
            "/refresh", "/refresh/", "/refresh/logout", "/refresh?return_to=/x", "/a/../refresh",
            "/%72efresh",
            "/./refresh", "/refresh//logout", "/x//../refresh",
        ])
    func refresh(_ target: String) {
        #expect(!isLocal(target))
    }

    @Test(
        "a path without a normal form is none",
        arguments: ["/x%2Fy", "/%00", "/%", "/%5Cx", "/..;/x", "/%2e%2e/x"])
    func refused(_ target: String) {
        #expect(!isLocal(target))
    }

    @Test("the longest is taken, and a longer one is not")
    func longest() {
        let longest = "/" + String(repeating: "x", count: Bounce.targetBytesMax - 1)
        #expect(isLocal(longest))
        #expect(!isLocal(longest + "x"))
    }

    private func isLocal(_ target: String) -> Bool {
        Bounce.isLocal(Array(target.utf8), refreshPath: Array("/refresh".utf8))
    }
}

@Suite("Login page")
struct LoginPageTests {
    private let navigation = "Sec-Fetch-Mode: navigate\r\n"

    @Test("a navigation is sent there, with what it wanted to see as one encoded value")
    func sent() throws {
        #expect(
            try location(navigation, target: "/a/b?c=d&e=%20") == "/in?return_to=/a/b%3Fc%3Dd%26e%3D%2520")
        #expect(try location(navigation, page: "/in?lang=de", target: "/a") == "/in?lang=de&return_to=/a")
        #expect(try location(navigation, target: nil) == "/in")
    }

    @Test(
        "whatever is no navigation is not",
        arguments: [
            "", "Sec-Fetch-Mode: cors\r\n", "Sec-Fetch-Mode: no-cors\r\n", "Sec-Fetch-Mode: \r\n",
            "Sec-Fetch-Mode: navigates\r\n", "Sec_Fetch_Mode: navigate\r\n", "Accept: text/html\r\n",
        ])
    func others(_ fields: String) throws {
        #expect(try location(fields, target: "/a") == nil)
        #expect(try location(navigation, target: "/a") != nil)
    }

    @Test("a route without such a page sends nobody anywhere")
    func noPage() throws {
        #expect(try location(navigation, page: nil, target: "/a") == nil)
    }

    @Test("what a GET cannot bring back is not told", arguments: ["POST", "PUT", "HEAD"])
    func methods(_ method: String) throws {
        #expect(try location(navigation, target: "/a", method: method) == "/in")
    }

    @Test("a target that is too long is not told, and the longest is")
    func longest() throws {
        let longest = "/" + String(repeating: "x", count: LoginPage.targetBytesMax - 1)
        #expect(try location(navigation, target: longest) == "/in?return_to=\(longest)")
        #expect(try location(navigation, target: longest + "x") == "/in")
    }

    private func location(
        _ fields: String, page: String? = "/in", target: String?, method: String = "GET"
    ) throws -> String? {
        var configuration = RouteConfiguration(
            host: nil, path: "/", isExact: false, destination: .upstream(0))
        configuration.loginPage = page
        let head = try Heads.request("\(method) /a HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        let route = Route(configuration, limits: LimitsConfiguration())
        return LoginPage.location(for: head, route: route, target: target.map { Array($0.utf8) })
    }
}

@Suite("Percent-encoding")
struct PercentEncodingTests {
    @Test("every byte comes back, and none of those that mean something in a query is left")
    func everyByte() {
        let ascii = Array(0...127) as [UInt8]
        let text = PercentEncoding.text(ascii)
        #expect(PercentDecoding.text(text.utf8, plusIsSpace: true) == String(decoding: ascii, as: UTF8.self))
        #expect(text.allSatisfy { !"&=+?#;\\:\"<> \r\n".contains($0) })
        #expect(PercentEncoding.text([0x00, 0x0A, 0x7F, 0xFF]) == "%00%0A%7F%FF")
    }
}
