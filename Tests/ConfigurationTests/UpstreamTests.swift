// Upstreams: the addresses of servers, their options, and how they are watched.

import Configuration
import Testing

@Suite("Upstreams")
struct UpstreamTests {
    private func upstream(_ directives: String) -> UpstreamConfiguration? {
        load(minimal("upstream b { \(directives) }")).configuration?.upstreams.last
    }

    private func server(_ text: String) -> ServerConfiguration? { upstream("server \(text);")?.servers.first }

    @Test("a server is a literal address, a host name or a socket")
    func addresses() {
        #expect(server("http://127.0.0.1:9000")?.address == .ip(host: "127.0.0.1", port: 9000))
        #expect(server("http://localhost:9000")?.address == .ip(host: "127.0.0.1", port: 9000))
        #expect(server("http://[::1]:9000")?.address == .ip(host: "::1", port: 9000))
        #expect(server("http://10.0.0.1")?.address == .ip(host: "10.0.0.1", port: 80))
        #expect(server("http://Api.Internal:9000")?.address == .name(host: "api.internal", port: 9000))
        #expect(server("http://api")?.address == .name(host: "api", port: 80))
        #expect(server("unix:/run/api.sock")?.address == .unix(path: "/run/api.sock"))
        let wrong = [
            "127.0.0.1:9000", "http://127.0.0.1:9000/", "http://127.0.0.1:0", "http://1.2.3", "http://-a",
            "http://user@a", "unix:", "unix://run/a",
            "unix:/run/", "UNIX:/run/a", "ftp://a",
        ]
        for text in wrong { #expect(server(text) == nil, "\(text)") }
    }

    @Test("the path of a socket is as long as the system takes it, and no longer")
    func socketPaths() {
        let longest = "/" + String(repeating: "a", count: 106)
        #expect(server("unix:\(longest)")?.address == .unix(path: longest))
        #expect(server("unix:\(longest)a") == nil)
    }

    @Test("a server has a weight and may have a bound on its connections")
    func options() {
        #expect(server("http://10.0.0.1")?.weight == 1)
        #expect(server("http://10.0.0.1")?.connectionsMax == nil)
        #expect(server("http://10.0.0.1 connections=1 weight=100")?.weight == 100)
        #expect(server("http://10.0.0.1 connections=1 weight=100")?.connectionsMax == 1)
        for wrong in [
            "weight=0", "weight=101", "weight=", "weight", "connections=0", "weight=1 weight=1", "2", "=2",
        ] {
            #expect(server("http://10.0.0.1 \(wrong)") == nil, "\(wrong)")
        }
    }

    @Test("one server is given once, however it is written")
    func duplicates() {
        #expect(upstream("server http://10.0.0.1; server http://10.0.0.2;")?.servers.count == 2)
        #expect(upstream("server http://10.0.0.1; server http://10.0.0.1:81;")?.servers.count == 2)
        let pairs = [
            ("http://10.0.0.1", "http://10.0.0.1:80"), ("http://localhost:1", "http://127.0.0.1:1"),
            ("http://[::1]", "http://[0:0::1]"), ("http://a.b", "HTTP://A.B:80"), ("unix:/a", "unix:/a"),
        ]
        for (first, second) in pairs {
            let loaded = load(minimal("upstream b { server \(first); server \(second); }"))
            #expect(messages(loaded) == ["this server is given twice"], "\(second)")
        }
        // Two upstreams may share one: they are watched apart.
        #expect(upstream("server http://127.0.0.1:9000;") != nil)
    }

    @Test("a health check needs no block, and is over before the next begins")
    func healthChecks() {
        func check(_ text: String) -> HealthCheckConfiguration? {
            upstream("server http://10.0.0.1; health_check \(text)")?.healthCheck
        }
        #expect(check("/healthz;") == HealthCheckConfiguration(path: "/healthz"))
        #expect(check("/healthz { }") == HealthCheckConfiguration(path: "/healthz"))
        var expected = HealthCheckConfiguration(path: "/up?full=1")
        expected.intervalMilliseconds = 500
        expected.timeoutMilliseconds = 499
        expected.failuresMax = 1
        expected.passesMin = 100
        #expect(check("/up?full=1 { every 500ms; timeout 499ms; fails 1; passes 100; }") == expected)
        for wrong in [
            "/healthz { every 500ms; timeout 500ms; }", "/healthz { every 1s; }", "healthz;", "/a#b;",
            "\"/a b\";", ";", "/healthz { fails 0; }",
        ] {
            #expect(check(wrong) == nil, "\(wrong)")
        }
    }

    @Test("a number of connections or requests may have a time beside it")
    func capacities() {
        let queue = upstream("server http://10.0.0.1; queue 0;")
        #expect(queue?.queueMax == 0)
        #expect(queue?.queueTimeoutMilliseconds == 5_000)
        let keepalive = upstream("server http://10.0.0.1; keepalive 1 timeout=100ms;")
        #expect(keepalive?.keepaliveConnections == 1)
        #expect(keepalive?.keepaliveMilliseconds == 100)
        for wrong in ["queue 100001;", "queue timeout=5s;", "queue 1 5s;", "keepalive 1 timeout=99ms;"] {
            #expect(upstream("server http://10.0.0.1; \(wrong)") == nil, "\(wrong)")
        }
    }
}
