// The life of signing keys, with time in the test's hands; and its files, crashed between any two steps.

import JOSE
import Primitives
import Testing

@Suite struct SigningKeyRingTests {
    private static let minute: Int64 = 60_000
    private static let day: Int64 = 86_400_000
    private let start = TokenForge.now
    private var policy = SigningKeyPolicy(
        algorithm: .es256, keyLifetime: 90 * day, tokenLifetime: 15 * minute, cookieLifetime: 7 * day)

    private func after(_ milliseconds: Int64) -> WallTime { start.advanced(byMilliseconds: milliseconds) }

    private func ring() throws -> SigningKeyRing {
        try SigningKeyRing(taking: nil, policy: policy, now: start)
    }

    private func kids(_ ring: SigningKeyRing, _ state: SigningKeyRecord.State) -> [String] {
        ring.manifest.records.filter { $0.state == state }.map(\.kid)
    }

    /// What the gate says of a token that the key has signed.
    private func refusal(_ ring: SigningKeyRing, signedBy key: SigningKey) throws -> TokenRejection? {
        let token = try TokenSigner(key: key).sign(payload: Array(TokenForge.claims().utf8))
        let policy = ClaimsPolicy(issuer: "https://issuer.test", audiences: ["api"])
        let verifier = try TokenVerifier(keys: ring.keySet(), policy: policy)
        if case .refused(let refusal) = verifier.verify(token.span, now: start) { return refusal }
        return nil
    }

    @Test("a first ring has a key that signs and one that is to follow; one that is there is taken")
    func first() throws {
        let ring = try ring()
        #expect(kids(ring, .active) == [ring.signingKey.kid] && kids(ring, .next).count == 1)
        #expect(try ring.keySet().keys.count == 2)
        let key = try SigningKey.generate(.es256)
        #expect(try SigningKeyRing(taking: key, policy: policy, now: start).signingKey.kid == key.kid)
    }

    @Test("rotation has the next key sign, and tokens of the one before stay good until they have expired")
    func rotation() throws {
        var ring = try ring()
        let (old, next) = (ring.signingKey, ring.manifest.next.kid)
        try ring.rotate(.command, force: false, policy: policy, now: after(2 * Self.minute))
        #expect(ring.signingKey.kid == next && kids(ring, .retired) == [old.kid])
        #expect(kids(ring, .next) != [next] && ring.manifest.cause == .command)
        #expect(try ring.keySet().keys.count == 3 && refusal(ring, signedBy: old) == nil)
        // A minute more than a token lives: another gateway may not have seen it at once.
        try ring.upkeep(policy, now: after(18 * Self.minute - 1))
        #expect(try refusal(ring, signedBy: old) == nil)
        try ring.upkeep(policy, now: after(18 * Self.minute))
        #expect(kids(ring, .retired).isEmpty && ring.key(old.kid) == nil)
        // By then all of them have expired, and that is what a browser is told, for as long as it has one.
        #expect(try refusal(ring, signedBy: old) == .expired)
        try ring.upkeep(policy, now: after(2 * Self.minute + 7 * Self.day))
        #expect(try refusal(ring, signedBy: old) == .unknownKey && ring.manifest.former.isEmpty)
    }

    @Test("a next key younger than two minutes does not sign, unless it is forced to")
    func young() throws {
        var ring = try ring()
        let before = ring.manifest
        for (age, left) in [(Int64(0), Int64(120)), (119_999, 1), (-5000, 125)] {
            #expect(throws: KeyRingRefusal.nextTooYoung(secondsLeft: left)) {
                try ring.rotate(.command, force: false, policy: policy, now: after(age))
            }
        }
        #expect(ring.manifest == before)
        try ring.rotate(.command, force: true, policy: policy, now: start)
        #expect(ring.signingKey.kid == before.next.kid)
        #expect(throws: KeyRingRefusal.nextTooYoung(secondsLeft: 120)) {
            try ring.rotate(.command, force: false, policy: policy, now: start)
        }
    }

    @Test("by age, and never where the configuration says so")
    func age() throws {
        var ring = try ring()
        let first = ring.signingKey.kid
        try ring.upkeep(policy, now: after(90 * Self.day - 1))
        #expect(ring.signingKey.kid == first)
        var never = policy
        never.keyLifetime = nil
        try ring.upkeep(never, now: after(9000 * Self.day))
        #expect(ring.signingKey.kid == first)
        try ring.upkeep(policy, now: after(90 * Self.day))
        #expect(ring.signingKey.kid != first && ring.manifest.cause == .age)
        // The next one's time begins with its first signature.
        let second = ring.signingKey.kid
        try ring.upkeep(policy, now: after(90 * Self.day + 1))
        #expect(ring.signingKey.kid == second)
    }

    @Test("a key that is taken back verifies nothing, and the next one signs where it was the active one")
    func withdrawal() throws {
        var ring = try ring()
        let (old, next) = (ring.signingKey, ring.manifest.next.kid)
        try ring.withdraw(old.kid, policy: policy, now: start)
        #expect(ring.signingKey.kid == next && kids(ring, .next).count == 1 && kids(ring, .retired).isEmpty)
        #expect(try refusal(ring, signedBy: old) == .revoked && ring.key(old.kid) == nil)
        #expect(throws: KeyRingRefusal.unknownKey) { try ring.withdraw(old.kid, policy: policy, now: start) }
        // A next key as well, and one that is retired.
        let unborn = ring.manifest.next.kid
        try ring.withdraw(unborn, policy: policy, now: start)
        #expect(ring.manifest.next.kid != unborn && ring.signingKey.kid == next)
        let second = ring.signingKey
        try ring.rotate(.command, force: true, policy: policy, now: start)
        let active = ring.signingKey.kid
        try ring.withdraw(second.kid, policy: policy, now: start)
        #expect(ring.signingKey.kid == active && kids(ring, .retired).isEmpty)
        #expect(try refusal(ring, signedBy: second) == .revoked)
    }

    @Test("a key that is taken out of use goes as by rotation")
    func retirement() throws {
        var ring = try ring()
        let old = ring.signingKey
        #expect(throws: KeyRingRefusal.nextTooYoung(secondsLeft: 120)) {
            try ring.retire(old.kid, policy: policy, now: start)
        }
        try ring.retire(old.kid, policy: policy, now: after(2 * Self.minute))
        #expect(try refusal(ring, signedBy: old) == nil && kids(ring, .retired) == [old.kid])
        #expect(throws: KeyRingRefusal.alreadyRetired) {
            try ring.retire(old.kid, policy: policy, now: after(2 * Self.minute))
        }
        #expect(throws: KeyRingRefusal.unknownKey) {
            try ring.retire("nobody", policy: policy, now: start)
        }
        let (active, next) = (ring.signingKey.kid, ring.manifest.next.kid)
        try ring.retire(next, policy: policy, now: start)
        #expect(ring.signingKey.kid == active && ring.manifest.next.kid != next && ring.key(next) == nil)
    }

    @Test("another algorithm: at once where nobody else is there, after two minutes where somebody is")
    func algorithm() throws {
        var other = policy
        other.algorithm = .edDSA
        var alone = try ring()
        let old = alone.signingKey
        try alone.adoptAlgorithm(of: other, isAlone: true, now: start)
        #expect(alone.signingKey.algorithm == .edDSA && alone.manifest.next.algorithm == .edDSA)
        #expect(try refusal(alone, signedBy: old) == nil)

        var shared = try ring()
        try shared.adoptAlgorithm(of: other, isAlone: false, now: start)
        #expect(shared.signingKey.algorithm == .es256 && shared.manifest.next.algorithm == .edDSA)
        try shared.upkeep(other, now: after(2 * Self.minute - 1))
        #expect(shared.signingKey.algorithm == .es256)
        try shared.upkeep(other, now: after(2 * Self.minute))
        #expect(shared.signingKey.algorithm == .edDSA && shared.manifest.cause == .algorithm)
        // What is as it should be stays.
        let settled = shared.manifest
        try shared.adoptAlgorithm(of: other, isAlone: true, now: after(3 * Self.minute))
        #expect(shared.manifest == settled)
    }

    @Test("a lifetime that is made shorter takes nothing from the tokens that are out already")
    func shorterLifetime() throws {
        var ring = try ring()
        let old = ring.signingKey.kid
        var longer = policy
        longer.tokenLifetime = 30 * Self.day
        try ring.upkeep(longer, now: start)
        try ring.upkeep(policy, now: start)
        try ring.rotate(.command, force: true, policy: policy, now: start)
        try ring.upkeep(policy, now: after(30 * Self.day))
        #expect(kids(ring, .retired) == [old])
        try ring.upkeep(policy, now: after(30 * Self.day + Self.minute))
        #expect(kids(ring, .retired).isEmpty)
    }

    @Test("the number of keys has a limit")
    func limit() throws {
        var ring = try ring()
        for _ in 0..<62 { try ring.rotate(.command, force: true, policy: policy, now: start) }
        #expect(throws: KeyRingRefusal.tooManyKeys) {
            try ring.rotate(.command, force: true, policy: policy, now: start)
        }
        try ring.upkeep(policy, now: after(17 * Self.minute))
        #expect(throws: Never.self) { try ring.rotate(.command, force: true, policy: policy, now: start) }
    }

    @Test("secrets sign and verify, and stand in no published set")
    func secrets() throws {
        var secret = policy
        secret.algorithm = .hs256
        var ring = try SigningKeyRing(taking: nil, policy: secret, now: start)
        try ring.rotate(.command, force: true, policy: secret, now: start)
        #expect(try ring.keySet().keys.count == 3 && refusal(ring, signedBy: ring.signingKey) == nil)
        #expect(try String(decoding: ring.keySet().jwksText, as: UTF8.self) == #"{"keys":[]}"#)
    }
}

@Suite struct SigningKeyFilesTests {
    private let start = TokenForge.now
    private let policy = SigningKeyPolicy(
        algorithm: .es256, keyLifetime: nil, tokenLifetime: 900_000, cookieLifetime: 86_400_000)

    /// A directory in memory.
    private struct Folder {
        var files: [String: [UInt8]] = [:]

        mutating func carryOut(_ change: KeyFileChange) {
            switch change {
            case .write(let name, let bytes): files[name] = bytes
            case .remove(let name): files[name] = nil
            }
        }

        /// The ring that a start would find; nil where there is no list yet.
        func ring() throws -> SigningKeyRing? {
            guard let text = files[SigningKeyManifest.fileName] else { return nil }
            let manifest = try #require(SigningKeyManifest(parsing: text))
            let keys = try manifest.records.map { record in
                let file = try #require(files[record.fileName], "\(record.fileName) is missing")
                return try SigningKey(record.algorithm, file: file, kid: record.kid)
            }
            let ring = SigningKeyRing(manifest, keys: keys)
            return try #require(ring as SigningKeyRing?)
        }
    }

    @Test("wherever a crash comes, the directory holds the ring before or the ring behind, whole")
    func crashes() throws {
        var folder = Folder()
        var ring: SigningKeyRing?
        let steps: [(inout SigningKeyRing) throws -> Void] = [
            { _ in }, { try $0.rotate(.command, force: true, policy: policy, now: start) },
            { try $0.withdraw($0.signingKey.kid, policy: policy, now: start) },
            { try $0.retire($0.manifest.next.kid, policy: policy, now: start) },
            { try $0.upkeep(policy, now: start.advanced(byMilliseconds: 1_000_000)) },
            { ring in
                var other = policy
                other.algorithm = .hs512
                try ring.adoptAlgorithm(of: other, isAlone: true, now: start)
            },
        ]
        for step in steps {
            var next = try ring ?? SigningKeyRing(taking: nil, policy: policy, now: start)
            try step(&next)
            let changes = next.changes(from: ring?.manifest)
            #expect(!changes.isEmpty)
            for count in 0...changes.count {
                var crashed = folder
                for change in changes.prefix(count) { crashed.carryOut(change) }
                let found = try crashed.ring()?.manifest
                #expect(found == ring?.manifest || found == next.manifest)
                if count == changes.count { #expect(found == next.manifest) }
            }
            for change in changes { folder.carryOut(change) }
            // Nothing is left lying about, and nothing is missing.
            #expect(folder.files.count == next.manifest.records.count + 1)
            ring = next
        }
        #expect(ring?.changes(from: ring?.manifest) == [])
    }

    @Test("a list survives its text, and prints no key")
    func text() throws {
        var ring = try SigningKeyRing(taking: nil, policy: policy, now: start)
        try ring.rotate(.age, force: true, policy: policy, now: start)
        try ring.withdraw(ring.manifest.next.kid, policy: policy, now: start)
        let read = try #require(SigningKeyManifest(parsing: ring.manifest.text))
        #expect(read == ring.manifest && read.former.count == 1)
        let text = String(decoding: read.text, as: UTF8.self)
        #expect(!text.contains("PRIVATE") && text.contains(read.active.kid))
    }

    @Test("a text that is no list is refused, beside the one that is")
    func malformed() throws {
        let ring = try SigningKeyRing(taking: nil, policy: policy, now: start)
        let good = String(decoding: ring.manifest.text, as: UTF8.self)
        let (active, next) = (ring.manifest.active.kid, ring.manifest.next.kid)
        let bad = [
            "", "[]", "{}", good.replacing("\"version\":1", with: "\"version\":2"),
            good.replacing(active, with: next), good.replacing(active, with: "../../etc/passwd"),
            good.replacing(active, with: "a/b"), good.replacing(active, with: ""),
            good.replacing(active, with: String(repeating: "k", count: 65)),
            good.replacing("\"active\"", with: "\"next\""), good.replacing("\"next\"", with: "\"retired\""),
            good.replacing("ES256", with: "none"), good.replacing("\"start\"", with: "\"whim\""),
            good.replacing("\"token_lifetime\":900000", with: "\"token_lifetime\":-1"),
            String(good.dropLast(3)),
        ]
        #expect(SigningKeyManifest(parsing: Array(good.utf8)) != nil)
        for text in bad {
            #expect(SigningKeyManifest(parsing: Array(text.utf8)) == nil, "\(text.prefix(60))")
        }
    }

    @Test("a list without one of its keys, or with another in its place, is no ring")
    func foreignKeys() throws {
        let ring = try SigningKeyRing(taking: nil, policy: policy, now: start)
        let keys = ring.manifest.records.compactMap { ring.key($0.kid) }
        #expect(SigningKeyRing(ring.manifest, keys: keys) != nil)
        #expect(SigningKeyRing(ring.manifest, keys: [keys[0]]) == nil)
        let other = try SigningKey(.es384, file: SigningKey.generate(.es384).fileText, kid: keys[1].kid)
        #expect(SigningKeyRing(ring.manifest, keys: [keys[0], other]) == nil)
    }
}
