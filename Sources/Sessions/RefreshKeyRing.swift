// The server keys that refresh tokens hang on, and their rotation: a new key is known for a while before
// it makes tokens, so that every gateway believes them; an old one is kept for as long as a token of it
// can come back.
//
//     refresh.key, newest first:  NUMBER SECRET [since=MS] [idle=MS]
//
// A token of a key is current for `idle` after the next key has begun, at the longest. Exchanged in its
// last moment for a child that gets lost, it may be presented again until the child's own `idle` has
// passed: so a key is kept for twice as long.

import Crypto
package import Primitives

/// A server key that refresh tokens hang on.
package struct RefreshKey: Sendable, CustomStringConvertible, CustomReflectable {
    package let number: UInt8
    let secret: [UInt8]
    /// From when on it makes new tokens.
    package let since: WallTime
    /// The longest idle lifetime, in milliseconds, of sessions whose tokens it made; 0 is not known.
    package fileprivate(set) var idle: Int64

    /// A new random key.
    package init(number: UInt8, since: WallTime = WallTime(milliseconds: 0), idle: Int64 = 0) {
        self.init(number: number, secret: RandomBytes.make(32), since: since, idle: idle)
    }

    private init(number: UInt8, secret: [UInt8], since: WallTime, idle: Int64) {
        self.number = number
        self.secret = secret
        self.since = since
        self.idle = idle
    }

    package var description: String { "refresh key \(number)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Why no new key is made.
package enum RefreshKeyRefusal: Error, Sendable, Equatable {
    /// The newest one has hardly begun.
    case newestTooYoung(secondsLeft: Int64)
    /// So many older ones are still needed.
    case tooManyKeys
}

/// The keys of a key file.
package struct RefreshKeyRing: Sendable {
    /// Newest first.
    package private(set) var keys: [RefreshKey]

    /// How long a new key is known before it makes tokens: gateways look for one every 10 s.
    package static let announceMilliseconds: Int64 = 30_000
    /// How long it then has to be the newest.
    private static let settleMilliseconds: Int64 = 90_000
    /// What clocks may differ by.
    private static let marginMilliseconds: Int64 = 60_000
    private static let keysMax = 32

    /// The ring of a directory without one.
    package init(idle: Int64) { keys = [RefreshKey(number: 1, idle: idle)] }

    /// The keys in the order in which a mint wants them: first the one that makes new tokens at `now`.
    package func keys(at now: WallTime) -> [RefreshKey] {
        let current = keys.firstIndex { $0.since <= now } ?? keys.count - 1
        var ordered = keys
        ordered.insert(ordered.remove(at: current), at: 0)
        return ordered
    }

    /// Adds a key that will make the new tokens.
    ///
    /// - Parameter force: also when the newest one has hardly begun.
    package mutating func rotate(idle: Int64, force: Bool, now: WallTime) throws(RefreshKeyRefusal) {
        let left = keys[0].since.milliseconds + Self.settleMilliseconds - now.milliseconds
        if left > 0 && !force { throw .newestTooYoung(secondsLeft: (left + 999) / 1000) }
        var number = keys[0].number
        repeat { number = number == .max ? 1 : number + 1 } while keys.contains { $0.number == number }
        if keys.count >= Self.keysMax { throw .tooManyKeys }
        let since = now.advanced(byMilliseconds: Self.announceMilliseconds)
        keys.insert(RefreshKey(number: number, since: since, idle: idle), at: 0)
    }

    /// Lets go of keys whose tokens are all over.
    package mutating func upkeep(idle: Int64, now: WallTime) {
        // The longest there has been: a shorter lifetime shortens no session that is under way.
        for index in keys.indices { keys[index].idle = max(keys[index].idle, idle) }
        while keys.count > 1 {
            let (old, next) = (keys[keys.count - 1], keys[keys.count - 2])
            let end = next.since.advanced(byMilliseconds: 2 * old.idle + Self.marginMilliseconds)
            if now < end { break }
            keys.removeLast()
        }
    }
}

// MARK: - As text

extension RefreshKeyRing {
    /// The keys of a key file; nil when a line is malformed or a number stands twice.
    package init?(parsing text: [UInt8]) {
        keys = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let key = RefreshKey(line: line), !keys.contains(where: { $0.number == key.number }) else {
                return nil
            }
            keys.append(key)
        }
        if keys.isEmpty { return nil }
    }

    /// The key file.
    package var text: [UInt8] { keys.flatMap(\.line) }
}

extension RefreshKey {
    /// The line of the key file.
    package var line: [UInt8] {
        var line = "\(number) \(Base64URL.text(secret.span))"
        if since.milliseconds > 0 { line += " since=\(since.milliseconds)" }
        if idle > 0 { line += " idle=\(idle)" }
        return Array((line + "\n").utf8)
    }

    fileprivate init?(line: ArraySlice<UInt8>) {
        let parts = line.split(separator: UInt8(ascii: " "))
        guard parts.count >= 2, let number = UInt8(String(decoding: parts[0], as: UTF8.self)),
            let secret = Base64URL.decode(Array(parts[1]).span), secret.count == 32
        else { return nil }
        var times = ["since": Int64(0), "idle": 0]
        for part in parts[2...] {
            let member = String(decoding: part, as: UTF8.self).split(separator: "=", maxSplits: 1)
            guard member.count == 2, times[String(member[0])] == 0, let value = Int64(member[1]), value > 0
            else { return nil }
            times[String(member[0])] = value
        }
        self.init(
            number: number, secret: secret, since: WallTime(milliseconds: times["since"] ?? 0),
            idle: times["idle"] ?? 0)
    }
}
