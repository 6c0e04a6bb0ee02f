// URLs that come over the network: what a request can be made of, in its parts, and everything else refused.

import Testing

@testable import Configuration

@Suite("URL texts")
struct URLTextTests {
    @Test(
        "a URL is taken apart as a request needs it",
        arguments: [
            ("https://login.example.org/keys", "login.example.org 443 /keys"),
            ("http://login.example.org/keys", "login.example.org 80 /keys"),
            ("HTTPS://Login.Example.ORG:8443/Keys?v=2&x=%2F", "login.example.org 8443 /Keys?v=2&x=%2F"),
            ("https://login.example.org", "login.example.org 443 /"),
            ("https://login.example.org?v=2", "login.example.org 443 /?v=2"),
            ("https://192.0.2.1/k", "192.0.2.1 443 /k"),
            ("https://[2001:db8::1]:444/k", "2001:db8::1 444 /k"),
            ("https://a_b.example/", "a_b.example 443 /"),
        ])
    func parts(_ text: String, _ expected: String) throws {
        let url = try #require(URLText(text: text))
        #expect("\(url.host) \(url.port) \(url.path)" == expected)
        #expect(url.isTLS == text.lowercased().hasPrefix("https"))
    }

    @Test(
        "what cannot stand in a request, or asks somebody else, is refused",
        arguments: [
            "", "keys", "/keys", "//login.example.org/keys", "login.example.org/keys",
            "ftp://login.example.org/",
            "file:///etc/passwd", "javascript:alert(1)", "https:login.example.org",
            "https:/login.example.org",
            "https://", "https:///keys", "https://:443/", "https://user@login.example.org/",
            "https://user:secret@login.example.org/", "https://login.example.org:0/",
            "https://login.example.org:65536/", "https://login.example.org:/",
            "https://login.example.org:80x/",
            "https://login.example.org/keys#top", "https://login.example.org/a b",
            "https://login.example.org/a\r\nX-Injected: 1", "https://login.example.org/ü",
            "https://ü.example/",
            "https://login.example.org\\@evil.example/", "https://login..example.org/", "https://-a.example/",
            "https://1.2.3/", "https://2130706433/", "https://[::1", "https://::1/",
            "https://[fe80::1%25eth0]/", " https://login.example.org/", "https://login.example.org/\0",
        ])
    func refused(_ text: String) { #expect(URLText(text: text) == nil, "\(text)") }

    @Test("a URL of 2,048 bytes is taken, and a longer one is not")
    func length() {
        let start = "https://login.example.org/"
        let longest = start + String(repeating: "a", count: 2048 - start.utf8.count)
        #expect(URLText(text: longest) != nil)
        #expect(URLText(text: longest + "a") == nil)
    }

    @Test("the port of the scheme is left out of the authority, and an address of IPv6 is bracketed")
    func authority() throws {
        for (text, authority) in [
            ("https://a.example:443/", "a.example"), ("https://a.example:80/", "a.example:80"),
            ("http://a.example:80/", "a.example"), ("http://[::1]:80/", "[::1]"),
            ("http://[::1]:81/", "[::1]:81"),
        ] {
            #expect(try #require(URLText(text: text)).authority == authority)
        }
        #expect(try #require(URLText(text: "HTTP://A.example:8080")).text == "http://a.example:8080/")
    }
}
