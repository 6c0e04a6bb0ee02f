// base64url: one value has one spelling, so that no token can be written in two ways. Session ids are spelled
// with it.

import Foundation
import Primitives
import Support
import Testing

@Suite struct Base64URLTests {
    @Test(
        "the vectors of RFC 4648 §10 read and write without their padding",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(_ plain: String, _ spelled: String) {
        #expect(Base64URL.text(Array(plain.utf8).span) == spelled)
        #expect(Base64URL.decode(Array(spelled.utf8).span) == Array(plain.utf8))
    }

    @Test(
        "what is no canonical base64url is refused",
        arguments: [
            "Zg==", "Zg=", "Z", "Zm9vY", "Zm 9", "Zm9\n", "Zm9+", "Zm9/", "Zm9v.", "Zm9v\0", "=", "Z\u{E9}m9",
        ])
    func malformed(_ text: String) {
        #expect(Base64URL.decode(Array(text.utf8).span) == nil)
    }

    @Test("of the spellings that differ in unused bits, only the one with zeros is read")
    func canonical() {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        for (index, last) in alphabet.enumerated() {
            let (short, long) = ([UInt8(ascii: "Z"), last], [UInt8(ascii: "Z"), UInt8(ascii: "m"), last])
            let one = Base64URL.decode(short.span)
            #expect((one != nil) == (index % 16 == 0))
            let two = Base64URL.decode(long.span)
            #expect((two != nil) == (index % 4 == 0))
        }
    }

    @Test("every byte but the 64 of the alphabet is refused at every place")
    func alphabet() {
        let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        for byte in UInt8.min...UInt8.max {
            for place in 0..<4 {
                var text = Array("AAAA".utf8)
                text[place] = byte
                #expect((Base64URL.decode(text.span) != nil) == alphabet.contains(byte))
            }
        }
    }

    @Test("random bytes are spelled as Foundation spells them, and read back", arguments: 0..<5)
    func roundTrip(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for count in 0..<70 {
            let bytes = random.bytes(count)
            let text = Base64URL.text(bytes.span)
            let expected = Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
                .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
            #expect(text == expected)
            #expect(Base64URL.decode(Array(text.utf8).span) == bytes)
        }
    }

    // MARK: - Session ids

    @Test("a session id reads from its own text and bytes")
    func sessionID() throws {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<50 {
            let bytes = random.bytes(16)
            let read = SessionID(bytes: bytes.span)
            let id = try #require(read)
            #expect(id.bytes == bytes)
            #expect(id.text.utf8.count == 22)
            #expect(SessionID(text: id.text) == id)
        }
    }

    @Test(
        "a text that is no session id is refused",
        arguments: [
            "", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAA+A", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAA\u{E9}",
        ])
    func noSessionID(_ text: String) {
        #expect(SessionID(text: text) == nil)
        #expect(SessionID(text: "AAAAAAAAAAAAAAAAAAAAAA") != nil)
    }

    @Test("an id has 16 bytes, and no other count", arguments: [0, 1, 15, 17, 32])
    func sessionIDBytes(count: Int) {
        let bytes = [UInt8](repeating: 0, count: count)
        #expect(SessionID(bytes: bytes.span) == nil)
    }

    @Test("ids that differ in a single bit are different ids")
    func sessionIDBits() {
        let zero = [UInt8](repeating: 0, count: 16)
        var ids: Set<SessionID?> = [SessionID(bytes: zero.span)]
        for bit in 0..<128 {
            var bytes = zero
            bytes[bit / 8] = 1 << UInt8(bit % 8)
            ids.insert(SessionID(bytes: bytes.span))
        }
        #expect(ids.count == 129)
    }
}
