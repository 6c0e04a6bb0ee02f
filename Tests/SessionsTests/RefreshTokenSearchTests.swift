// Refresh tokens within other texts: found wherever they stand, and never where something merely has the
// bytes.

import Crypto
import Primitives
import Testing

@testable import Sessions

@Suite("Refresh tokens within texts")
struct RefreshTokenSearchTests {
    private static let sample = "rt_" + String(repeating: "aZ0-_9", count: 15) + "xy"

    private func found(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        return RefreshTokenMint.firstToken(in: bytes.span).map { range in
            String(decoding: bytes[range.offsets], as: UTF8.self)
        }
    }

    @Test(
        "a token is found wherever it stands, between any two fences",
        arguments: [
            ("", ""), ("Bearer\t", ""), ("Basic x, Bearer ", "\r\n"), ("?a=b&token=", "&c=d"),
            ("\"", "\""), ("to%3D", "%26c"), ("to%3d", "%"), ("rt_ ", ""), ("rt_short=", "; b"),
            ("eyJ.", ".x"), ("rt_" + String(repeating: "b", count: 93) + "=", "="),
        ])
    func within(_ before: String, _ behind: String) {
        for padding in 0..<40 {
            let pad = String(repeating: ".", count: padding)
            #expect(found(pad + before + Self.sample + behind) == Self.sample)
            #expect(found(before + Self.sample + behind + pad) == Self.sample)
        }
    }

    @Test(
        "what merely contains the bytes is no token",
        arguments: [
            "", "rt_", "rt", "start_of=part_two", "rt_" + String(repeating: "a", count: 91),
            "rt_" + String(repeating: "a", count: 93), "x" + sample, sample + "x", "_" + sample,
            sample + "-", "3D" + sample, "%zD" + sample, "RT_" + String(repeating: "a", count: 92),
            sample.replacing("-", with: "+"), "eyJ" + String(repeating: "rt_", count: 200),
        ])
    func containing(_ text: String) {
        #expect(found(text) == nil)
    }

    @Test("the second of two is found from behind the first; a broken one before it hides nothing")
    func several() throws {
        let text = Array("a=rt_x&b=\(Self.sample)&c=\(Self.sample)".utf8)
        let one = RefreshTokenMint.firstToken(in: text.span)
        let first = try #require(one)
        let two = RefreshTokenMint.firstToken(in: text.span, from: first.end)
        let second = try #require(two)
        #expect(first.start == 9 && second.start == first.end + 3)
        let third = RefreshTokenMint.firstToken(in: text.span, from: second.end)
        #expect(third == nil)
    }

    @Test("every token of the mint is found")
    func ownTokens() {
        let mint = RefreshTokenMint(keys: [RefreshKey(number: 1)])
        for _ in 0..<50 {
            let text = mint.text(mint.first(of: .random()))
            #expect(found("x=\(text);") == text)
        }
    }
}
