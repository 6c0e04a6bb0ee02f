// Each kind of value at its bounds, with the nearest neighbours on both sides.

import Configuration
import Testing

@Suite("Values")
struct ValueDecodingTests {
    private func duration(_ text: String, _ range: ClosedRange<Int64> = 0...Int64.max) -> Int64? {
        try? ValueDecoding.duration(text, in: range)
    }

    @Test("a duration is a number and a unit")
    func durations() {
        #expect(duration("500ms") == 500)
        #expect(duration("30s") == 30_000)
        #expect(duration("15m") == 900_000)
        #expect(duration("12h") == 43_200_000)
        #expect(duration("7d") == 604_800_000)
        #expect(duration("0s") == 0)
        for wrong in ["", "30", "s", "30 s", "30S", "-1s", "+1s", "1.5s", "1w", "s30", "1s1", "٣s", "1m30s"] {
            #expect(duration(wrong) == nil, "\(wrong)")
        }
    }

    @Test("a duration is bounded on both sides and never overflows")
    func durationBounds() {
        #expect(duration("100ms", 100...600_000) == 100)
        #expect(duration("99ms", 100...600_000) == nil)
        #expect(duration("10m", 100...600_000) == 600_000)
        #expect(duration("601s", 100...600_000) == nil)
        #expect(duration("9223372036854775807ms") == Int64.max)
        #expect(duration("9223372036854775808ms") == nil)
        #expect(duration("99999999999999999999999999d") == nil)
        #expect(duration("18446744073709551615d") == nil)
    }

    @Test("a size is a number and a unit of 1024, and never overflows")
    func sizes() {
        let all: ClosedRange<UInt64> = 0...(1 << 40)
        #expect((try? ValueDecoding.size("512b", in: all)) == 512)
        #expect((try? ValueDecoding.size("8k", in: all)) == 8_192)
        #expect((try? ValueDecoding.size("10m", in: all)) == 10 << 20)
        #expect((try? ValueDecoding.size("1g", in: all)) == 1 << 30)
        #expect((try? ValueDecoding.size("1024g", in: all)) == 1 << 40)
        for wrong in ["", "8192", "8K", "8kb", "k", "-1k", "1025g", "18446744073709551615g", "0x1k"] {
            #expect((try? ValueDecoding.size(wrong, in: all)) == nil, "\(wrong)")
        }
    }

    @Test("a number is decimal digits within its range")
    func numbers() {
        #expect((try? ValueDecoding.number("1", in: 1...256)) == 1)
        #expect((try? ValueDecoding.number("256", in: 1...256)) == 256)
        for wrong in ["0", "257", "", "1 ", "0x10", "1e2", "-1", "99999999999999999999"] {
            #expect((try? ValueDecoding.number(wrong, in: 1...256)) == nil, "\(wrong)")
        }
    }

    @Test("a boolean is on or off")
    func booleans() {
        #expect((try? ValueDecoding.boolean("on")) == true)
        #expect((try? ValueDecoding.boolean("off")) == false)
        for wrong in ["true", "1", "On", "yes", ""] { #expect((try? ValueDecoding.boolean(wrong)) == nil) }
    }

    @Test(
        "durations and sizes print in the largest unit that loses nothing",
        arguments: [(0, "0s"), (1, "1ms"), (90_000, "90s"), (60_000, "1m"), (86_400_000, "1d")]
            as [(Int64, String)])
    func texts(milliseconds: Int64, text: String) {
        #expect(ValueDecoding.durationText(milliseconds) == text)
        #expect(ValueDecoding.sizeText(32 << 10) == "32k")
        #expect(ValueDecoding.sizeText(1_025) == "1025b")
    }

    @Test("a listen address is a literal address and a port")
    func listenAddresses() throws {
        #expect(
            try AddressDecoding.listenAddress("0.0.0.0:8080") == .ip(host: "0.0.0.0", port: 8080))
        #expect(try AddressDecoding.listenAddress("[::1]:80") == .ip(host: "::1", port: 80))
        #expect(try AddressDecoding.listenAddress("127.0.0.1:0").port == 0)
        #expect(try AddressDecoding.listenAddress("127.0.0.1:65535").port == 65_535)
        let wrong = [
            "127.0.0.1:65536", "127.0.0.1", "8080", ":8080", "*:8080", "localhost:80", "::1:80", "[::1]",
            "[::1]80",
            "127.0.0.1:", "127.0.0.1:+80", "127.0.0.1:080800", "[127.0.0.1]:80", "256.0.0.1:80", "127.0.1:80",
            "010.0.0.1:80", "[::1%eth0]:80", "[]:80", "", ":", "[", "]:1",
        ]
        for text in wrong {
            #expect((try? AddressDecoding.listenAddress(text)) == nil, "\(text)")
        }
    }

    @Test("a literal IPv6 address has eight groups or one gap")
    func version6() {
        #expect(IPLiteral.bytes(of: "::") == Array(repeating: 0, count: 16))
        #expect(IPLiteral.bytes(of: "::1")?.last == 1)
        #expect(IPLiteral.bytes(of: "1::")?.prefix(2) == [0, 1])
        #expect(IPLiteral.bytes(of: "2001:db8:0:0:0:0:2:1")?.suffix(4) == [0, 2, 0, 1])
        #expect(IPLiteral.bytes(of: "::ffff:10.1.2.3")?.suffix(6) == [255, 255, 10, 1, 2, 3])
        let wrong = [
            ":", ":::", "1:2", ":1", "1:", "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:8::",
            "::1.2.3", "1.2.3.4::", ":1:2:3:4:5:6:7:8",
        ]
        for text in wrong { #expect(IPLiteral.bytes(of: text) == nil, "\(text)") }
    }

    @Test("127.0.0.0/8 and ::1 are loopback, in every spelling")
    func loopback() {
        for text in ["127.0.0.1", "127.255.0.3", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"] {
            #expect(IPLiteral.isLoopback(text), "\(text)")
        }
        for text in ["128.0.0.1", "0.0.0.0", "::", "::2", "::ffff:128.0.0.1", "localhost"] {
            #expect(!IPLiteral.isLoopback(text), "\(text)")
        }
    }

    @Test("a URL is http or https, a host and perhaps a port")
    func urls() throws {
        let parts = try AddressDecoding.url("HTTPS://Api.Example.com:8443/x?y", example: "")
        #expect(parts == URLParts(scheme: "https", host: "api.example.com", port: 8443, rest: "/x?y"))
        #expect(try AddressDecoding.url("http://[::1]:80", example: "").bracketedHost == "[::1]")
        let wrong = [
            "", "http://", "http:///x", "ftp://a", "a.example.com", "http://a:0", "http://a:65536",
            "http://a:b",
            "http://user@a", "http://-a", "http://a..b", "http://1.2.3", "http://a b", "http://a/\u{7F}",
            "://", "é://a",
        ]
        for text in wrong { #expect((try? AddressDecoding.url(text, example: "")) == nil, "\(text)") }
    }

    @Test("a word is near its misspellings, and not near other words")
    func editDistance() {
        #expect(EditDistance.between("listen", "listen") == 0)
        #expect(EditDistance.between("lisetn", "listen") == 1)
        #expect(EditDistance.between("", "abc") == 3)
        #expect(EditDistance.between("kitten", "sitting") == 3)
        #expect(EditDistance.nearest(to: "upsteam", in: ["upstream", "route"]) == "upstream")
        #expect(EditDistance.nearest(to: "bananas", in: ["upstream", "route"]) == nil)
        #expect(EditDistance.nearest(to: "cs", in: ["ca"]) == "ca")
        #expect(EditDistance.nearest(to: "a", in: ["ca"]) == nil)
    }

    @Test("a date is a day of the calendar, and ends at the next midnight")
    func dates() throws {
        #expect(try ValueDecoding.endOfDay("1970-01-01") == 86_400)
        #expect(try ValueDecoding.endOfDay("2027-01-31") == 1_801_440_000)
        #expect(try ValueDecoding.endOfDay("2028-02-29") == 1_835_481_600)
        #expect(try ValueDecoding.endOfDay("9999-12-31") == 253_402_300_800)
        let wrong = [
            "2027-02-29", "2027-02-30", "2027-00-01", "2027-13-01", "2027-01-00", "2027-01-32", "1969-12-31",
            "2027-1-31", "27-01-31", "2027-01-31T00", "2027/01/31", "2027-01", "-027-01-31", "+027-01-31", "",
            "2027-01-31-", "２０２７-01-31",
        ]
        for text in wrong {
            #expect(throws: ValueProblem.self) { try ValueDecoding.endOfDay(text) }
        }
    }

    @Test("a claim is a path of names, parted by dots; a URL is one name, and so is what stands behind '='")
    func claimPaths() throws {
        func parts(_ text: String) throws -> [String] { try ClaimDecoding.path(text).parts }
        #expect(try parts("role") == ["role"])
        #expect(try parts("realm_access.roles") == ["realm_access", "roles"])
        #expect(try parts("a.b.c") == ["a", "b", "c"])
        #expect(try parts("https://example.com/roles.v1") == ["https://example.com/roles.v1"])
        #expect(try parts("http://example.com/roles") == ["http://example.com/roles"])
        #expect(try parts("=a.b") == ["a.b"])
        #expect(try parts("==a") == ["=a"])
        #expect(try parts("=.") == ["."])
        #expect(try parts("urn:example:role") == ["urn:example:role"])
        for text in ["", "=", ".", "a.", ".a", "a..b", "a b", "a\"b", "rôle"] {
            #expect(throws: ValueProblem.self) { try ClaimDecoding.path(text) }
        }
    }
}
