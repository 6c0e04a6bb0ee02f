// Addresses as text and as numbers: what is read, what is written, what counts as the same.

import Primitives
import Testing

@Suite struct IPAddressTests {
    @Test(
        "an address is read, and written in its canonical form (RFC 5952 §4)",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
            ("10.20.100.9", "10.20.100.9"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8::0:1", "2001:db8::1"),
            ("2001:0db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
            ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:0201", "192.0.2.1"), ("0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"),
            ("::fffe:1.2.3.4", "::fffe:102:304"), ("::1.2.3.4", "::102:304"), ("f::", "f::"),
        ])
    func literals(_ text: String, _ canonical: String) throws {
        let address = try #require(read(text))
        #expect(String(decoding: address.text, as: UTF8.self) == canonical)
        #expect(IPAddress(bytes: address.bytes.span) == address)
        #expect(address.isV4 == !canonical.contains(":"))
        #expect(address.bytes.count == (address.isV4 ? 4 : 16))
    }

    @Test(
        "what is no literal address is refused",
        arguments: [
            "", "example.com", "192.0.2", "192.0.2.256", "192.0.2.1.1", "192.0.2.01", "00.0.0.0",
            "0x7f.0.0.1", "127.1", " 127.0.0.1", "127.0.0.1 ", "127.0.0.1:80", "1..2.3", ".1.2.3", "1.2.3.",
            "4294967296.1.1.1", ":", "[::1]", ":::", "::1::", "1::2::3", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:",
            "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "12345::", "::g",
            "fe80::1%lo", "::1.2.3", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.04", "127.0.0.1\0",
            "::a.1.2.3", "-1.0.0.0", "1.2.3.4/8",
        ])
    func names(_ text: String) { #expect(read(text) == nil) }

    @Test("as many bytes as no address has are none", arguments: [0, 3, 5, 15, 17])
    func counts(_ count: Int) {
        #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count).span) == nil)
    }

    @Test("a prefix is shared up to its last bit and no further")
    func prefixes() throws {
        let one = try #require(read("2001:db8:0:1::1"))
        for (text, bits) in [("2001:db8:0:1::1", 128), ("2001:db8:0:1::", 127), ("2001:db8::1", 63)] {
            let other = try #require(read(text))
            #expect(one.sharesPrefix(of: other, bits: bits))
            #expect(one.sharesPrefix(of: other, bits: 0))
            if bits < 128 { #expect(!one.sharesPrefix(of: other, bits: bits + 1)) }
        }
        let far = try #require(read("8000::"))
        #expect(!one.sharesPrefix(of: far, bits: 1))
    }

    private func read(_ text: String) -> IPAddress? { IPAddress(text: Array(text.utf8).span) }
}
