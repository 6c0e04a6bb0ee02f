// Where plain HTTP is sent: to hosts of the configuration and no others.

import Configuration
import Testing

@testable import Proxy

@Suite("Redirect to https")
struct HTTPSRedirectTests {
    private func origin(_ authority: String, _ publicAuthority: String = "api.example.com") -> String {
        let redirect = HTTPSRedirect(
            PublicURL(scheme: .https, authority: publicAuthority),
            hosts: ["admin.example.com", "*.example.org", "api.example.com"])
        return redirect.origin(for: Array(authority.utf8).span)
    }

    @Test(
        "who asks for a host that a route or a certificate is for, stays there",
        arguments: [
            ("admin.example.com", "https://admin.example.com"),
            ("ADMIN.example.com:8080", "https://admin.example.com"),
            ("admin.example.com.", "https://admin.example.com"), ("a.example.org", "https://a.example.org"),
            ("api.example.com", "https://api.example.com"),
        ])
    func known(_ authority: String, _ expected: String) {
        #expect(origin(authority) == expected)
    }

    @Test(
        "everybody else is sent to the public URL",
        arguments: [
            "", "evil.example", "xadmin.example.com", "admin.example.com.evil.example", "example.org",
            "a.b.example.org", "*.example.org.evil", "[::1]:80", "127.0.0.1",
        ])
    func unknown(_ authority: String) {
        #expect(origin(authority) == "https://api.example.com")
    }

    @Test("a port of the public URL is that of the other hosts as well, and the client's own is nothing")
    func port() {
        #expect(origin("admin.example.com:80", "api.example.com:8443") == "https://admin.example.com:8443")
        #expect(origin("x.example.net:80", "api.example.com:8443") == "https://api.example.com:8443")
        #expect(origin("admin.example.com", "[::1]:8443") == "https://admin.example.com:8443")
        #expect(origin("admin.example.com", "[::1]") == "https://admin.example.com")
    }
}
