// Described requests against the policy that real ones go through: what becomes of them, by which rule, and
// what of it a configuration is told.

import Configuration
import Primitives
import Testing

@testable import Proxy

@Suite("Trials of the policy")
struct PolicyTrialTests {
    private static let routes = """
        issuer https://login.example.org/ {
            audience shop; secret HS256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; algorithms HS256; type none;
            scope_claim realm.roles; subject_claim user.id; require claim tenant acme; lifetime_max 1m;
        }
        route /login { upstream api; access anonymous; login; request_body 1k; }
        route /admin/ { upstream api; require scope a b; require claim org.role admin owner; methods GET; }
        route /feed { upstream api; access optional; strip_prefix; identity_header X-Role claim org.role; }
        route = /ping { respond 204; access anonymous; }
        route /seen { upstream api; observe; methods GET; }
        route files.example.com/ { respond 403; access anonymous; }
        route / { upstream api; login_page /login; cors { origins https://app.example.com; credentials on; } }
        """

    @Test(
        "what is expected of a request holds, and its nearest neighbour as well",
        arguments: [
            "GET /x anonymous 401", "GET /x token forwarded", "GET /x token 200",
            "GET /login token forwarded",
            "GET /x token expired 401", "GET /x expired cookie 401",
            "GET /x expired cookie header Sec-Fetch-Site=same-origin 307",
            "GET /x expired header Sec-Fetch-Site=same-origin 401",
            "GET /x anonymous header Sec-Fetch-Mode=navigate 303",
            "GET /admin/ scope a scope b claim org.role=owner 200",
            "GET /admin/ scope a claim org.role=owner 403",
            "GET /admin/ scope a scope b claim org.role=user 403",
            "GET /admin/ scope a scope b claim org.role=user claim org.role=admin forwarded",
            "HEAD /admin/ token 403", "POST /admin/ token 405", "GET /adminx token forwarded",
            "GET /a/../admin/x token 403", "GET /a%2fb token 400", "GET \"/admin;x\" token 400",
            "GET /feed anonymous forwarded", "GET /feed expired 401",
            "GET /ping anonymous 204", "GET /pings anonymous 401",
            "POST /seen anonymous forwarded", "GET https://files.example.com/admin/ token 403",
            "POST /x token cookie 403", "POST /x token forwarded", "GET /x token cookie forwarded",
            "POST /x token cookie header Sec-Fetch-Site=same-origin forwarded",
            "POST /x token cookie header Origin=https://app.example.com forwarded",
            "POST /x token cookie header Origin=https://evil.example 403",
            "OPTIONS /x anonymous header Origin=https://app.example.com"
                + " header Access-Control-Request-Method=PUT 204",
            "OPTIONS /x anonymous header Origin=https://evil.example"
                + " header Access-Control-Request-Method=PUT 403",
            "OPTIONS /x anonymous 401", "OPTIONS * anonymous 204", "TRACE /x token 405",
            "POST /login anonymous header Content-Length=1024 forwarded",
            "POST /login anonymous header Content-Length=1025 413",
            "GET /x issuer https://login.example.org/ forwarded",
            "GET /x issuer https://login.example.org/ claim tenant=other 401",
            "GET /admin/ issuer https://login.example.org/ scope a scope b claim org.role=admin forwarded",
            "GET /x?t=rt_\(String(repeating: "A", count: 92)) token 401",
            "GET /x?t=rt_\(String(repeating: "A", count: 93)) token forwarded",
        ])
    func expectations(_ text: String) throws {
        let configuration = try Samples.configuration(Self.routes + "expect \(text);")
        #expect(
            PolicyFindings.find(in: configuration, now: Samples.now).filter { $0.severity == .error } == [])
    }

    @Test("an expectation that does not hold says what came out, and which rule of which route has decided")
    func failure() throws {
        let findings = try Samples.errors(
            Self.routes + "\nexpect GET /admin/ scope a scope b claim org.role=user forwarded;")
        let finding = try #require(findings.first)
        let expected = "this is expected to be forwarded, but the gateway refuses it with 403"
        #expect(finding.message == "\(expected) (insufficient_claim)")
        #expect(
            finding.help
                == "route /admin/ at gateway.conf:7, require claim org.role admin owner: it is \"user\"")
        #expect(finding.excerpt.first == "expect GET /admin/ scope a scope b claim org.role=user forwarded;")
        #expect(findings.count == 1)
    }

    @Test("a path of the gateway's own is nobody's to expect anything of")
    func own() throws {
        for path in ["/refresh", "/refresh/logout", "/.well-known/jwks.json"] {
            let findings = try Samples.errors(Self.routes + "expect GET \(path) anonymous 404;")
            #expect(findings.count == 1)
        }
        #expect(try Samples.errors(Self.routes + "expect GET /refreshing anonymous 401;") == [])
    }

    @Test("a forwarded request is told as its upstream gets it")
    func forwarding() throws {
        let configuration = try Samples.configuration(Self.routes)
        var sample = SampleRequest(target: "/feed/a?b=c")
        sample.fields = [FieldText(name: "X-Role", value: "forged")]
        sample.token = SampleToken()
        sample.token?.subject = "alice"
        sample.token?.claims = [SampleClaim(path: ClaimPath(["org", "role"]), value: "editor")]
        let verdict = try PolicyTrial(configuration).verdict(on: sample, now: Samples.now)
        guard case .forwarded(let forwarding) = verdict.outcome else {
            Issue.record("it is not forwarded")
            return
        }
        #expect(forwarding.upstream == "api")
        #expect(forwarding.target == "/a?b=c")
        #expect(forwarding.identity.contains(FieldText(name: "X-Auth-Subject", value: "alice")))
        #expect(forwarding.identity.filter { $0.name == "X-Role" }.map(\.value) == ["editor"])
        #expect(!forwarding.hasToken)
    }

    @Test("an observed route says what it would have refused for, and goes on")
    func observed() throws {
        let trial = try PolicyTrial(Samples.configuration(Self.routes))
        let verdict = trial.verdict(on: SampleRequest(method: "POST", target: "/seen"), now: Samples.now)
        #expect(verdict.observed == "method_not_allowed")
        #expect(verdict.steps.filter { $0.result == .observed }.map(\.rule) == ["methods", "access"])
        #expect(verdict.status == nil)
    }

    @Test("the word of a running gateway on a token goes before what is seen of it here")
    func judged() throws {
        let trial = try PolicyTrial(Samples.configuration(Self.routes))
        let revoked = try #require(TokenRefusal(code: "token_revoked"))
        let verdict = trial.verdict(
            on: SampleRequest(target: "/x"), presenting: .refused(revoked, claims: nil), now: Samples.now)
        #expect(verdict.outcome == .refused(status: 401, code: "token_revoked"))
        let open = trial.verdict(
            on: SampleRequest(target: "/login"), presenting: .refused(revoked, claims: nil), now: Samples.now)
        #expect(open.status == nil)
        #expect(TokenRefusal(code: "no_such_code") == nil)
    }
}

@Suite("Findings of the policy")
struct PolicyFindingsTests {
    private func warnings(_ text: String) throws -> [String] {
        try PolicyFindings.find(in: Samples.configuration(text), now: Samples.now).map(\.message)
    }

    private static let base = "route / { upstream api; } "

    @Test("an anonymous route below a protected one is a warning, below / it is none")
    func anonymousBelow() throws {
        let message = "this anonymous route lies under a protected one"
        let below = Self.base + "route /admin/public { upstream api; access anonymous; } "
        let admin = "route /admin { upstream api; } "
        #expect(try warnings(below + admin) == [message])
        #expect(try warnings(below) == [])
        #expect(try warnings(below + "route /admin { upstream api; access optional; }") == [])
    }

    @Test("who says that an anonymous route is meant, by an expectation that it answers, is not warned")
    func meant() throws {
        let text =
            Self.base
            + "route /admin { upstream api; } route /admin/public { upstream api; access anonymous; }"
        #expect(try warnings(text + "expect GET /admin/public/x anonymous forwarded;") == [])
        #expect(try warnings(text + "expect GET /admin/public/x anonymous 200;") == [])
        #expect(try warnings(text + "expect GET /admin/public/x token forwarded;").count == 1)
        #expect(try warnings(text + "expect GET /admin/publicx anonymous 401;").count == 1)
    }

    @Test("a stripped prefix that leads past another route's rules is a warning, until they are the same")
    func bypass() throws {
        let admin = Self.base + "route /admin/ { upstream api; require claim role admin; } "
        let old = "route /old/ { upstream api; strip_prefix; } "
        let found = try warnings(admin + old)
        #expect(found.count == 1)
        #expect(found.first?.contains("/old/admin/ arrives as /admin/,") == true)
        for closed in [
            "route /old/admin { respond 404; }", "expect GET /old/admin/x token forwarded;",
            "expect GET /old/admin/ anonymous 401; route /old/admin/ { upstream api; }",
        ] {
            #expect(try warnings(admin + old + closed) == [], "\(closed)")
        }
        #expect(try warnings(admin + old + "expect GET /old/x token forwarded;").count == 1)
        #expect(try warnings(admin + "route /old/ { upstream api; }") == [])
        let guarded = "route /old/ { upstream api; strip_prefix; require claim role admin; }"
        #expect(try warnings(admin + guarded) == [])
        #expect(try warnings(admin + guarded.replacing("admin; }", with: "admin user; }")).count == 1)
        // An API under a prefix, with rules for a part of it, and a second way into it.
        let api = "route /api/admin { upstream api; strip_prefix /api; require claim role admin; } "
        let closed = "route / { respond 404; } route /o { upstream api; } "
        #expect(try warnings(closed + api + "route /api/ { upstream api; strip_prefix; }") == [])
        let second = try warnings(closed + api + "route /v1/ { upstream api; strip_prefix; }")
        #expect(second.map { $0.contains("/v1/admin arrives as /admin,") } == [true])
        // Whoever leaves the prefix out comes to the same place.
        let without = try warnings(Self.base + api)
        #expect(without.map { $0.contains(": /admin arrives as /admin,") } == [true])
        let elsewhere = "upstream b { server http://127.0.0.1:9001; } route /b/ { upstream b; strip_prefix; }"
        #expect(try warnings(admin + elsewhere) == [])
    }

    @Test("an anonymous route with a stripped prefix opens all that a token is needed for")
    func bypassWithoutToken() throws {
        let open = "route /public/ { upstream api; strip_prefix; access anonymous; } "
        #expect(try warnings(Self.base + open).count == 1)
        #expect(try warnings("route / { upstream api; access anonymous; } " + open) == [])
        #expect(try warnings(open).allSatisfy { !$0.contains("arrives as") })
    }

    @Test(
        "a route that no request takes is a warning",
        arguments: [
            ("route /a { upstream api; } route /a/ { upstream api; }", 1),
            ("route /a { upstream api; } route = /a/ { upstream api; }", 0),
            ("route /a { upstream api; } route h.example/a/ { upstream api; }", 0),
            ("route = /.well-known/jwks.json { upstream api; }", 1),
            ("route /.well-known/ { upstream api; }", 0),
            ("route /caf%C3%A9 { upstream api; }", 0), ("route = /a%20b/ { upstream api; }", 0),
            ("route \"/a;v=1\" { upstream api; }", 0), ("route /%40a { upstream api; }", 0),
            ("route /%40a { upstream api; } route /@a { upstream api; }", 1),
            ("route \"/a;v=1\" { upstream api; } route /a { upstream api; }", 1),
        ])
    func unreachable(_ text: String, _ count: Int) throws {
        let found = try warnings(Self.base + text)
        #expect(found == Array(repeating: "no request takes this route", count: count))
    }

    @Test("an upstream that nothing goes to is a warning, one that only vouches for sessions is none")
    func idle() throws {
        let other = Self.base + "upstream other { server http://127.0.0.1:9001; } "
        #expect(try warnings(other) == ["nothing goes to this upstream"])
        #expect(try warnings(other + "route /o { upstream other; }") == [])
        #expect(try warnings(other + "refresh_token { access_check other /may { timeout 1s; } }") == [])
    }

    @Test("several servers of which none is ever taken out are a warning, one alone is none")
    func unwatched() throws {
        func upstream(_ text: String) -> String {
            Self.base
                + "route /o { upstream other; } upstream other { server http://127.0.0.1:9001; \(text) }"
        }
        let second = "server http://127.0.0.1:9002;"
        #expect(
            try warnings(upstream("\(second) max_fails 0;")) == ["nothing takes a server out that is down"])
        #expect(try warnings(upstream("max_fails 0;")) == [])
        #expect(try warnings(upstream(second)) == [])
        #expect(try warnings(upstream("\(second) max_fails 0; health_check /h;")) == [])
    }

    @Test("a route that is observed is a warning until it is not")
    func observed() throws {
        #expect(
            try warnings(Self.base + "route /o { upstream api; observe; }")
                == ["this route is observed: what it would refuse is let through"])
        #expect(try warnings(Self.base + "route /o { upstream api; }") == [])
    }

    @Test(
        "a control listener on a public address is a warning, on any other it is none",
        arguments: [
            ("203.0.113.7", 1), ("[2001:db8::1]", 1), ("10.1.2.3", 0), ("172.31.0.1", 0), ("172.32.0.1", 1),
            ("0.0.0.0", 0), ("[fd00::1]", 0), ("127.0.0.1", 0),
        ])
    func exposed(_ host: String, _ count: Int) throws {
        let text = "control { listen \(host):9901; secret correct-horse-battery; } "
        #expect(try warnings(Self.base + text).count == count)
    }
}

private enum Samples {
    static let now = WallTime(seconds: 1_800_000_000)

    /// The text behind what every configuration needs, from line 2 on.
    static func configuration(_ text: String) throws -> GatewayConfiguration {
        let start =
            "listen 127.0.0.1:8080; public_url http://localhost:8080; access_token { audience shop; }"
            + " upstream api { server http://127.0.0.1:9000; }\n"
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: OneFile(text: start + text))
        #expect(loaded.diagnostics.filter { $0.severity == .error }.map(\.rendered) == [])
        return try #require(loaded.configuration)
    }

    static func errors(_ text: String) throws -> [Diagnostic] {
        PolicyFindings.find(in: try configuration(text), now: now).filter { $0.severity == .error }
    }

    private struct OneFile: ConfigurationFiles {
        let text: String

        func read(_ path: String) -> Result<[UInt8], ConfigurationFileProblem> { .success(Array(text.utf8)) }
        func paths(matching glob: String) -> [String] { [] }
        func environmentValue(_ name: String) -> String? { nil }
    }
}
