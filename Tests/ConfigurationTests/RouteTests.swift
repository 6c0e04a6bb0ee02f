// Routes: paths in normal form, and what they must not do to each other.

import Configuration
import Testing

@Suite("Routes")
struct RouteTests {
    @Test("a route's path is accepted in normal form")
    func normalPaths() throws {
        for path in ["/", "/a", "/a/", "/a/b.c", "/a.b/..c", "/%C3%A9", "/a%20b", "/~u/(x)", "/a:b@c"] {
            #expect(try RoutePath.target(path) == RouteTarget(host: nil, path: path))
        }
        #expect(
            try RoutePath.target("Files.Example.com/x") == RouteTarget(host: "files.example.com", path: "/x"))
        #expect(try RoutePath.target("[::1]/") == RouteTarget(host: "[::1]", path: "/"))
        #expect(try RoutePath.target("10.0.0.1/") == RouteTarget(host: "10.0.0.1", path: "/"))
    }

    @Test("a route's path in any other form is refused")
    func otherPaths() {
        let wrong = [
            "", "a", "a.example.com", "//", "/a//b", "/.", "/a/..", "/a/./b", "/a?b", "/a#b", "/%41", "/%7E",
            "/%c3%A9",
            "/%2F", "/%5C", "/%00", "/%", "/%4", "/%zz", "/a b", "/é", "host:80/", "*.example.com/", "-a/",
            "a..b/",
            "/a\\b", "/\"",
        ]
        for text in wrong { #expect((try? RoutePath.target(text)) == nil, "\(text)") }
    }

    @Test("the refresh path is plain and has no slash at its end")
    func refreshPaths() {
        for good in ["/refresh", "/auth/refresh", "/r.x_y~z-1"] {
            #expect((try? RoutePath.refreshPath(good)) == good)
        }
        for wrong in ["", "/", "refresh", "/refresh/", "/a;b", "/a,b", "/%41", "/a//b", "/../a"] {
            #expect((try? RoutePath.refreshPath(wrong)) == nil, "\(wrong)")
        }
    }

    @Test("a path lies under another on whole segments only")
    func under() {
        for path in ["/refresh", "/refresh/", "/refresh/x"] {
            #expect(RoutePath.lies(path, under: "/refresh"))
        }
        for path in ["/", "/refreshing", "/x/refresh"] { #expect(!RoutePath.lies(path, under: "/refresh")) }
        #expect(RoutePath.lies("/anything", under: "/"))
    }

    @Test("no route lies under the refresh path, on any host")
    func underRefresh() {
        for route in ["/refresh", "/refresh/x", "= /refresh", "a.example.com/refresh/"] {
            #expect(
                messages(load(minimal("route \(route) { upstream api; }"))) == [
                    "this route lies under the refresh path, which belongs to the gateway"
                ])
        }
        #expect(load(minimal("route /refreshing { upstream api; }")).diagnostics == [])
    }

    @Test("exact and prefix routes of one path live side by side, and so do two hosts")
    func distinctRoutes() {
        let good = "route /a { upstream api; } route = /a { upstream api; } route h/a { upstream api; }"
        #expect(load(minimal(good)).diagnostics == [])
        for again in ["route /a", "route = /a", "route H/a"] {
            #expect(
                messages(load(minimal(good + again + " { upstream api; }"))) == [
                    "there is another route for this"
                ])
        }
    }

    @Test("login needs a route that a client without a token may use")
    func login() {
        let message = "nobody can log in here: the route needs an access token"
        #expect(messages(load(minimal("route /l { upstream api; login; }"))) == [message])
        #expect(messages(load(minimal("route /l { upstream api; login; access required; }"))) == [message])
        for access in ["anonymous", "optional"] {
            #expect(load(minimal("route /l { upstream api; login; access \(access); }")).diagnostics == [])
        }
    }

    @Test("an anonymous route asks for nothing")
    func anonymousRequirements() {
        let route = "route /p { upstream api; access anonymous; require scope a; }"
        #expect(messages(load(minimal(route))) == ["a requirement on an anonymous route is never asked"])
        #expect(load(minimal(route.replacing("anonymous", with: "optional"))).diagnostics == [])
    }
}
