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
// secret.

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

    /// The first token of the one session that a credential of another system is good for: the same whenever
    /// it is asked for.
    package func first(ofCredential credential: [UInt8]) -> RefreshToken {
        let digest = hasher.digest((Self.exchangeLabel + credential).span).bytes
        guard let sid = SessionID(bytes: digest.span.extracting(0..<SessionID.byteCount)) else {
            preconditionFailure("a digest has bytes enough for a session id")
        }
        let secret = mac(current).authenticate(Self.exchangeLabel, sid.bytes, credential)
        return RefreshToken(sid: sid, generation: 0, secret: secret.bytes, keyNumber: current)
    }

    /// The one child of a token: the same whenever it is asked for.
    package func child(of parent: RefreshToken) -> RefreshToken {
        let generation = parent.generation + 1
        let secret = mac(parent.keyNumber).authenticate(
            Self.refreshLabel, parent.sid.bytes, Self.bytes(generation), parent.secret)
        // The child stays with its parent's key, so that it is the same before and after a key is replaced.
        return RefreshToken(
            sid: parent.sid, generation: generation, secret: secret.bytes, keyNumber: parent.keyNumber)
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

/// A server key that refresh tokens hang on. In the state directory as one line: `1 <base64url of 32 bytes>`.
package struct RefreshKey: Sendable, CustomStringConvertible, CustomReflectable {
    package let number: UInt8
    let secret: [UInt8]

    /// A new random key.
    package init(number: UInt8) {
        self.number = number
        secret = RandomBytes.make(32)
    }

    /// The keys of a key file, first the current one; nil when a line is malformed or a number stands twice.
    package static func parse(_ text: [UInt8]) -> [RefreshKey]? {
        var keys: [RefreshKey] = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let parts = line.split(separator: UInt8(ascii: " "))
            guard parts.count == 2, let number = UInt8(String(decoding: parts[0], as: UTF8.self)),
                let secret = Base64URL.decode(Array(parts[1]).span), secret.count == 32,
                !keys.contains(where: { $0.number == number })
            else { return nil }
            keys.append(RefreshKey(number: number, secret: secret))
        }
        return keys.isEmpty ? nil : keys
    }

    /// The line of the key file.
    package var line: [UInt8] { Array("\(number) \(Base64URL.text(secret.span))\n".utf8) }

    private init(number: UInt8, secret: [UInt8]) {
        self.number = number
        self.secret = secret
    }

    package var description: String { "refresh key \(number)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
