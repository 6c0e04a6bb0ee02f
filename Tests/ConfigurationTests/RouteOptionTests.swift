// What a route does beside forwarding: methods, rates, answers of its own, CORS, and the way to a login.

import Configuration
import Testing

@Suite("Options of routes")
struct RouteOptionTests {
    private func route(_ directives: String) -> RouteConfiguration? {
        load(minimal("route /x { \(directives) }")).configuration?.routes.last
    }

    private func cors(_ directives: String) -> CORSConfiguration? {
        route("upstream api; cors { \(directives) }")?.cors
    }

    @Test("a route has an upstream or an answer of its own, and exactly one of them")
    func destinations() {
        #expect(route("upstream api;")?.destination == .upstream(0))
        #expect(route("respond 200;")?.destination == .fixed(FixedResponse(status: 200)))
        #expect(
            messages(load(minimal("route /x { }"))) == ["this route has neither 'upstream' nor 'respond'"])
        #expect(
            messages(load(minimal("route /x { upstream api; respond 200; }")))
                == ["this route has both 'upstream' and 'respond'"])
    }

    @Test("a gateway that only answers needs no upstream")
    func noUpstream() throws {
        let text = """
            listen 127.0.0.1:8080; public_url http://localhost:8080; access_token { audience shop; }
            route / { respond 200 "pong"; access anonymous; }
            """
        let configuration = try #require(load(text).configuration)
        #expect(load(text).diagnostics == [])
        #expect(configuration.upstreams == [])
        #expect(configuration.routes.first?.destination == .fixed(FixedResponse(status: 200, body: "pong")))
    }

    @Test("an answer of its own has a final status that fits any request, and text where that may have one")
    func fixedResponses() {
        for status in [200, 204, 205, 401, 404, 410, 503, 599] {
            #expect(route("respond \(status);")?.destination == .fixed(FixedResponse(status: status)))
        }
        for status in [0, 100, 101, 199, 206, 304, 600] { #expect(route("respond \(status);") == nil) }
        for status in [204, 205] {
            #expect(route("respond \(status) \"\";") != nil)
            #expect(route("respond \(status) text;") == nil)
        }
        let longest = String(repeating: "a", count: 64 << 10)
        #expect(route("respond 200 \(longest);") != nil)
        #expect(route("respond 200 \(longest)a;") == nil)
        #expect(
            messages(load(minimal("route /x { respond 302; }"))) == [
                "a redirect without Location leads nowhere"
            ])
    }

    @Test("the type of an answer is a media type")
    func mediaTypes() {
        for good in ["application/json", "\"text/html; charset=utf-8\"", "application/problem+json"] {
            #expect(route("respond 200 a \(good);") != nil, "\(good)")
        }
        for wrong in ["json", "a/b/c", "/", "text/", "\"text/html\\nX: 1\"", "\"text /html\"", "é/a"] {
            #expect(route("respond 200 a \(wrong);") == nil, "\(wrong)")
        }
    }

    @Test("what is about an upstream's answer does not go with an answer of the gateway's")
    func respondConflicts() {
        #expect(route("respond 200; login; access anonymous;") == nil)
        #expect(route("respond 200; session_control;") == nil)
        #expect(
            messages(load(minimal("route /x { respond 200; set_header A b; }")))
                == ["'set_header' does nothing here: no request is forwarded"])
        let fitting = "respond 200; access optional; rate 1/s; methods GET; cors { origins *; }"
        #expect(load(minimal("route /x { \(fitting) }")).diagnostics == [])
    }

    @Test("a prefix is stripped where there is one")
    func stripPrefix() {
        #expect(route("upstream api;")?.strippedPrefix == nil)
        func stripped(_ path: String, _ strip: String) -> String? {
            load(minimal("route \(path) { upstream api; \(strip) }")).configuration?.routes
                .last?.strippedPrefix
        }
        for (path, strip, expected) in [
            ("/api/v1/", "strip_prefix;", "/api/v1"), ("/api/v1/", "strip_prefix /api;", "/api"),
            ("/api/v1/", "strip_prefix /api/;", "/api"), ("/api/v1", "strip_prefix /api/v1/;", "/api/v1"),
            ("= /api/login", "strip_prefix /api;", "/api"), ("h.example/api/x", "strip_prefix /api;", "/api"),
        ] {
            #expect(stripped(path, strip) == expected, "\(path) \(strip)")
        }
        for wrong in ["/ap", "/v1", "/api/v1/x", "api", "/api/../api", "/api /v1", "/API"] {
            #expect(stripped("/api/v1/", "strip_prefix \(wrong);") == nil, "\(wrong)")
        }
        #expect(
            messages(load(minimal("route /api/v1 { upstream api; strip_prefix /ap; }")))
                == ["'/ap' is no beginning of the route's path"])
        #expect(
            messages(load(minimal("route = /y { upstream api; strip_prefix; }")))
                == ["an exact route has no prefix to strip"])
        let useless = load(minimal(route: "strip_prefix;"))
        #expect(messages(useless) == ["'strip_prefix' does nothing here: the prefix is '/'"])
        #expect(useless.configuration?.routes.first?.strippedPrefix == "")
    }

    @Test("methods are known ones in capitals, each once, and none that is never forwarded")
    func methods() {
        #expect(route("upstream api; methods GET HEAD PROPFIND;")?.methods == ["GET", "HEAD", "PROPFIND"])
        for wrong in ["get", "CONNECT", "TRACE", "GET GET", "DELET", "X", "\"\"", "*"] {
            #expect(route("upstream api; methods \(wrong);") == nil, "\(wrong)")
        }
    }

    @Test("a rate by subject needs subjects")
    func rates() {
        func rate(_ text: String) -> RateConfiguration? { route("upstream api; \(text)")?.rate }
        #expect(rate("rate 5/s;") == RateConfiguration(perHour: 18_000, burst: 5))
        #expect(
            rate("rate 5/s by=subject burst=1;")
                == RateConfiguration(perHour: 18_000, burst: 1, key: .subject))
        #expect(rate("rate 5/s by=subject; access optional;")?.key == .subject)
        #expect(rate("rate 5/s by=subject; access anonymous;") == nil)
        #expect(rate("rate 5/s by=address; access anonymous;")?.key == .address)
        for wrong in ["by=session", "by=", "by=address by=address"] {
            #expect(rate("rate 5/s \(wrong);") == nil, "\(wrong)")
        }
    }

    @Test("an origin has the form in which browsers send it")
    func origins() {
        for (text, normal) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443", "https://app.example.com"), ("http://a:80", "http://a"),
            ("https://a:80", "https://a:80"), ("http://[0:0::1]:3000", "http://[::1]:3000"),
            ("http://127.0.0.1:443", "http://127.0.0.1:443"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            #expect(cors("origins \(text);")?.origins == [normal], "\(text)")
        }
        let wrong = [
            "null", "https://a/", "https://a/b", "https://a?b", "https://*.a", "a.b", "https://", "//a",
            "htps://a",
            "https://u@a", "https://a:0", "https://a:65536", "https://é", "1://a", "https://a https://A:443",
            "* https://a", "https://a *",
        ]
        for text in wrong { #expect(cors("origins \(text);") == nil, "\(text)") }
        #expect(cors("credentials on;") == nil)
    }

    @Test("any origin goes without credentials, and credentials without any origin")
    func credentials() {
        #expect(cors("origins *;")?.origins == [])
        #expect(cors("origins *; credentials off;")?.allowsCredentials == false)
        #expect(cors("origins https://a; credentials on;")?.allowsCredentials == true)
        #expect(
            messages(load(minimal(route: "cors { origins *; credentials on; }")))
                == ["with origins * the pages of any site could act as whoever visits them"])
        #expect(cors("origins *; expose *;")?.exposedFields == ["*"])
        #expect(cors("origins https://a; credentials on; expose *;") == nil)
    }

    @Test("a login page is a path of this site, in normal form and outside of the refresh path")
    func loginPages() {
        let page = "route = /in { upstream api; access anonymous; }"
        for good in ["/in", "/in?", "/in?from=a&b=%20"] {
            let loaded = load(minimal(page, route: "login_page \(good);"))
            #expect(loaded.diagnostics == [], "\(good)")
            #expect(loaded.configuration?.routes.first?.loginPage == good)
        }
        let wrong = [
            "in", "//a", "///a", "/\\\\a", "https://a/", "/in#a", "\"/in?a b\"", "/refresh", "/refresh/in",
            "/refresh?a", "/a/../refresh", "/%72efresh", "\"\"", "?a", "/in?<a>",
        ]
        for text in wrong {
            #expect(load(minimal(page, route: "login_page \(text);")).configuration == nil, "\(text)")
        }
    }

    @Test("a login page that needs a token is a warning, and so is one that nobody is sent to")
    func loginPageWarnings() {
        let message = "the login page needs an access token itself"
        #expect(messages(load(minimal(route: "login_page /in;"))) == [message])
        #expect(
            messages(
                load(minimal("route /in { upstream api; access optional; }", route: "login_page /in/a;")))
                == [])
        #expect(
            messages(
                load(minimal("route h/in { upstream api; access anonymous; }", route: "login_page /in;")))
                == [message])
        #expect(
            messages(load(minimal("route /a { upstream api; access anonymous; login_page /in; }")))
                == ["nobody is sent to a login from here: the route is anonymous"])
    }

    @Test("observing is possible where something is checked")
    func observe() {
        #expect(route("upstream api; observe;")?.isObserved == true)
        #expect(
            messages(load(minimal("route /a { upstream api; access anonymous; observe; }")))
                == ["there is nothing to observe: the route is anonymous"])
        for some in ["rate 1/s;", "methods GET;"] {
            #expect(
                messages(load(minimal("route /a { upstream api; access anonymous; \(some) observe; }"))) == []
            )
        }
    }
}
