// A refresh service with everything around it in a test's hands: the clock, the store's faults, the shards
// that take revocations in, the audit log, and a verifier for the access tokens that come out.

import Crypto
import Dispatch
import JOSE
import Primitives
import Synchronization
import Testing

@testable import Sessions

/// A clock that stands still until it is moved. A test can also hold whoever reads it.
final class TestClock: Sendable {
    private let time = Mutex(Samples.start)
    private let held = Mutex<(entered: DispatchSemaphore, release: DispatchSemaphore)?>(nil)

    func now() -> WallTime {
        let gate = held.withLock { gate in
            defer { gate = nil }
            return gate
        }
        if let gate {
            gate.entered.signal()
            _ = gate.release.wait(timeout: .now() + ServiceHarness.patience)
        }
        return time.withLock { $0 }
    }

    func advance(_ milliseconds: Int64) {
        time.withLock { $0 = $0.advanced(byMilliseconds: milliseconds) }
    }

    /// The next reader waits; `entered` tells that it does, `release` lets it go.
    func hold() -> (entered: DispatchSemaphore, release: DispatchSemaphore) {
        let gate = (entered: DispatchSemaphore(value: 0), release: DispatchSemaphore(value: 0))
        held.withLock { $0 = gate }
        return gate
    }
}

/// A value that arrives once, from another queue.
final class Reply<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let arrived = DispatchSemaphore(value: 0)

    func give(_ value: Value) {
        self.value.withLock { $0 = value }
        arrived.signal()
    }

    var isHere: Bool { value.withLock { $0 != nil } }

    /// Waits for the value; a test that waits in vain fails.
    func wait() throws -> Value {
        _ = arrived.wait(timeout: .now() + ServiceHarness.patience)
        return try #require(value.withLock { $0 }, "no reply came")
    }
}

/// The service and its surroundings.
final class ServiceHarness: Sendable {
    static let patience: Double = 60
    static let minute: Int64 = 60_000

    let service: RefreshService
    let clock: TestClock
    let faults: Faults
    let feed = RevocationFeed()
    private let path: String?
    private let keys: [RefreshKey]
    private let signingKey: SigningKey
    private let keySet: KeySet
    private let style: TokenStyle
    private let audit: AuditLog
    private let table = Mutex(RevocationTable())
    private let published = Mutex<[Revocation]>([])

    static let policy = SessionPolicy(
        issuer: "https://gateway.test", audience: "api", accessLifetime: 15 * minute, leeway: 30_000,
        idleLifetime: 7 * Samples.day, maxLifetime: 90 * Samples.day, cookieRaceWindow: 30_000,
        bodyRaceWindow: 60_000)

    static func policy(_ style: TokenStyle) -> SessionPolicy {
        var policy = policy
        policy.style = style
        if case .single = style { policy.accessLifetime = 7 * Samples.day }
        return policy
    }

    init(
        _ kind: StoreKind = .memory, path: String? = nil, keys: [RefreshKey] = [RefreshKey(number: 1)],
        policy: SessionPolicy = policy, after old: ServiceHarness? = nil
    ) throws {
        let key = try old?.signingKey ?? SigningKey.generate(.es256)
        clock = old?.clock ?? TestClock()
        faults = old?.faults ?? Faults()
        (self.path, self.keys, signingKey, style) = (path, keys, key, policy.style)
        keySet = try KeySet(keys: [key.verificationKey])
        let base = try path.map { try SQLiteSessionStore(path: $0) } ?? kind.make()
        let store = FaultyStore(base, faults)
        let (clock, log) = (clock, AuditLog())
        service = RefreshService(
            store: store, mint: RefreshTokenMint(keys: keys), signer: try TokenSigner(key: key),
            policy: policy,
            feed: feed, clock: { clock.now() }, audit: { log.append($0) })
        audit = log
        feed.subscribe { [weak self] revocations, until, applied in
            self?.apply(revocations, until: until)
            applied()
        }
    }

    /// The process that follows when this one is killed: it has what was on disk, and nothing else.
    func afterCrash() throws -> ServiceHarness {
        let copy = try Samples.databaseAfterCrash(try #require(path))
        let next = try ServiceHarness(path: copy, keys: keys, after: self)
        // Before anything is served, as at every start; one that fails is tried again.
        while true {
            do throws(StoreError) {
                try next.service.publishRecentRevocations {}
                return next
            } catch {
                continue
            }
        }
    }

    /// Opens the store of its path again, after a release.
    func resume() throws {
        let path = try #require(path)
        try service.resume(refreshKeys: keys, policy: Self.policy) { () throws(StoreError) in
            try SQLiteSessionStore(path: path)
        }
    }

    private func apply(_ revocations: [Revocation], until: WallTime) {
        published.withLock { $0 += revocations }
        table.withLock { table in for one in revocations { table.apply(one, until: until) } }
    }

    /// What has been told to the audit log.
    var events: [AuditEvent] { audit.events }
    var revocations: [Revocation] { published.withLock { $0 } }

    // MARK: - Asking

    func submit(_ order: SessionOrder) -> Reply<SessionReply> {
        let reply = Reply<SessionReply>()
        service.submit(order) { reply.give($0) }
        return reply
    }

    func ask(_ order: SessionOrder) throws -> SessionReply { try submit(order).wait() }

    /// Hands several orders in while the service is held, so that they share one transaction.
    func askTogether(_ orders: [SessionOrder]) throws -> [SessionReply] {
        let gate = clock.hold()
        let first = submit(.find(.random()))
        #expect(gate.entered.wait(timeout: .now() + Self.patience) == .success)
        let replies = orders.map { submit($0) }
        gate.release.signal()
        _ = try first.wait()
        return try replies.map { try $0.wait() }
    }

    func login(_ subject: String = "alice", replacing: SessionID? = nil) throws -> IssuedTokens {
        let new = NewSession(
            subject: subject, claims: Array(#"{"role":"admin"}"#.utf8), client: Samples.client,
            replacing: replacing)
        return try #require(try ask(.begin(new)).tokens)
    }

    func refresh(_ token: String, delivery: Delivery = .body) throws -> SessionReply {
        try ask(Self.refreshing(token, delivery: delivery))
    }

    static func refreshing(_ token: String, delivery: Delivery = .body) -> SessionOrder {
        .refresh(token: Array(token.utf8), delivery: delivery, client: Samples.client)
    }

    func refreshed(_ token: String) throws -> IssuedTokens { try #require(try refresh(token).tokens) }

    func find(_ sid: SessionID) throws -> StoredSession? {
        guard case .sessions(let found) = try ask(.find(sid)) else { return nil }
        return found.first
    }

    /// Reports an access token as seen, and waits until the report has been worked on.
    func noteSeen(_ tokens: IssuedTokens) throws {
        let token = try #require(try verify(tokens))
        service.noteSeen([Sighting(sid: tokens.sid, generation: token.generation)])
        _ = try find(tokens.sid)
    }

    func exchange(
        _ credential: OlderCredential, subject: String = "alice", delivery: Delivery = .body
    ) throws -> SessionReply {
        try ask(Self.exchanging(credential, subject: subject, delivery: delivery))
    }

    static func exchanging(
        _ credential: OlderCredential, subject: String = "alice", delivery: Delivery = .body
    ) -> SessionOrder {
        let new = NewSession(
            subject: subject, claims: Array("{}".utf8), client: Samples.client, replacing: nil)
        return .exchange(new, credential, delivery: delivery)
    }

    // MARK: - What a shard would say

    /// What the verifier reads from an access token; nil when it refuses it.
    func verify(_ tokens: IssuedTokens) throws -> VerifiedToken? {
        var claims = ClaimsPolicy(issuer: "https://gateway.test", audiences: ["api"])
        if case .single(let claim, _) = style { claims.useExpiryClaim = claim }
        return try verify(tokens.accessToken, claims)
    }

    private func verify(_ token: [UInt8], _ claims: ClaimsPolicy) throws -> VerifiedToken? {
        let verifier = try TokenVerifier(keys: keySet, policy: claims)
        guard case .accepted(let token) = verifier.verify(token.span, now: clock.now()) else { return nil }
        return token
    }

    /// What a token that was presented as a refresh token is to the service; nil where a shard refuses it.
    func unwrapped(_ token: String) throws -> String? {
        if style == .opaqueRefresh { return token }
        return try carrier(token)?.claim(TokenStyle.refreshClaim)?.string
    }

    /// The signed token that carries a refresh token, and is good as such.
    func carrier(_ token: String) throws -> VerifiedToken? {
        let isSigned = style == .signedRefresh
        var claims = ClaimsPolicy(
            issuer: "https://gateway.test", audiences: [isSigned ? "https://gateway.test" : "api"])
        if isSigned { claims.types = [TokenStyle.refreshType] }
        return try verify(Array(token.utf8), claims)
    }

    /// Whether an ordinary request with this access token is let in: verified, and not revoked.
    func isLetIn(_ tokens: IssuedTokens) throws -> Bool {
        guard let token = try verify(tokens) else { return false }
        return table.withLock { $0.refusal(of: token) } == nil
    }
}

/// The audit log as a list.
private final class AuditLog: Sendable {
    private let list = Mutex<[AuditEvent]>([])

    func append(_ event: AuditEvent) { list.withLock { $0.append(event) } }
    var events: [AuditEvent] { list.withLock { $0 } }
}

extension IssuedTokens {
    /// What its client presents to refresh.
    var refreshText: String {
        refreshToken.isEmpty ? String(decoding: accessToken, as: UTF8.self) : refreshToken
    }
}

extension SessionReply {
    var tokens: IssuedTokens? { if case .issued(let tokens) = self { tokens } else { nil } }
    var rejection: RefreshRejection? { if case .rejected(let why) = self { why } else { nil } }
    var endedCount: Int? { if case .ended(let count) = self { count } else { nil } }
    var isUnavailable: Bool { if case .unavailable = self { true } else { false } }
    /// Whether nothing has been decided: the client asks again with the same token.
    var isPutOff: Bool { if case .tooOften = rejection { true } else { isUnavailable } }
}
