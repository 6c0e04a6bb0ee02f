// Routes: segment borders, exact paths, hosts, and that the most specific one wins whatever the order.

import Configuration
import Primitives
import Testing

@testable import Proxy

@Suite("Route table")
struct RouteTableTests {
    @Test("a prefix matches on segment borders only")
    func borders() {
        for written in ["/admin", "/admin/"] {
            let table = RouteTable([route(written), route("/")], limits: LimitsConfiguration())
            #expect(match(table, "/admin") == written)
            #expect(match(table, "/admin/") == written)
            #expect(match(table, "/admin/users") == written)
            #expect(match(table, "/administrator") == "/")
            #expect(match(table, "/adminx/y") == "/")
            #expect(match(table, "/Admin") == "/")
        }
    }

    @Test("an exact route matches its path and no other")
    func exact() {
        let table = RouteTable([route("/"), route("/ping", isExact: true)], limits: LimitsConfiguration())
        #expect(match(table, "/ping") == "= /ping")
        #expect(match(table, "/ping/") == "/")
        #expect(match(table, "/pin") == "/")
        #expect(match(table, "/pingx") == "/")
    }

    @Test("the most specific route wins, whatever the order in the file")
    func order() {
        let routes = [
            route("/"), route("/a"), route("/a/b"), route("/a/b", isExact: true),
            route("/a", host: "files.example.com"),
        ]
        for shift in routes.indices {
            let turned = Array(routes[shift...] + routes[..<shift])
            let table = RouteTable(turned, limits: LimitsConfiguration())
            #expect(match(table, "/a/b") == "= /a/b")
            #expect(match(table, "/a/b/c") == "/a/b")
            #expect(match(table, "/a/c") == "/a")
            #expect(match(table, "/x") == "/")
            #expect(match(table, "/a/b", "files.example.com") == "files.example.com/a")
        }
    }

    @Test(
        "a host is compared without port, case and final dot",
        arguments: [
            "files.example.com", "FILES.example.COM", "files.example.com:8080", "files.example.com.",
            "files.example.com.:80",
        ])
    func hosts(_ authority: String) {
        let table = RouteTable(
            [route("/", host: "files.example.com"), route("/")], limits: LimitsConfiguration())
        #expect(match(table, "/x", authority) == "files.example.com/")
        #expect(match(table, "/x", "a" + authority) == "/")
    }

    @Test("without a route for everything, what matches none has none")
    func none() {
        let table = RouteTable([route("/a")], limits: LimitsConfiguration())
        #expect(match(table, "/b") == nil)
        #expect(match(table, "/") == nil)
    }

    private func route(_ path: String, host: String? = nil, isExact: Bool = false) -> RouteConfiguration {
        RouteConfiguration(host: host, path: path, isExact: isExact, destination: .upstream(0))
    }

    private func match(_ table: RouteTable, _ path: String, _ authority: String = "localhost") -> String? {
        table.route(path: Array(path.utf8).span, authority: Array(authority.utf8).span)
            .map { String(decoding: $0.label, as: UTF8.self) }
    }
}
