// A foreign issuer as it is in force: its rules, and its keys as they are known now, from files and from the
// network.
//
// Has a lock: files are read on the main queue, keys from the network arrive on the first shard, and every
// shard takes a copy when it is told of a change. What is known is replaced by what is known better, and
// never by nothing: a provider that is down takes no key back.

package import Configuration
import JOSE
import Network
import Primitives
import Synchronization
import TLS

/// One issuer of the configuration.
package final class IssuerTarget: Sendable {
    /// What the last fetch that a token had asked for came to, and when it ended.
    struct Attempt: Equatable {
        let hasSucceeded: Bool
        let at: MonotonicInstant
    }

    private struct State: ~Copyable {
        var fixed: [JSONWebKey]
        var fetched: [JSONWebKey] = []
        var keys: KeySet
        var version: UInt64 = 0
        var attempt: Attempt?
        var fetches = Fetches()
    }

    /// How the fetches of its keys went.
    struct Fetches {
        var successes: UInt64 = 0
        var failures: UInt64 = 0
        var lastSuccess: MonotonicInstant?
    }

    let configuration: IssuerConfiguration
    let policy: ClaimsPolicy
    private let state: Mutex<State>

    /// - Parameter previous: the same issuer in the configuration before: keys that were fetched are kept,
    ///   where they would be fetched from the same place.
    /// - Throws: which file or key cannot be used.
    init(
        _ configuration: IssuerConfiguration, tokenBytesMax: Int, previous: IssuerTarget? = nil
    ) throws(RuntimeError) {
        self.configuration = configuration
        policy = ClaimsPolicy(configuration, tokenBytesMax: tokenBytesMax)
        let fixed = try FixedKeys.read(configuration)
        var first = State(fixed: fixed, keys: try Self.merge(fixed, [], configuration))
        if let previous, previous.configuration.keys.remote == configuration.keys.remote {
            (first.fetched, first.attempt, first.fetches) = previous.state.withLock {
                ($0.fetched, $0.attempt, $0.fetches)
            }
            first.keys = try Self.merge(fixed, first.fetched, configuration)
        }
        state = Mutex(first)
    }

    /// What is wrong with the files and keys of a configuration's issuers; nil when nothing is.
    package static func problem(of configuration: GatewayConfiguration) -> String? {
        do throws(RuntimeError) {
            for issuer in configuration.issuers {
                _ = try IssuerTarget(issuer, tokenBytesMax: configuration.limits.accessTokenBytes)
            }
            return nil
        } catch {
            return error.reason
        }
    }

    /// Whether keys may be fetched for it.
    var isRemote: Bool { configuration.keys.remote != nil }

    /// The keys in force, and how often they have changed.
    var keys: (set: KeySet, version: UInt64) { state.withLock { ($0.keys, $0.version) } }

    /// When the last fetch ended that a token with an unknown key had asked for, and how; nil before the
    /// first. Fetches on schedule do not count: they come when they come, and say nothing of a key that is
    /// newer.
    var lastAttempt: Attempt? { state.withLock { $0.attempt } }

    /// Takes in what a fetch has brought; nil is a failure, which changes no key.
    ///
    /// - Parameter wasWanted: whether a token had asked for it.
    /// - Returns: whether the keys are others now.
    /// - Throws: why the new keys cannot stand beside those of the files; then the old ones stay.
    func take(
        fetched keys: [JSONWebKey]?, wasWanted: Bool, at now: MonotonicInstant
    ) throws(RuntimeError) -> Bool {
        try state.withLock { (state) throws(RuntimeError) in
            if keys == nil {
                state.fetches.failures += 1
            } else {
                state.fetches.successes += 1
                state.fetches.lastSuccess = now
            }
            if wasWanted {
                state.attempt = Attempt(hasSucceeded: keys != nil, at: now)
            } else if keys != nil, let known = state.attempt {
                state.attempt = Attempt(hasSucceeded: true, at: known.at)
            }
            guard let keys, keys.map(\.identity) != state.fetched.map(\.identity) else { return false }
            state.keys = try Self.merge(state.fixed, keys, configuration)
            state.fetched = keys
            state.version += 1
            return true
        }
    }

    /// How the fetches of its keys went, since the start or since another place was configured for them.
    var fetches: Fetches { state.withLock { $0.fetches } }

    /// Reads the files again.
    ///
    /// - Returns: whether the keys are others now.
    /// - Throws: which of them cannot be used; then the old keys stay.
    package func readFilesAgain() throws(RuntimeError) -> Bool {
        let fixed = try FixedKeys.read(configuration)
        return try state.withLock { (state) throws(RuntimeError) in
            if fixed.map(\.identity) == state.fixed.map(\.identity) { return false }
            state.keys = try Self.merge(fixed, state.fetched, configuration)
            state.fixed = fixed
            state.version += 1
            return true
        }
    }

    /// A name that both sources have is the file's: whoever wrote it there meant it.
    private static func merge(
        _ fixed: [JSONWebKey], _ fetched: [JSONWebKey], _ configuration: IssuerConfiguration
    ) throws(RuntimeError) -> KeySet {
        let names = Set(fixed.compactMap { $0.kid.map { Array($0.utf8) } })
        do throws(JOSEError) {
            return try KeySet(
                keys: fixed
                    + fetched.filter { key in !(key.kid.map { names.contains(Array($0.utf8)) } ?? false) })
        } catch {
            throw RuntimeError(
                reason:
                    "\(configuration.place): issuer \(configuration.issuer): two of its keys have one name, "
                    + "or two without a name are of one algorithm")
        }
    }
}

extension ClaimsPolicy {
    /// What an `issuer` block asks of tokens.
    init(_ configuration: IssuerConfiguration, tokenBytesMax: Int) {
        self.init(issuer: configuration.issuer, audiences: configuration.audiences)
        takesAnyAudience = configuration.audiences.isEmpty
        leewaySeconds = configuration.leewayMilliseconds / 1000
        self.tokenBytesMax = tokenBytesMax
        types =
            configuration.types.isEmpty
            ? ["", "jwt", "at+jwt"] : configuration.types.map { $0 == "none" ? "" : $0 }
        hasSessionClaims = false
        algorithms = configuration.algorithms.compactMap { SignatureAlgorithm(name: $0) }
        subjectPath = configuration.subjectClaim.parts
        scopePath = configuration.scopeClaim.parts
        audienceClaim = configuration.audienceClaim
        requirements = configuration.requirements.map { Requirement(path: $0.claim.parts, values: $0.values) }
        lifetimeSecondsMax = configuration.lifetimeMaxMilliseconds.map { $0 / 1000 }
    }
}
