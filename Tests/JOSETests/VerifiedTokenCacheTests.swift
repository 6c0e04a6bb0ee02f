// The memory of verified tokens: hits and misses, its bound, and that a flood of newcomers leaves the
// regulars alone.

import Crypto
import JOSE
import Primitives
import Support
import Testing

@Suite struct VerifiedTokenCacheTests {
    private let hasher = SHA256Hasher()
    private let token: VerifiedToken
    private let cost: Int

    init() throws {
        let forge = try TokenForge()
        token = try #require(forge.accepted(forge.token()))
        let probe = VerifiedTokenCache(bytesMax: 1 << 20)
        probe.insert(token, digest: hasher.digest([0].span), tokenBytes: 500)
        cost = probe.bytes
    }

    private func digest(_ number: Int) -> SHA256Digest { hasher.digest("token \(number)".utf8.span) }

    private func insert(_ number: Int, into cache: VerifiedTokenCache) {
        cache.insert(token, digest: digest(number), tokenBytes: 500)
    }

    @Test("what was inserted is found, and nothing else; both are counted")
    func lookup() {
        let cache = VerifiedTokenCache(bytesMax: 1 << 20)
        #expect(cache.lookup(digest(1)) == nil)
        insert(1, into: cache)
        #expect(cache.lookup(digest(1)) === token)
        #expect(cache.lookup(digest(2)) == nil)
        #expect(cache.count == 1 && cache.hits == 1 && cache.misses == 2)
    }

    @Test("a token's bytes and its claims count")
    func reckoning() {
        #expect(cost > 500 + token.claims.bytes.count)
    }

    @Test("the bound in bytes is never passed, and a token too large for it is not remembered")
    func bound() {
        let cache = VerifiedTokenCache(bytesMax: cost * 10 + cost / 2)
        for number in 0..<100 {
            insert(number, into: cache)
            if number % 3 == 0 { _ = cache.lookup(digest(number)) }
            #expect(cache.bytes <= cost * 10 + cost / 2)
            #expect(cache.bytes == cache.count * cost)
        }
        #expect(cache.count == 10)
        let small = VerifiedTokenCache(bytesMax: cost - 1)
        insert(1, into: small)
        #expect(small.count == 0)
        let exact = VerifiedTokenCache(bytesMax: cost)
        insert(1, into: exact)
        insert(2, into: exact)
        #expect(exact.count == 1 && exact.lookup(digest(2)) != nil)
    }

    @Test("tokens in use survive a flood of tokens that are used once")
    func flood() {
        let cache = VerifiedTokenCache(bytesMax: cost * 20)
        for number in 0..<10 {
            insert(number, into: cache)
            _ = cache.lookup(digest(number))
        }
        for number in 1000..<2000 { insert(number, into: cache) }
        for number in 0..<10 { #expect(cache.lookup(digest(number)) != nil, "token \(number)") }
        #expect(cache.lookup(digest(1000)) == nil)
        #expect(cache.lookup(digest(1999)) != nil)
    }

    @Test("a former regular makes room for a new one")
    func turnover() {
        let cache = VerifiedTokenCache(bytesMax: cost * 10)
        for number in 0..<100 {
            insert(number, into: cache)
            #expect(cache.lookup(digest(number)) != nil)
        }
        #expect(cache.lookup(digest(0)) == nil)
        #expect(cache.lookup(digest(99)) != nil && cache.lookup(digest(98)) != nil)
    }

    @Test("inserting the same token again does not count it twice")
    func again() {
        let cache = VerifiedTokenCache(bytesMax: 1 << 20)
        insert(1, into: cache)
        insert(1, into: cache)
        #expect(cache.count == 1 && cache.bytes == cost)
    }

    @Test("what is removed is gone, one or all; the room is used again")
    func removal() {
        let cache = VerifiedTokenCache(bytesMax: 1 << 20)
        for number in 0..<5 { insert(number, into: cache) }
        _ = cache.lookup(digest(3))
        cache.remove(digest(3))
        cache.remove(digest(0))
        cache.remove(digest(77))
        #expect(cache.count == 3 && cache.bytes == 3 * cost && cache.lookup(digest(3)) == nil)
        insert(9, into: cache)
        #expect(cache.lookup(digest(9)) != nil && cache.lookup(digest(1)) != nil)
        cache.removeAll()
        #expect(cache.count == 0 && cache.bytes == 0 && cache.lookup(digest(1)) == nil)
        insert(1, into: cache)
        #expect(cache.lookup(digest(1)) != nil)
    }

    @Test("random use keeps the books right")
    func randomUse() {
        let cache = VerifiedTokenCache(bytesMax: cost * 16)
        var generator = SeededGenerator(seed: 42)
        for _ in 0..<20_000 {
            let number = Int.random(in: 0..<40, using: &generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0: cache.remove(digest(number))
            case 1...3: insert(number, into: cache)
            default: _ = cache.lookup(digest(number))
            }
            #expect(cache.count <= 16 && cache.bytes == cache.count * cost)
        }
    }
}
