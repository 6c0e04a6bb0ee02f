// The life of the gateway's own signing keys: what rotation, withdrawal and age make of the list, as a value;
// time is passed in, and files are somebody else's.
//
//     rotate   next → active → retired, and a new next is made
//     withdraw any → gone, and verifies nothing from then on
//     upkeep   retired → gone, when no token that it signed can still be good
//
// Invariant: one key is active and one is next. Whoever writes a ring to disk in the order of `changes`
// leaves, wherever a crash comes between, a list all of whose keys are there.

package import Primitives

/// What the configuration says of signing keys. Durations are milliseconds.
package struct SigningKeyPolicy: Sendable {
    /// What new keys are made for.
    package var algorithm: SignatureAlgorithm
    /// How long a key signs; nil is as long as nobody says otherwise.
    package var keyLifetime: Int64?
    /// How long a token can be good: its lifetime and the leeway.
    package var tokenLifetime: Int64
    /// How long a browser may keep the cookie of a token that has expired.
    package var cookieLifetime: Int64

    package init(
        algorithm: SignatureAlgorithm, keyLifetime: Int64?, tokenLifetime: Int64, cookieLifetime: Int64
    ) {
        self.algorithm = algorithm
        self.keyLifetime = keyLifetime
        self.tokenLifetime = tokenLifetime
        self.cookieLifetime = cookieLifetime
    }
}

/// Why a ring stays as it was.
package enum KeyRingRefusal: Error, Sendable, Equatable {
    /// Other gateways and their clients may not know the next key yet.
    case nextTooYoung(secondsLeft: Int64)
    case unknownKey
    /// It signs nothing any more, and goes by itself.
    case alreadyRetired
    /// So many keys are still good that another would make the published set too large.
    case tooManyKeys
    case unfit(JOSEError)
}

/// A change to the directory of the keys; names are within it.
package enum KeyFileChange: Sendable, Equatable {
    case write(name: String, bytes: [UInt8])
    case remove(name: String)
}

/// The gateway's own signing keys.
package struct SigningKeyRing: Sendable {
    package private(set) var manifest: SigningKeyManifest
    private var keys: [String: SigningKey]

    /// How long a next key is known before it signs: gateways look every 10 s, and clients keep the published
    /// set for a minute.
    package static let readyMilliseconds: Int64 = 120_000
    /// How long another gateway may still sign with a key after it was retired.
    private static let handoverMilliseconds: Int64 = 60_000
    private static let keysMax = 64
    private static let formerMax = 1_000

    /// The first ring of a directory, of a key that is there already or a new one.
    package init(
        taking key: SigningKey?, policy: SigningKeyPolicy, now: WallTime
    ) throws(KeyRingRefusal) {
        manifest = SigningKeyManifest(records: [], former: [], cause: .start)
        keys = [:]
        let first: SigningKey
        if let key { first = key } else { first = try Self.make(policy.algorithm) }
        add(first, .active, policy, now)
        add(try Self.make(policy.algorithm), .next, policy, now)
    }

    /// The ring of a list and the keys of its files; nil when one is missing or is not what the list says.
    package init?(_ manifest: SigningKeyManifest, keys: [SigningKey]) {
        self.manifest = manifest
        self.keys = Dictionary(keys.map { ($0.kid, $0) }) { first, _ in first }
        for record in manifest.records where self.keys[record.kid]?.algorithm != record.algorithm {
            return nil
        }
    }

    /// The key that signs.
    package var signingKey: SigningKey {
        guard let key = keys[manifest.active.kid] else {
            preconditionFailure("a ring has the keys of its list")
        }
        return key
    }

    /// A key of the list.
    package func key(_ kid: String) -> SigningKey? { keys[kid] }

    /// What verifies, the signing key's counterpart first.
    ///
    /// - Parameter former: keys from elsewhere that verify nothing any more.
    package func keySet(former: [FormerKey] = []) throws(JOSEError) -> KeySet {
        let records =
            [manifest.active, manifest.next] + manifest.records.filter { $0.state == .retired }
        return try KeySet(
            keys: records.compactMap { keys[$0.kid]?.verificationKey }, former: manifest.former + former)
    }
}

// MARK: - What happens to keys

extension SigningKeyRing {
    /// Has the next key sign.
    ///
    /// - Parameter force: also when it has been published so lately that somebody may not know it.
    package mutating func rotate(
        _ cause: KeyChangeCause, force: Bool, policy: SigningKeyPolicy, now: WallTime
    ) throws(KeyRingRefusal) {
        if !force { try checkNext(now) }
        if manifest.records.count >= Self.keysMax { throw .tooManyKeys }
        // Made first: whatever fails leaves the ring as it was.
        let made = try Self.make(policy.algorithm)
        let old = manifest.active.kid
        update(old) { record in
            record.state = .retired
            record.since = now
            let life = max(record.tokenMilliseconds, policy.tokenLifetime) + Self.handoverMilliseconds
            record.goodUntil = now.advanced(byMilliseconds: life)
        }
        activateNext(cause, now)
        add(made, .next, policy, now)
    }

    /// Takes a key out of use: what it has signed stays good until it expires.
    package mutating func retire(
        _ kid: String, policy: SigningKeyPolicy, now: WallTime
    ) throws(KeyRingRefusal) {
        switch manifest.records.first(where: { $0.kid == kid })?.state {
        case nil: throw .unknownKey
        case .retired: throw .alreadyRetired
        case .active: try rotate(.command, force: false, policy: policy, now: now)
        case .next: try replaceNext(policy, now)
        }
    }

    /// Takes a key back that somebody else may have: it verifies nothing any more.
    package mutating func withdraw(
        _ kid: String, policy: SigningKeyPolicy, now: WallTime
    ) throws(KeyRingRefusal) {
        guard let record = manifest.records.first(where: { $0.kid == kid }) else { throw .unknownKey }
        let made = record.state == .retired ? nil : try Self.make(policy.algorithm)
        drop(record, isWithdrawn: true, until: now.advanced(byMilliseconds: policy.cookieLifetime))
        if record.state == .active { activateNext(.command, now) }
        if let made { add(made, .next, policy, now) }
    }

    /// Prepares for an algorithm that the configuration has changed to.
    ///
    /// - Parameter isAlone: nobody else could be using the ring, so that nobody has to learn of a key first.
    package mutating func adoptAlgorithm(
        of policy: SigningKeyPolicy, isAlone: Bool, now: WallTime
    ) throws(KeyRingRefusal) {
        if manifest.next.algorithm != policy.algorithm { try replaceNext(policy, now) }
        if isAlone && manifest.active.algorithm != policy.algorithm {
            try rotate(.algorithm, force: true, policy: policy, now: now)
        }
    }

    /// What time brings: rotation by age, or to the algorithm of the next key; keys whose tokens have all
    /// expired go.
    package mutating func upkeep(_ policy: SigningKeyPolicy, now: WallTime) throws(KeyRingRefusal) {
        for index in manifest.records.indices where manifest.records[index].state != .retired {
            // The longest there has been: a shorter lifetime shortens no token that is out already.
            let known = manifest.records[index].tokenMilliseconds
            manifest.records[index].tokenMilliseconds = max(known, policy.tokenLifetime)
        }
        for record in manifest.records {
            guard let end = record.goodUntil, end <= now else { continue }
            drop(
                record, isWithdrawn: false,
                until: record.since.advanced(byMilliseconds: policy.cookieLifetime))
        }
        manifest.former.removeAll { $0.until <= now }
        let (active, next) = (manifest.active, manifest.next)
        let isOld = policy.keyLifetime.map { now.milliseconds - active.since.milliseconds >= $0 } ?? false
        let isSuperseded = active.algorithm != policy.algorithm && next.algorithm == policy.algorithm
        guard isOld || isSuperseded, now.milliseconds - next.created.milliseconds >= Self.readyMilliseconds
        else { return }
        try rotate(isOld ? .age : .algorithm, force: false, policy: policy, now: now)
    }

    /// The changes to a directory that holds `old`, in their order: keys before the list that names them, and
    /// what it no longer names last.
    package func changes(from old: SigningKeyManifest?) -> [KeyFileChange] {
        let known = old?.records ?? []
        var changes: [KeyFileChange] = []
        for record in manifest.records where !known.contains(where: { $0.kid == record.kid }) {
            guard let key = keys[record.kid] else { continue }
            changes.append(.write(name: record.fileName, bytes: key.fileText))
        }
        if manifest != old {
            changes.append(.write(name: SigningKeyManifest.fileName, bytes: manifest.text))
        }
        for record in known where !manifest.records.contains(where: { $0.kid == record.kid }) {
            changes.append(.remove(name: record.fileName))
        }
        return changes
    }
}

// MARK: - Records

extension SigningKeyRing {
    private func checkNext(_ now: WallTime) throws(KeyRingRefusal) {
        let left = Self.readyMilliseconds - (now.milliseconds - manifest.next.created.milliseconds)
        if left > 0 { throw .nextTooYoung(secondsLeft: (left + 999) / 1000) }
    }

    private mutating func replaceNext(_ policy: SigningKeyPolicy, _ now: WallTime) throws(KeyRingRefusal) {
        let made = try Self.make(policy.algorithm)
        // It has signed nothing, so nothing has to be said about its tokens.
        let old = manifest.next.kid
        manifest.records.removeAll { $0.kid == old }
        keys[old] = nil
        add(made, .next, policy, now)
    }

    private mutating func activateNext(_ cause: KeyChangeCause, _ now: WallTime) {
        update(manifest.next.kid) { record in
            record.state = .active
            record.since = now
        }
        manifest.cause = cause
    }

    private mutating func update(_ kid: String, _ change: (inout SigningKeyRecord) -> Void) {
        guard let index = manifest.records.firstIndex(where: { $0.kid == kid }) else { return }
        change(&manifest.records[index])
    }

    private mutating func add(
        _ key: SigningKey, _ state: SigningKeyRecord.State, _ policy: SigningKeyPolicy, _ now: WallTime
    ) {
        keys[key.kid] = key
        manifest.records.append(
            SigningKeyRecord(
                kid: key.kid, algorithm: key.algorithm, state: state, created: now, since: now,
                tokenMilliseconds: policy.tokenLifetime, goodUntil: nil))
    }

    private mutating func drop(_ record: SigningKeyRecord, isWithdrawn: Bool, until: WallTime) {
        manifest.records.removeAll { $0.kid == record.kid }
        keys[record.kid] = nil
        manifest.former.append(FormerKey(kid: record.kid, isWithdrawn: isWithdrawn, until: until))
        if manifest.former.count > Self.formerMax { manifest.former.removeFirst() }
    }

    private static func make(_ algorithm: SignatureAlgorithm) throws(KeyRingRefusal) -> SigningKey {
        do throws(JOSEError) {
            return try SigningKey.generate(algorithm)
        } catch {
            throw .unfit(error)
        }
    }
}
