// Refresh tokens: opaque to clients, and a ratchet to us.
//
//     rt_ base64url( key number 1 | sid 16 | generation 4 | secret 32 | tag 16 )
//     secret(0)   = random
//     secret(n+1) = HMAC-SHA256(server key, "refresh" | sid | n+1 | secret(n))
//     tag         = first half of HMAC-SHA256(server key, "tag" | everything before it)
//
// The tag is checked before anything else, so a forged token costs one HMAC and never reaches the store. The
// ratchet makes a rotation repeatable: the same parent always has the same child, also after a crash, in a
// second process or over a restored backup, and the store needs to keep nothing but a digest of the current
// secret. A child is made with the newest server key; one that was made before that key came is found again
// by the digest.

package import Crypto
package import Primitives

/// The parts of a genuine refresh token.
package struct RefreshToken: Sendable {
    package let sid: SessionID
    package let generation: UInt32
    let secret: [UInt8]
    let keyNumber: UInt8

    /// What the store keeps of it.
    func digest(_ hasher: SHA256Hasher) -> SHA256Digest { hasher.digest(secret.span) }
}

/// Makes, rotates and checks refresh tokens. Owned by: the sessions queue.
package final class RefreshTokenMint {
    private let current: UInt8
    private let keys: [UInt8: HMACSHA256]
    package let hasher = SHA256Hasher()

    /// - Parameter keys: at least one; the first makes new tokens, the others are still believed.
    package init(keys: [RefreshKey]) {
        precondition(!keys.isEmpty, "refresh tokens need a server key")
        current = keys[0].number
        self.keys = Dictionary(keys.map { ($0.number, HMACSHA256(key: $0.secret.span)) }) { first, _ in first
        }
    }

    /// The first token of a session.
    package func first(of sid: SessionID) -> RefreshToken {
        RefreshToken(sid: sid, generation: 0, secret: RandomBytes.make(32), keyNumber: current)
    }

    /// The one session that a credential of another system is good for: the same under every server key.
    func sid(ofCredential credential: [UInt8]) -> SessionID {
        let digest = hasher.digest((Self.exchangeLabel + credential).span).bytes
        guard let sid = SessionID(bytes: digest.span.extracting(0..<SessionID.byteCount)) else {
            preconditionFailure("a digest has bytes enough for a session id")
        }
        return sid
    }

    /// The first token of that session: the same whenever it is asked for.
    ///
    /// - Parameter digest: what is stored of the session's secret, which an older key may have made.
    func first(
        of sid: SessionID, credential: [UInt8], fitting digest: SHA256Digest?
    ) -> RefreshToken {
        func token(_ number: UInt8) -> RefreshToken {
            let secret = mac(number).authenticate(Self.exchangeLabel, sid.bytes, credential)
            return RefreshToken(sid: sid, generation: 0, secret: secret.bytes, keyNumber: number)
        }
        let older = keys.keys.filter { $0 != current }.map(token)
        return older.first { $0.digest(hasher) == digest } ?? token(current)
    }

    /// The one child of a token: the same whenever it is asked for.
    ///
    /// - Parameter digest: what is stored of the session's current secret. Where that is a child of the token
    ///   under an older key, it is the child, and no other may come beside it.
    package func child(of parent: RefreshToken, fitting digest: SHA256Digest? = nil) -> RefreshToken {
        let child = child(of: parent, under: current)
        guard let digest, keys.count > 1, child.digest(hasher) != digest else { return child }
        for number in keys.keys where number != current {
            let older = self.child(of: parent, under: number)
            if older.digest(hasher) == digest { return older }
        }
        return child
    }

    private func child(of parent: RefreshToken, under keyNumber: UInt8) -> RefreshToken {
        let generation = parent.generation + 1
        let secret = mac(keyNumber).authenticate(
            Self.refreshLabel, parent.sid.bytes, Self.bytes(generation), parent.secret)
        return RefreshToken(
            sid: parent.sid, generation: generation, secret: secret.bytes, keyNumber: keyNumber)
    }

    /// The token as clients carry it.
    package func text(_ token: RefreshToken) -> String {
        let body = [token.keyNumber] + token.sid.bytes + Self.bytes(token.generation) + token.secret
        return "rt_" + Base64URL.text((body + tag(body, token.keyNumber)).span)
    }

    /// The token that a text spells; nil when this gateway did not issue it.
    package func parse(_ text: [UInt8]) -> RefreshToken? {
        guard text.count == Self.textBytes, text.starts(with: Self.prefix),
            let raw = Base64URL.decode(text.span.extracting(Self.prefix.count...)),
            raw.count == Self.rawBytes, keys[raw[0]] != nil
        else { return nil }
        let body = Array(raw[..<Self.bodyBytes])
        guard ConstantTime.equal(raw.span.extracting(Self.bodyBytes...), tag(body, raw[0]).span),
            let sid = SessionID(bytes: raw.span.extracting(1..<17))
        else { return nil }
        let generation = raw[17..<21].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        // The last generation has no child: 4 billion rotations take longer than any final deadline.
        guard generation < .max else { return nil }
        return RefreshToken(sid: sid, generation: generation, secret: Array(raw[21..<53]), keyNumber: raw[0])
    }

    /// Whether a text has the look of a refresh token: enough to keep it from being forwarded.
    package static func looksLikeToken(_ text: Span<UInt8>) -> Bool {
        text.count == textBytes && text.extracting(0..<prefix.count).equals(prefix.span)
    }

    /// The session that a text of that look names, genuine or not: good for comparing it with one that is
    /// known.
    package static func namedSession(in text: [UInt8]) -> SessionID? {
        guard looksLikeToken(text.span),
            let raw = Base64URL.decode(text.span.extracting(prefix.count...))
        else { return nil }
        return SessionID(bytes: raw.span.extracting(1..<17))
    }

    /// The first text that has the look of a refresh token, wherever it stands: `rt_`, then exactly as many
    /// base64url characters as there are, and neither before nor behind it another one. Signed tokens and
    /// other random texts hold the bytes `rt_` one time in hundreds, and a whole token, so fenced, never.
    ///
    /// A percent-encoded byte is a fence too: `%3Drt_…` in a query within a query.
    package static func firstToken(in text: Span<UInt8>, from start: Int = 0) -> ByteRange? {
        var index = prefixOffset(in: text, from: start)
        while index < text.count {
            var end = index + prefix.count
            if isFence(text, before: index) {
                // No further than it takes to tell: a head full of `=rt_` is walked through once.
                while end < text.count, end - index <= textBytes, Base64URL.spells(text[end]) { end += 1 }
                if end - index == textBytes { return ByteRange(index, end) }
            }
            index = prefixOffset(in: text, from: end)
        }
        return nil
    }

    private static func prefixOffset(in text: Span<UInt8>, from start: Int) -> Int {
        text.firstOffset(of: UInt8(ascii: "r"), UInt8(ascii: "t"), UInt8(ascii: "_"), from: start)
    }

    private static func isFence(_ text: Span<UInt8>, before index: Int) -> Bool {
        if index == 0 || !Base64URL.spells(text[index - 1]) { return true }
        return index >= 3 && text[index - 3] == UInt8(ascii: "%")
            && ASCII.hexadecimalValue(text[index - 2]) != nil
            && ASCII.hexadecimalValue(text[index - 1]) != nil
    }

    private func tag(_ body: [UInt8], _ keyNumber: UInt8) -> [UInt8] {
        Array(mac(keyNumber).authenticate(Self.tagLabel, body).bytes[..<16])
    }

    private func mac(_ number: UInt8) -> HMACSHA256 {
        guard let mac = keys[number] else {
            preconditionFailure("a token names a key that its mint does not have")
        }
        return mac
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    }

    private static let prefix = Array("rt_".utf8)
    private static let refreshLabel = Array("refresh".utf8)
    private static let exchangeLabel = Array("exchange".utf8)
    private static let tagLabel = Array("tag".utf8)
    private static let bodyBytes = 1 + 16 + 4 + 32
    private static let rawBytes = bodyBytes + 16
    private static let textBytes = 3 + 92
}
