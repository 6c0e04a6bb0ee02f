// What an upstream may say about sessions, on which routes it counts, and what is too much or too odd to be
// believed.

import Configuration
import HTTP
import Primitives
import Testing

@testable import Proxy

@Suite("Session signals of an upstream")
struct SessionSignalTests {
    @Test("Session-Start counts on a login route, for success and redirects")
    func start() throws {
        for status in ["200 OK", "204 No Content", "303 See Other"] {
            #expect(try signal(status, "Session-Start: alice\r\n", login) == "start alice {} ")
        }
        #expect(
            try signal(
                "200 OK",
                "Session-Start: alice\r\nSession-Claims: {\"role\": \"admin\"}\r\nSession-Label: phone\r\n",
                login) == "start alice {\"role\":\"admin\"} phone")
    }

    @Test("on any other route, or with a refusal, it means nothing")
    func ignored() throws {
        #expect(try signal("200 OK", "Session-Start: alice\r\n", plain) == "none")
        #expect(try signal("200 OK", "Session-Start: alice\r\n", control) == "none")
        #expect(try signal("401 Unauthorized", "Session-Start: alice\r\n", login) == "none")
        #expect(try signal("500 Oops", "Session-Start: alice\r\n", login) == "none")
    }

    @Test(
        "a subject that cannot be vouched for is refused",
        arguments: [
            "Session-Start:\r\n", "Session-Start: a\tb\r\n", "Session-Start: a\r\nSession-Start: b\r\n",
            "Session-Start: \(String(repeating: "a", count: 256))\r\n",
        ])
    func badSubject(_ fields: String) throws {
        #expect(try signal("200 OK", fields, login).hasPrefix("malformed"))
    }

    @Test("a subject of 255 bytes is not too long")
    func longSubject() throws {
        let subject = String(repeating: "a", count: 255)
        #expect(try signal("200 OK", "Session-Start: \(subject)\r\n", login) == "start \(subject) {} ")
    }

    @Test(
        "claims must be an object without our own names, and fit into a cookie",
        arguments: [
            "[]", "{", "\"x\"", "{\"sub\":\"root\"}", "{\"exp\":1}", "{\"a\":1,\"a\":2}",
            "{\"a\":\"\(String(repeating: "x", count: 2_600))\"}",
        ])
    func badClaims(_ claims: String) throws {
        let fields = "Session-Start: alice\r\nSession-Claims: \(claims)\r\n"
        #expect(try signal("200 OK", fields, login).hasPrefix("malformed"))
    }

    @Test("Session-End counts on a session_control route, in four words")
    func end() throws {
        for scope in ["session", "subject", "others", "access"] {
            #expect(try signal("200 OK", "Session-End: \(scope)\r\n", control) == "end \(scope)")
            #expect(try signal("200 OK", "Session-End: \(scope)\r\n", plain) == "none")
            #expect(try signal("403 No", "Session-End: \(scope)\r\n", control) == "none")
        }
        #expect(try signal("200 OK", "Session-End: everything\r\n", control).hasPrefix("malformed"))
        #expect(
            try signal("200 OK", "Session-End: access\r\nSession-End: subject\r\n", control).hasPrefix(
                "malformed"))
    }

    /// Issuer and audience of 30 bytes together.
    private static let accessToken: AccessTokenConfiguration = {
        var token = AccessTokenConfiguration()
        token.issuer = "https://gateway.test:8443/a"
        return token
    }()

    private var plain: Route { route { _ in } }
    private var login: Route { route { $0.isLogin = true } }
    private var control: Route { route { $0.isSessionControl = true } }

    private func route(_ change: (inout RouteConfiguration) -> Void) -> Route {
        var configuration = RouteConfiguration(
            host: nil, path: "/", isExact: false, destination: .upstream(0))
        change(&configuration)
        return Route(configuration, limits: LimitsConfiguration())
    }

    private func signal(_ status: String, _ fields: String, _ route: Route) throws -> String {
        let head = try Heads.response("HTTP/1.1 \(status)\r\n\(fields)\r\n")
        switch SessionSignal.read(head, route: route, ClaimsRoom(Self.accessToken, signatureOverhead: 0)) {
        case .none: return "none"
        case .malformed(let reason), .refusedStart(_, let reason): return "malformed \(reason)"
        case .end(let scope): return "end \(scope.rawValue)"
        case .start(let start):
            return "start \(start.subject) \(String(decoding: start.claims, as: UTF8.self)) \(start.label)"
        }
    }
}

@Suite("Parameters of endpoints")
struct PercentDecodingTests {
    @Test("forms and query values are decoded")
    func decoded() {
        #expect(PercentDecoding.text(Array("a+b%20c".utf8), plusIsSpace: true) == "a b c")
        #expect(PercentDecoding.text(Array("a+b%20c".utf8), plusIsSpace: false) == "a+b c")
        #expect(PercentDecoding.query("subject", in: Array("?x=1&subject=al%40ce".utf8)) == "al@ce")
        #expect(PercentDecoding.query("subject", in: Array("?subjects=1".utf8)) == nil)
    }

    @Test("broken escapes and broken UTF-8 are nothing", arguments: ["%", "%4", "%zz", "%ff"])
    func broken(_ text: String) {
        #expect(PercentDecoding.text(Array(text.utf8), plusIsSpace: true) == nil)
    }
}
