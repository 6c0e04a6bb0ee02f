// From bytes that claim to be an access token to a verdict: the cache by digest, the verifier on a miss, and
// on hit and miss alike time and revocation. No I/O and no lock.
//
// Owned by: one shard.

import Crypto
import JOSE
import Observability
import Primitives
import Sessions

/// Checks access tokens for one shard.
package final class Gatekeeper {
    private let hasher = SHA256Hasher()
    private let cache: VerifiedTokenCache
    private var issuers: TrustedIssuers
    /// Believes expired tokens of ours: to learn whose session a client held, never to let it in.
    private var identifier: TokenVerifier
    /// For tokens that carry a refresh token.
    private var unwrappers: [TokenVerifier]
    private var sessionLifetimeSeconds: Int64
    /// Tells verdicts that were reached by other keys or another configuration from today's.
    private var generation: UInt32 = 0
    private var revocations = RevocationTable()
    /// Keys of ours that were taken back: for streams that were opened with a token of one.
    private var withdrawnKeys: Set<KeyIdentity> = []
    /// When the newest of them was made.
    private var newestRevocation: WallTime?
    private var sightings: [Sighting] = []
    private var memoHits: UInt64 = 0
    private var accepted: UInt64 = 0
    /// Those of the batch of events.
    private var refused: [TokenRejection] = []

    /// - Parameter issuers: the gateway itself first.
    init(_ issuers: [TrustedIssuer], sessionLifetimeSeconds: Int64) throws(JOSEError) {
        cache = VerifiedTokenCache(bytesMax: Self.cacheBytesMax)
        self.issuers = try TrustedIssuers(issuers)
        self.sessionLifetimeSeconds = sessionLifetimeSeconds
        identifier = try Self.identifier(issuers[0], sessionLifetimeSeconds)
        unwrappers = try Self.unwrappers(issuers[0])
    }

    /// Changes over to a new configuration: nothing that was verified by the old one is believed any more.
    func change(_ issuers: [TrustedIssuer], sessionLifetimeSeconds: Int64) throws(JOSEError) {
        let trusted = try TrustedIssuers(issuers)
        identifier = try Self.identifier(issuers[0], sessionLifetimeSeconds)
        unwrappers = try Self.unwrappers(issuers[0])
        self.issuers = trusted
        self.sessionLifetimeSeconds = sessionLifetimeSeconds
        generation &+= 1
        cache.removeAll()
    }

    /// Takes an issuer's new keys into use. What the old ones let in is believed as long as its own key is
    /// among the new.
    func change(keys: KeySet, ofIssuer index: Int) throws(JOSEError) {
        if index == 0 { withdrawnKeys.formUnion(keys.withdrawn(since: issuers.own.keys)) }
        try issuers.change(keys: keys, ofIssuer: index)
        if index == 0 {
            identifier = try Self.identifier(issuers.own, sessionLifetimeSeconds)
            unwrappers = try Self.unwrappers(issuers.own)
        }
        generation &+= 1
        cache.removeAll { !issuers.hasKey(of: $0) }
    }

    /// Both kinds of signed token that carry a refresh token, whichever is made at present: who has one of
    /// the other kind has it from before a change of the configuration.
    private static func unwrappers(_ own: TrustedIssuer) throws(JOSEError) -> [TokenVerifier] {
        var single = own.policy
        single.useExpiryClaim = nil
        single.twofoldClaim = nil
        single.useSecondsMax = nil
        var refresh = single
        refresh.types = [TokenStyle.refreshType]
        refresh.audiences = [refresh.issuer]
        return [
            try TokenVerifier(keys: own.keys, policy: refresh),
            try TokenVerifier(keys: own.keys, policy: single),
        ]
    }

    private static func identifier(
        _ own: TrustedIssuer, _ sessionLifetimeSeconds: Int64
    ) throws(JOSEError) -> TokenVerifier {
        var policy = own.policy
        policy.leewaySeconds += sessionLifetimeSeconds
        return try TokenVerifier(keys: own.keys, policy: policy)
    }

    /// Whether a token lets its bearer in at `now`.
    ///
    /// - Parameter memo: what the same connection presented last. A client presents the same token again and
    ///   again, and comparing the bytes is cheaper than digesting them (15 against 500 ns).
    func check(_ token: Span<UInt8>, memo: inout TokenMemo, now: WallTime) -> TokenVerdict {
        if let known = memo.token, memo.generation == generation, token.equals(memo.bytes.span) {
            memoHits &+= 1
            return judge(known, now)
        }
        let digest = hasher.digest(token)
        if let known = cache.lookup(digest) {
            memo = TokenMemo(bytes: [UInt8](copying: token), token: known, generation: generation)
            return judge(known, now)
        }
        let verdict = issuers.verify(token, now: now)
        guard case .accepted(let verified) = verdict else {
            if case .refused(let rejection) = verdict { refused.append(rejection) }
            return verdict
        }
        if let refusal = revocation(of: verified) { return refuse(refusal) }
        cache.insert(verified, digest: digest, tokenBytes: token.count)
        memo = TokenMemo(bytes: [UInt8](copying: token), token: verified, generation: generation)
        if let sid = verified.sessionID {
            sightings.append(Sighting(sid: sid, generation: verified.generation))
        }
        accepted &+= 1
        return .accepted(verified)
    }

    /// Whether a token says that it is one of ours, whether or not it is good.
    func claimsToBeOurs(_ token: Span<UInt8>) -> Bool { issuers.claimsToBeOwn(token) }

    /// The verdict on a token that nobody has presented: it leaves no trace.
    func inspect(_ token: Span<UInt8>, now: WallTime) -> TokenVerdict {
        let verdict = issuers.verify(token, now: now)
        guard case .accepted(let verified) = verdict else { return verdict }
        return revocation(of: verified).map { .refused($0) } ?? verdict
    }

    /// What is checked on every request, however often the token was seen: time and revocation.
    private func judge(_ known: VerifiedToken, _ now: WallTime) -> TokenVerdict {
        if let refusal = known.refusal(now: now) ?? revocation(of: known) { return refuse(refusal) }
        accepted &+= 1
        return .accepted(known)
    }

    private func refuse(_ rejection: TokenRejection) -> TokenVerdict {
        refused.append(rejection)
        return .refused(rejection)
    }

    /// What a token has been taken back by. Another issuer's subjects are not ours, whatever their names.
    private func revocation(of token: VerifiedToken) -> TokenRejection? {
        if !token.isOurs { return nil }
        return withdrawnKeys.contains(token.key) ? .revoked : revocations.refusal(of: token)
    }

    /// The session that a token of ours belongs to, also when the token has expired.
    func session(of token: Span<UInt8>, now: WallTime) -> SessionID? {
        guard case .accepted(let verified) = identifier.verify(token, now: now) else { return nil }
        return verified.sessionID
    }

    /// The opaque refresh token that a signed one of ours carries: one that is nothing else, or a single
    /// token that lets requests in as well. What becomes of it is the refresh service's to say.
    func refreshToken(in token: Span<UInt8>, now: WallTime) -> [UInt8]? {
        for verifier in unwrappers {
            guard case .accepted(let verified) = verifier.verify(token, now: now),
                let text = verified.claim(TokenStyle.refreshClaim)?.string
            else { continue }
            return Array(text.utf8)
        }
        return nil
    }

    /// Whether a token that was let in once has been revoked since.
    func isRevoked(_ token: VerifiedToken) -> Bool { revocation(of: token) != nil }

    /// Takes revocations in; in force from the next request on.
    func apply(_ list: [Revocation], until: WallTime, heldUntil: MonotonicInstant) {
        for revocation in list {
            revocations.apply(revocation, until: until, heldUntil: heldUntil)
            newestRevocation = max(newestRevocation ?? revocation.at, revocation.at)
        }
    }

    /// First sights since the last call: tokens that a client has demonstrably received.
    func takeSightings() -> [Sighting] {
        if sightings.isEmpty { return [] }
        let taken = sightings
        sightings.removeAll(keepingCapacity: true)
        return taken
    }

    /// Has others see how the cache fares.
    func publish(to metrics: ShardMetrics) {
        metrics.memoHits.set(memoHits)
        metrics.tokensAccepted.set(accepted)
        if !refused.isEmpty {
            for rejection in refused { metrics.refused(rejection) }
            refused.removeAll(keepingCapacity: true)
        }
        metrics.cacheHits.set(cache.hits)
        metrics.cacheMisses.set(cache.misses)
        metrics.cacheTokens.set(UInt64(cache.count))
        metrics.cacheBytes.set(UInt64(cache.bytes))
        metrics.revocations.set(UInt64(revocations.count))
        metrics.newestRevocation.set(UInt64(max(0, newestRevocation?.milliseconds ?? 0)))
    }

    /// Forgets revocations that no token can meet any more.
    func sweep(_ now: WallTime, _ instant: MonotonicInstant) { revocations.sweep(now, instant) }

    /// Per shard: some 20,000 tokens of common size.
    static let cacheBytesMax = 32 * 1024 * 1024
}

/// The token that a connection presented last, in its exact bytes, and what it was verified to say.
struct TokenMemo {
    var bytes: [UInt8] = []
    var token: VerifiedToken?
    /// The gatekeeper's, when it was verified.
    var generation: UInt32 = 0
}
