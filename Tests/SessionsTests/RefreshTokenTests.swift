// The mint of refresh tokens: one child per parent, whoever is asked; nothing believed that was not issued
// here.

import Crypto
import Primitives
import Testing

@testable import Sessions

@Suite struct RefreshTokenTests {
    private let keys = [RefreshKey(number: 1)]
    private let mint: RefreshTokenMint

    init() { mint = RefreshTokenMint(keys: keys) }

    private func looksLikeToken(_ text: [UInt8]) -> Bool { RefreshTokenMint.looksLikeToken(text.span) }

    private func bytes(_ token: RefreshToken) -> [UInt8] { Array(mint.text(token).utf8) }

    @Test("a token survives its text")
    func roundTrip() throws {
        let token = mint.first(of: .random())
        let text = bytes(token)
        let read = try #require(mint.parse(text))
        #expect(read.sid == token.sid && read.generation == 0 && read.secret == token.secret)
        #expect(text.count == 95 && text.starts(with: Array("rt_".utf8)))
        #expect(looksLikeToken(text))
    }

    @Test("two first tokens of one session differ: their secrets are random")
    func randomness() {
        let sid = SessionID.random()
        #expect(mint.first(of: sid).secret != mint.first(of: sid).secret)
    }

    @Test("a parent has one child, in this mint, in another one, and after a restart")
    func oneChild() throws {
        let lines = keys.flatMap(\.line)
        let restarted = RefreshTokenMint(keys: try #require(RefreshKeyRing(parsing: lines)).keys)
        var parent = mint.first(of: .random())
        for generation in 1...20 as ClosedRange<UInt32> {
            let child = mint.child(of: parent)
            let again = restarted.child(of: try #require(restarted.parse(bytes(parent))))
            #expect(child.generation == generation && child.sid == parent.sid)
            #expect(mint.text(child) == mint.text(mint.child(of: parent)))
            #expect(mint.text(child) == restarted.text(again))
            #expect(child.secret != parent.secret)
            #expect(child.digest(mint.hasher) == again.digest(restarted.hasher))
            parent = child
        }
    }

    @Test("a child depends on the key, the session, the generation and the secret")
    func childInputs() {
        let token = mint.first(of: .random())
        let child = mint.child(of: token).secret
        let others = [
            RefreshTokenMint(keys: [RefreshKey(number: 1)]).child(of: token).secret,
            mint.child(of: token.changed(sid: .random())).secret,
            mint.child(of: token.changed(generation: 1)).secret,
            mint.child(of: token.changed(secret: RandomBytes.make(32))).secret,
        ]
        #expect(others.allSatisfy { $0 != child })
    }

    @Test("a change of any one bit is refused")
    func tampering() throws {
        let text = bytes(mint.child(of: mint.first(of: .random())))
        let decoded = Base64URL.decode(text.span.extracting(3...))
        let raw = try #require(decoded)
        #expect(raw.count == 69)
        for bit in 0..<(raw.count * 8) {
            var changed = raw
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            let forged = Array("rt_".utf8) + Base64URL.encode(changed.span)
            #expect(mint.parse(forged) == nil, "bit \(bit) of the token")
        }
        let unchanged = Array("rt_".utf8) + Base64URL.encode(raw.span)
        #expect(mint.parse(unchanged) != nil)
    }

    @Test("a token of another gateway is refused")
    func foreign() {
        let other = RefreshTokenMint(keys: [RefreshKey(number: 1)])
        #expect(mint.parse(Array(other.text(other.first(of: .random())).utf8)) == nil)
    }

    @Test("after a new key the old one is still believed, and children are of the new one")
    func keyRotation() throws {
        let parent = mint.first(of: .random())
        let text = bytes(parent)
        let rotated = RefreshTokenMint(keys: [RefreshKey(number: 2)] + keys)
        let read = try #require(rotated.parse(text))
        #expect(rotated.child(of: read).keyNumber == 2)
        // The new key makes the new tokens, which the old mint does not believe.
        let fresh = Array(rotated.text(rotated.first(of: .random())).utf8)
        #expect(rotated.parse(fresh) != nil && mint.parse(fresh) == nil)
        // Without its key a token is no longer believed.
        #expect(RefreshTokenMint(keys: [RefreshKey(number: 2)]).parse(text) == nil)
    }

    @Test("a child that was made before the new key came is found again, whatever key it is of")
    func childOverRotation() {
        var ring = keys
        var parent = mint.first(of: .random())
        for number in 2...5 as ClosedRange<UInt8> {
            let before = RefreshTokenMint(keys: ring)
            let child = before.child(of: parent)
            ring.insert(RefreshKey(number: number), at: 0)
            let after = RefreshTokenMint(keys: ring)
            let stored = child.digest(mint.hasher)
            #expect(after.text(after.child(of: parent, fitting: stored)) == before.text(child))
            // Where the store says nothing of a child, the newest key makes it.
            let unrelated = parent.digest(mint.hasher)
            #expect(after.child(of: parent, fitting: unrelated).keyNumber == number)
            // The same child with the new key first is found by who has it second: another gateway.
            let other = RefreshTokenMint(keys: Array(ring.reversed()))
            let newest = after.child(of: parent)
            let found = other.child(of: parent, fitting: newest.digest(mint.hasher))
            #expect(other.text(found) == after.text(newest))
            parent = newest
        }
    }

    @Test("malformed texts are refused, beside the one that is well formed")
    func malformed() {
        let good = mint.text(mint.first(of: .random()))
        #expect(mint.parse(Array(good.utf8)) != nil)
        let tail = String(good.dropFirst(3))
        let bad: [String] = [
            "", "rt_", "rt", "\(good.dropLast())", "\(good)A", "\(good)=", " \(good)", "\(good)\n",
            "RT_\(tail)", "rt-\(tail)", tail, "rt_" + String(repeating: "A", count: 92),
            "rt_" + String(repeating: "*", count: 92), "rt_+\(tail.dropFirst())", "\(good.dropLast(2))==",
            "\(good.dropLast())\0",
        ]
        for text in bad { #expect(mint.parse(Array(text.utf8)) == nil, "\(text.prefix(8))") }
        #expect(mint.parse([UInt8](repeating: 0xFF, count: 95)) == nil)
    }

    @Test("the last generation is refused: it has no child")
    func lastGeneration() {
        let token = mint.first(of: .random())
        #expect(mint.parse(bytes(token.changed(generation: .max))) == nil)
        #expect(mint.parse(bytes(token.changed(generation: .max - 1))) != nil)
    }

    @Test("what looks like a token is told by length and prefix alone")
    func looks() {
        let good = mint.text(mint.first(of: .random()))
        let looking = [good, "rt_" + String(repeating: "?", count: 92)]
        let tail = String(good.dropFirst(3))
        let others: [String] = ["", "rt_", "\(good.dropLast())", "\(good)A", "Rt_\(tail)", "eyJ\(tail)"]
        for text in looking { #expect(looksLikeToken(Array(text.utf8))) }
        for text in others { #expect(!looksLikeToken(Array(text.utf8))) }
    }
}

extension RefreshToken {
    /// The same token with one part replaced.
    func changed(sid: SessionID? = nil, generation: UInt32? = nil, secret: [UInt8]? = nil) -> RefreshToken {
        RefreshToken(
            sid: sid ?? self.sid, generation: generation ?? self.generation, secret: secret ?? self.secret,
            keyNumber: keyNumber)
    }
}
