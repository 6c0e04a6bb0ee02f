// SHA-256 and HMAC against the published answers (FIPS 180-4, RFC 4231), and the reuse of their contexts.

import Crypto
import Primitives
import Testing

@Suite struct DigestTests {
    @Test(
        "SHA-256 gives the published digests",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func knownDigests(_ text: String, _ expected: String) {
        let digest = SHA256Hasher().digest(text.utf8.span)
        #expect(digest.bytes == hexadecimal(expected))
    }

    @Test("the same bytes give the same digest, others another")
    func reuse() {
        let hasher = SHA256Hasher()
        let first = hasher.digest("abc".utf8.span)
        let second = hasher.digest("abd".utf8.span)
        let third = hasher.digest("abc".utf8.span)
        #expect(first == third)
        #expect(first != second)
    }

    @Test("a digest is made of exactly 32 bytes and gives them back")
    func bytes() {
        let bytes = [UInt8](0..<32)
        let digest = SHA256Digest(bytes: bytes.span)
        #expect(digest?.bytes == bytes)
        let short = SHA256Digest(bytes: bytes.span.extracting(0..<31))
        #expect(short == nil)
        let long = SHA256Digest(bytes: (bytes + [0]).span)
        #expect(long == nil)
    }
}

@Suite struct MACTests {
    @Test("HMAC-SHA-256 gives the tags of RFC 4231")
    func knownTags() {
        let first = HMACSHA256(key: [UInt8](repeating: 0x0b, count: 20).span)
        #expect(
            first.authenticate("Hi There".utf8.span).bytes
                == hexadecimal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"))
        let second = HMACSHA256(key: "Jefe".utf8.span)
        #expect(
            second.authenticate("what do ya want for nothing?".utf8.span).bytes
                == hexadecimal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"))
        let long = HMACSHA256(key: [UInt8](repeating: 0xaa, count: 131).span)
        #expect(
            long.authenticate("Test Using Larger Than Block-Size Key - Hash Key First".utf8.span).bytes
                == hexadecimal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"))
    }

    @Test("parts give the tag of their concatenation, however often the key is reused")
    func parts() {
        let mac = HMACSHA256(key: SecretBytes(copying: [UInt8](0..<32).span))
        let whole = mac.authenticate("refresh-one-two".utf8.span)
        for _ in 0..<3 {
            #expect(mac.authenticate(Array("refresh-".utf8), [], Array("one-two".utf8)) == whole)
        }
        #expect(mac.authenticate("refresh-one-twp".utf8.span) != whole)
    }

    @Test("an empty key is a key of its own")
    func emptyKey() {
        let tag = HMACSHA256(key: [UInt8]().span).authenticate([UInt8]().span)
        #expect(tag.bytes == hexadecimal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"))
    }
}

/// The bytes of a hexadecimal text.
func hexadecimal(_ text: String) -> [UInt8] {
    let digits = text.utf8.compactMap(ASCII.hexadecimalValue)
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
