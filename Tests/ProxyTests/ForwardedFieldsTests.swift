// Who the client is behind proxies: the walk from the right, what stops it, and what the upstream is told.
// The proxies of these tests are 10.0.0.0/8 and 2001:db8:f::/48; each believed word stands beside the
// nearest one that is not.

import Configuration
import HTTP
import Primitives
import Support
import Testing

@testable import Network
@testable import Proxy

private let trusted = TrustedProxies(ranges: [
    AddressRange(bytes: [10, 0, 0, 0], prefixBits: 8),
    AddressRange(
        bytes: [0x20, 0x01, 0x0D, 0xB8, 0x00, 0x0F] + [UInt8](repeating: 0, count: 10), prefixBits: 48),
])

/// The fields of a request, as they are read from a trusted peer or another.
private func read(_ fields: String, peerIsTrusted: Bool = true) throws -> (String, String) {
    let head = try Heads.request("GET / HTTP/1.1\r\nHost: api.example\r\n\(fields)\r\n")
    let forwarded = ForwardedFields(head.block, peerIsTrusted: peerIsTrusted, trusted: trusted)
    #expect((forwarded.client == nil) == forwarded.clientText.isEmpty)
    var output = ByteBuffer()
    forwarded.write(
        head.block, peer: Array("10.0.0.1".utf8), connectionScheme: .http, authority: head.authority,
        to: &output)
    let written = output.withReadable { String(lossy: $0) }
    return (String(decoding: forwarded.clientText, as: UTF8.self), written)
}

private func client(_ fields: String) throws -> String { try read(fields).0 }

@Suite("Trusted proxies")
struct TrustedProxiesTests {
    @Test("a range holds its addresses and no others; an IPv4 one also in IPv6's clothes")
    func ranges() throws {
        for (host, isTrusted) in [
            ("10.0.0.0", true), ("10.255.255.255", true), ("9.255.255.255", false), ("11.0.0.0", false),
            ("::ffff:10.1.2.3", true), ("::ffff:11.1.2.3", false), ("::10.1.2.3", false),
            ("2001:db8:f::1", true), ("2001:db8:f:ffff::", true), ("2001:db8:10::1", false),
        ] {
            let address = try #require(SocketAddress(host: host, port: 1))
            #expect(trusted.contains(address) == isTrusted, "\(host)")
        }
    }

    @Test("a range that IPv6 spells for IPv4 is the IPv4 range, and ::/0 is none")
    func mappedRanges() throws {
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0]
        let table = TrustedProxies(ranges: [AddressRange(bytes: mapped, prefixBits: 104)])
        #expect(table.contains(try #require(SocketAddress(host: "10.1.2.3", port: 1))))
        #expect(!table.contains(try #require(SocketAddress(host: "11.1.2.3", port: 1))))
        let all = TrustedProxies(ranges: [
            AddressRange(bytes: [UInt8](repeating: 0, count: 16), prefixBits: 0)
        ])
        #expect(all.contains(try #require(SocketAddress(host: "2001:db8::1", port: 1))))
        #expect(!all.contains(try #require(SocketAddress(host: "11.1.2.3", port: 1))))
    }

    @Test("nobody is trusted by default")
    func none() throws {
        let table = TrustedProxies(ranges: GatewayConfiguration().trustedProxies)
        #expect(!table.contains(try #require(SocketAddress(host: "127.0.0.1", port: 1))))
    }
}

@Suite("X-Forwarded")
struct XForwardedTests {
    @Test("of an untrusted peer nothing is read and nothing passed on")
    func untrusted() throws {
        let fields =
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n"
            + "Forwarded: for=192.0.2.1;proto=https;host=evil.example\r\n"
        let (client, written) = try read(fields, peerIsTrusted: false)
        #expect(client == "")
        #expect(
            written
                == "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: api.example\r\n"
        )
    }

    @Test(
        "the first stranger from the right is the client",
        arguments: [
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.66, 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.66, 192.0.2.1, 10.0.0.2,10.0.0.3\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.66,192.0.2.1\r\nA: b\r\nx-forwarded-for: 10.0.0.2\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.1, 2001:DB8:f::2, ::ffff:10.0.0.3\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: \r\nX-Forwarded-For: , ,\r\n", "192.0.2.1"),
            ("X-Forwarded-For: \t192.0.2.1 \t,\t 10.0.0.2\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1"),
            ("X-Forwarded-For: [2001:db8::1]:4711\r\n", "2001:db8::1"),
            ("X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"),
            ("X-Forwarded-For: 2001:DB8::0:1\r\n", "2001:db8::1"),
            ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
        ])
    func walk(_ fields: String, _ expected: String) throws { #expect(try client(fields) == expected) }

    @Test("where all are trusted, the leftmost is the client")
    func allTrusted() throws {
        #expect(
            try client("X-Forwarded-For: 10.0.0.4, 10.0.0.3\r\nX-Forwarded-For: 10.0.0.2\r\n") == "10.0.0.4")
    }

    @Test(
        "what is no address stops the walk at the last one that was",
        arguments: [
            "unknown", "192.0.2.1.", "192.0.2.01", "192.0.2.1:", "192.0.2.1:123456", "192.0.2.1:x",
            "[192.0.2.1]", "[2001:db8::1", "[2001:db8::1]x", "2001:db8::1]", "\"192.0.2.1\"", "192.0.2.1 x",
            "192.0.2.1;", "fe80::1%eth0", "localhost", "_hidden",
        ])
    func garbage(_ member: String) throws {
        #expect(try client("X-Forwarded-For: 192.0.2.66, \(member), 10.0.0.3, 10.0.0.2\r\n") == "10.0.0.3")
        #expect(try client("X-Forwarded-For: 192.0.2.66, \(member)\r\n") == "")
        #expect(try client("X-Forwarded-For: \(member), 192.0.2.1\r\n") == "192.0.2.1")
    }

    @Test("the chain is passed on as it came, with the peer behind it")
    func chain() throws {
        let fields = "X-Forwarded-For: what, 192.0.2.1\r\nX-Forwarded-For:\r\nX-Forwarded-For: 10.0.0.2\r\n"
        let written = try read(fields).1
        #expect(written.hasPrefix("X-Forwarded-For: what, 192.0.2.1, 10.0.0.2, 10.0.0.1\r\n"))
    }

    @Test("Connection does not hide the chain, and an imitation is no part of it (CVE-2022-31813)")
    func hidden() throws {
        var head = try Heads.request(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-forwarded-for\r\nX-Forwarded-For: 192.0.2.1\r\n"
                + "X_Forwarded_For: 192.0.2.66\r\n\r\n")
        Persistence.removeHopByHop(&head.block)
        let forwarded = ForwardedFields(head.block, peerIsTrusted: true, trusted: trusted)
        #expect(forwarded.clientText == Array("192.0.2.1".utf8))
    }

    @Test(
        "a scheme is http or https, and of several the last",
        arguments: [
            ("X-Forwarded-Proto: https\r\n", "https"), ("X-Forwarded-Proto: HTTPS\r\n", "https"),
            ("X-Forwarded-Proto: http\r\n", "http"), ("X-Forwarded-Proto: http, https\r\n", "https"),
            ("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "http"),
            ("X-Forwarded-Proto: https, http\r\n", "http"), ("X-Forwarded-Proto: wss\r\n", "http"),
            ("X-Forwarded-Proto: https, x\r\n", "http"), ("X-Forwarded-Proto: httpsx\r\n", "http"),
            ("X-Forwarded-Proto: \r\n", "http"), ("", "http"),
        ])
    func schemes(_ fields: String, _ scheme: String) throws {
        #expect(try read(fields).1.contains("X-Forwarded-Proto: \(scheme)\r\n"))
    }

    @Test(
        "a host is a name or an address, maybe with a port",
        arguments: [
            ("www.example", true), ("www.example:8443", true), ("192.0.2.1:80", true), ("[::1]:80", true),
            ("[::1]", true), ("a_b-c.example.", true), ("x, www.example", true), ("www.example:", false),
            ("www.example:123456", false), ("www.example:8a", false), ("user@www.example", false),
            ("www.example/path", false), ("www.example?x", false), ("[::1", false), ("[]", false),
            ("[x]", false), ("::1", false), ("a b", false), ("a%20b", false), (":80", false), ("", false),
            (String(repeating: "a", count: 253), true), (String(repeating: "a", count: 254), false),
        ])
    func hosts(_ value: String, _ isBelieved: Bool) throws {
        let host = isBelieved ? value.replacing("x, ", with: "") : "api.example"
        #expect(
            try read("X-Forwarded-Host: \(value)\r\n").1.hasSuffix("\r\nX-Forwarded-Host: \(host)\r\n"))
    }
}

@Suite("Forwarded")
struct ForwardedTests {
    @Test(
        "the same walk leads to the client",
        arguments: [
            ("for=192.0.2.1", "192.0.2.1"), ("For=192.0.2.1;by=10.0.0.1", "192.0.2.1"),
            ("for=192.0.2.66, for=192.0.2.1, for=10.0.0.2", "192.0.2.1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"), ("for=\"[2001:DB8::1]:4711\"", "2001:db8::1"),
            ("for=\"192.0.2.1:_port\"", "192.0.2.1"), ("for=192.0.2.1:80", "192.0.2.1"),
            ("proto=http ; for=192.0.2.1;; host=\"a\";", "192.0.2.1"),
            ("for=192.0.2.1;ext=\"a, for=192.0.2.66\"", "192.0.2.1"),
            ("for=10.0.0.3, for=10.0.0.2", "10.0.0.3"),
        ])
    func walk(_ value: String, _ expected: String) throws {
        #expect(try client("Forwarded: \(value)\r\n") == expected)
    }

    @Test(
        "what names no address stops the walk at the last one that was",
        arguments: [
            "for=unknown", "for=_hidden", "for=\"_hidden:80\"", "proto=https", "for=\"192.0.2.1", "for=",
            "for=\"\"", "for=192.0.2.1;for=192.0.2.1", "for =192.0.2.1", "for= 192.0.2.1", "192.0.2.1",
            "for=192.0.2.1 x", "for=\"\\192.0.2.1\"", "for=\"192.0.2.1\"x", "=192.0.2.1", "for=[::1", "\"",
        ])
    func garbage(_ element: String) throws {
        let fields = "Forwarded: for=192.0.2.66, \(element), for=10.0.0.3\r\nForwarded: for=10.0.0.2\r\n"
        #expect(try client(fields) == "10.0.0.3")
        #expect(try client("Forwarded: \(element)\r\n") == "")
    }

    @Test(
        "a quote that a client leaves open swallows nothing of what the proxies say",
        arguments: ["for=\"", "for=\"x\\", "x=\"\\\"", "for=\"192.0.2.66, for=\"", "\\"])
    func openQuote(_ value: String) throws {
        #expect(try client("Forwarded: \(value), for=192.0.2.1\r\n") == "192.0.2.1")
        #expect(try client("Forwarded: \(value)\r\nForwarded: for=192.0.2.1\r\n") == "192.0.2.1")
        let quoted = "Forwarded: \(value), for=\"[2001:db8::1]:80\", for=\"10.0.0.2:80\"\r\n"
        #expect(try client(quoted) == "2001:db8::1")
    }

    @Test("scheme and host are what the last trusted proxy on the way says of them")
    func others() throws {
        let (client, written) = try read(
            "Forwarded: for=1.1.1.1;proto=http;host=evil.example, "
                + "for=192.0.2.1;proto=https;host=www.example, "
                + "for=10.0.0.2;proto=http;host=\"inner:80\"\r\nX-Forwarded-Host: evil.example\r\n"
        )
        #expect(client == "192.0.2.1")
        #expect(
            written == "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
                + "X-Forwarded-Host: www.example\r\n")
        #expect(try read("Forwarded: for=_x;proto=https\r\n").1.contains("Proto: https\r\n"))
    }

    @Test("X-Forwarded-For goes first, and then Forwarded says nothing")
    func precedence() throws {
        let (client, written) = try read(
            "Forwarded: for=192.0.2.66;proto=https;host=evil.example\r\nX-Forwarded-For: 192.0.2.1\r\n")
        #expect(client == "192.0.2.1")
        #expect(
            written == "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\nX-Forwarded-Proto: http\r\n"
                + "X-Forwarded-Host: api.example\r\n")
    }

    @Test("whatever the fields hold, what is written is lines of ours, and the client an address")
    func mutations() throws {
        var random = SeededGenerator(seed: 5)
        let letters = Array("10.2:[];=,\" \\for_ab".utf8)
        for _ in 0..<2000 {
            var value: [UInt8] = []
            for _ in 0..<random.below(24) { value.append(letters[random.below(letters.count)]) }
            let text = String(decoding: value, as: UTF8.self)
            for name in ["X-Forwarded-For", "Forwarded", "X-Forwarded-Host"] {
                let (client, written) = try read("\(name): \(text)\r\n\(name): for=10.0.0.9\r\n")
                #expect(client.isEmpty || IPAddress(text: Array(client.utf8).span) != nil)
                #expect(written.split(separator: "\r\n").count == 3)
            }
        }
    }
}
