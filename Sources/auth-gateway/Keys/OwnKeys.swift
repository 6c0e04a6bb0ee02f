// The gateway's own keys while it runs: from the state directory, where other processes may change them,
// or from the files that the configuration names. Looked at every ten seconds and at SIGHUP; what is found
// is news, and putting it in force is somebody else's.

import Configuration
import JOSE
import Network
import Primitives
import Sessions

/// What a look at the keys has brought.
struct KeyNews {
    /// Other keys sign or verify.
    var hasSigningChange = false
    /// Other keys make or verify refresh tokens.
    var hasRefreshChange = false
    /// For the audit log: why the active key changed, and to which one; which ones were taken back.
    var rotated: [(cause: String, kid: String)] = []
    var withdrawn: [String] = []
    /// In words, where something cannot be done.
    var problem: String?
}

/// The keys of a running gateway. Owned by: the main queue.
struct OwnKeys {
    typealias Problem = StateDirectory.Problem

    private enum Source {
        case directory(SigningKeyRing, text: [UInt8])
        case files([SigningKey], bytes: [[UInt8]])
    }

    private let directory: KeyDirectory
    private var configuration: AccessTokenConfiguration
    private var policy: SigningKeyPolicy
    private var source: Source
    private(set) var keySet: KeySet
    private var refreshRing: RefreshKeyRing
    /// Those that verify refresh tokens, the one that makes new ones first.
    private(set) var refreshKeys: [RefreshKey]
    /// Keys of files that are no longer named, and of a state directory that is not used.
    private var formerKeys: [FormerKey] = []
    private var lastProblem: String?

    /// Reads the keys; makes what is missing.
    ///
    /// - Parameter isAlone: no other gateway runs on the directory.
    init(
        _ configuration: GatewayConfiguration, _ directory: KeyDirectory, isAlone: Bool, now: WallTime
    ) throws(Problem) {
        self.directory = directory
        self.configuration = configuration.accessToken
        policy = SigningKeyPolicy(configuration)
        let lock = try directory.waitForLock()
        if let text = try directory.refreshText() {
            refreshRing = try directory.refreshRing(text)
        } else {
            refreshRing = RefreshKeyRing(idle: policy.cookieLifetime)
            try directory.store(refreshRing)
        }
        refreshKeys = refreshRing.keys(at: now)
        let opened = try Self.open(
            configuration.accessToken, directory, policy, isAlone: isAlone, now: now)
        (source, formerKeys) = (opened.source, opened.former)
        keySet = try Self.keySet(opened.source, opened.former)
        _ = consume lock
    }

    /// The key that signs new tokens.
    var signingKey: SigningKey {
        switch source {
        case .directory(let ring, _): ring.signingKey
        case .files(let keys, _): keys[0]
        }
    }

    /// The keys of the state directory, which know when they were made; empty where files are named.
    var records: [SigningKeyRecord] {
        if case .directory(let ring, _) = source { ring.manifest.records } else { [] }
    }

    /// Goes over to a new configuration: whole, or not at all. What it brings for the keys of the state
    /// directory, the next look sees to.
    mutating func follow(_ new: GatewayConfiguration, now: WallTime) throws(Problem) {
        let policy = SigningKeyPolicy(new)
        if !new.accessToken.signingKeys.isEmpty || !configuration.signingKeys.isEmpty {
            let lock = try directory.waitForLock()
            let opened = try Self.open(new.accessToken, directory, policy, isAlone: false, now: now)
            _ = consume lock
            formerKeys.removeAll { key in opened.former.contains { $0.kid == key.kid } }
            formerKeys += opened.former
            try replace(opened.source, now)
        }
        self.policy = policy
        configuration = new.accessToken
    }

    /// Notes which keys of the set are not in the new one.
    private mutating func replace(_ new: Source, _ now: WallTime) throws(Problem) {
        let kids = try Set(Self.keySet(new, []).keys.compactMap(\.kid))
        let until = now.advanced(byMilliseconds: policy.cookieLifetime)
        formerKeys.removeAll { kids.contains($0.kid) || $0.until <= now }
        for kid in keySet.keys.compactMap(\.kid) where !kids.contains(kid) {
            if formerKeys.contains(where: { $0.kid == kid }) { continue }
            formerKeys.append(FormerKey(kid: kid, isWithdrawn: true, until: until))
        }
        keySet = try Self.keySet(new, formerKeys)
        source = new
    }

    private static func keySet(_ source: Source, _ former: [FormerKey]) throws(Problem) -> KeySet {
        do throws(JOSEError) {
            switch source {
            case .directory(let ring, _): return try ring.keySet(former: former)
            case .files(let keys, _): return try KeySet(keys: keys.map(\.verificationKey), former: former)
            }
        } catch {
            throw Problem(reason: "the signing keys cannot be used together: \(error)")
        }
    }
}

// MARK: - Looking

extension OwnKeys {
    /// What is wrong with the files of a configuration; nil where nothing is, and where it names none.
    static func problem(in configuration: AccessTokenConfiguration) -> String? {
        do throws(Problem) {
            _ = try keys(configuration.signingKeys, read(configuration.signingKeys))
            return nil
        } catch {
            return error.reason
        }
    }

    /// Takes in what others have changed, and does what is due by time.
    ///
    /// - Parameter adoptsAlgorithm: the configuration has just been read: what it says of new keys holds.
    mutating func look(now: WallTime, adoptsAlgorithm: Bool = false) -> KeyNews {
        var news = KeyNews()
        do throws(Problem) {
            switch source {
            case .directory(let ring, let text):
                try look(ring, text, now, adoptsAlgorithm: adoptsAlgorithm, &news)
            case .files(let keys, let bytes): try look(keys, bytes, now, &news)
            }
            try lookAtRefreshKeys(now, &news)
            lastProblem = nil
        } catch {
            // Said once, and not every ten seconds.
            if lastProblem != error.reason { news.problem = error.reason }
            lastProblem = error.reason
        }
        return news
    }

    private mutating func look(
        _ old: SigningKeyRing, _ oldText: [UInt8], _ now: WallTime, adoptsAlgorithm: Bool,
        _ news: inout KeyNews
    ) throws(Problem) {
        var (ring, text) = (old, oldText)
        if let found = try directory.manifestText(), found != text {
            (ring, text) = (try directory.ring(found, known: ring), found)
        }
        let kept = try Self.changed(ring) { kept throws(KeyRingRefusal) in
            if adoptsAlgorithm { try kept.adoptAlgorithm(of: policy, isAlone: false, now: now) }
            try kept.upkeep(policy, now: now)
        }
        // Where another process is writing, its work is looked at next time, and then this is due again.
        if kept.manifest != ring.manifest, let lock = try directory.lock() {
            if try directory.manifestText() == text {
                try directory.store(kept, replacing: ring.manifest)
                (ring, text) = (kept, kept.manifest.text)
            }
            _ = consume lock
        }
        if text == oldText { return }
        keySet = try Self.keySet(.directory(ring, text: text), formerKeys)
        source = .directory(ring, text: text)
        news.hasSigningChange = true
        news.note(from: old.manifest, to: ring.manifest)
    }

    private mutating func look(
        _ old: [SigningKey], _ known: [[UInt8]], _ now: WallTime, _ news: inout KeyNews
    ) throws(Problem) {
        let files = try Self.read(configuration.signingKeys)
        if files == known { return }
        let keys = try Self.keys(configuration.signingKeys, files)
        try replace(.files(keys, bytes: files), now)
        news.hasSigningChange = true
        let kids = keys.map(\.kid)
        news.withdrawn = old.map(\.kid).filter { !kids.contains($0) }
        if old[0].verificationKey.identity != keys[0].verificationKey.identity {
            news.rotated.append(("files", keys[0].kid))
        }
    }

    private mutating func lookAtRefreshKeys(_ now: WallTime, _ news: inout KeyNews) throws(Problem) {
        var ring = refreshRing
        let text = try directory.refreshText()
        if let text, text != ring.text { ring = try directory.refreshRing(text) }
        var kept = ring
        kept.upkeep(idle: policy.cookieLifetime, now: now)
        if kept.text != ring.text, let lock = try directory.lock() {
            if try directory.refreshText() == text {
                try directory.store(kept)
                ring = kept
            }
            _ = consume lock
        }
        refreshRing = ring
        let keys = ring.keys(at: now)
        if keys.map(\.number) == refreshKeys.map(\.number) { return }
        if keys[0].number != refreshKeys[0].number {
            news.rotated.append((KeyChangeCause.command.rawValue, "refresh-\(keys[0].number)"))
        }
        refreshKeys = keys
        news.hasRefreshChange = true
    }

    /// A ring after a change.
    static func changed(
        _ ring: SigningKeyRing, _ change: (inout SigningKeyRing) throws(KeyRingRefusal) -> Void
    ) throws(Problem) -> SigningKeyRing {
        var ring = ring
        do throws(KeyRingRefusal) {
            try change(&ring)
            return ring
        } catch {
            throw Problem(reason: error.sentence)
        }
    }
}

extension KeyNews {
    fileprivate mutating func note(from old: SigningKeyManifest, to new: SigningKeyManifest) {
        if old.active.kid != new.active.kid { rotated.append((new.cause.rawValue, new.active.kid)) }
        for key in new.former where key.isWithdrawn && !old.former.contains(key) { withdrawn.append(key.kid) }
    }
}

// MARK: - Opening

extension OwnKeys {
    /// The keys as a configuration has them, and those that browsers may still have tokens of. For who has
    /// the lock.
    private static func open(
        _ configuration: AccessTokenConfiguration, _ directory: KeyDirectory, _ policy: SigningKeyPolicy,
        isAlone: Bool, now: WallTime
    ) throws(Problem) -> (source: Source, former: [FormerKey]) {
        if configuration.signingKeys.isEmpty {
            let ring = try ring(of: directory, policy, isAlone: isAlone, now: now)
            return (.directory(ring, text: ring.manifest.text), [])
        }
        let files = try read(configuration.signingKeys)
        let keys = try keys(configuration.signingKeys, files)
        var former: [FormerKey] = []
        if let text = try directory.manifestText(), let list = SigningKeyManifest(parsing: text) {
            let until = now.advanced(byMilliseconds: policy.cookieLifetime)
            former = list.records.map { FormerKey(kid: $0.kid, isWithdrawn: false, until: until) }
            former += list.former
            former.removeAll { key in keys.contains { $0.kid == key.kid } }
        }
        return (.files(keys, bytes: files), former)
    }

    private static func ring(
        of directory: KeyDirectory, _ policy: SigningKeyPolicy, isAlone: Bool, now: WallTime
    ) throws(Problem) -> SigningKeyRing {
        var old: SigningKeyRing?
        if let text = try directory.manifestText() { old = try directory.ring(text, known: nil) }
        let found: SigningKeyRing
        if let old { found = old } else { found = try first(of: directory, policy, now) }
        let ring = try changed(found) { ring throws(KeyRingRefusal) in
            try ring.adoptAlgorithm(of: policy, isAlone: isAlone, now: now)
            try ring.upkeep(policy, now: now)
        }
        try directory.store(ring, replacing: old?.manifest)
        try directory.removeSingleKey(takenInto: ring)
        return ring
    }

    private static func first(
        of directory: KeyDirectory, _ policy: SigningKeyPolicy, _ now: WallTime
    ) throws(Problem) -> SigningKeyRing {
        let single = try directory.singleKey()
        do throws(KeyRingRefusal) {
            return try SigningKeyRing(taking: single, policy: policy, now: now)
        } catch {
            throw Problem(reason: error.sentence)
        }
    }

    private static func read(_ references: [SigningKeyFile]) throws(Problem) -> [[UInt8]] {
        var files: [[UInt8]] = []
        for reference in references {
            guard let file = try StateDirectory.read(reference.file.path) else {
                throw Problem(reason: "\(place(reference)) is not there")
            }
            files.append(file)
        }
        return files
    }

    private static func keys(
        _ references: [SigningKeyFile], _ files: [[UInt8]]
    ) throws(Problem) -> [SigningKey] {
        var keys: [SigningKey] = []
        for (reference, file) in zip(references, files) {
            do throws(JOSEError) {
                guard let algorithm = SignatureAlgorithm(name: reference.algorithm) else {
                    throw .unsupportedKey
                }
                keys.append(try SigningKey(algorithm, file: file, kid: reference.kid))
            } catch {
                throw Problem(reason: "\(place(reference)): \(error.sentence(for: reference.algorithm))")
            }
        }
        if Set(keys.map(\.kid)).count < keys.count {
            throw Problem(reason: "\(place(references[0])): two signing keys have the same name")
        }
        return keys
    }

    private static func place(_ reference: SigningKeyFile) -> String {
        "\(reference.file.place): \(reference.file.path)"
    }
}
