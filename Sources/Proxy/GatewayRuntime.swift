// What every shard works with and nobody changes: the configuration in the form that requests need it, and
// the doors to the services on other queues. A reload makes a new one and swaps it whole.

package import Configuration
import HTTP
package import JOSE
import Network
package import Observability
import Primitives
package import Sessions

/// Everything immutable that the shards share.
package final class GatewayRuntime: Sendable {
    let configuration: GatewayConfiguration
    /// What requests are judged by.
    let policy: RequestPolicy
    let upstreams: [UpstreamTarget]
    /// What our own tokens are verified with.
    let publishedKeys: PublishedKeys
    let metadata: IssuerMetadata
    let trustedProxies: TrustedProxies
    /// Whether a listener speaks TLS: then a plain one is plain to the client as well.
    let hasTLS: Bool
    /// The line of RFC 6797 that answers over TLS carry; empty for none.
    let strictTransportLine: [UInt8]
    /// Where plain HTTP leads to, on listeners that do nothing else.
    let redirect: HTTPSRedirect
    /// How often one client may call the refresh endpoints; nil is as often as it likes.
    let refreshRate: RateLimiter?
    /// What there is room for in each token.
    let claimsRoom: ClaimsRoom
    /// What our own tokens must say.
    let claimsPolicy: ClaimsPolicy
    /// Who else's are believed.
    package let issuers: [IssuerTarget]
    /// What else is exchanged for a session.
    let exchanges: [ExchangeTarget]
    let sessions: RefreshService
    let services: GatewayServices

    /// - Parameter previous: what this one takes the place of: the addresses of its servers are known.
    /// - Throws: the name of an upstream whose address cannot be used.
    package init(
        configuration: GatewayConfiguration, keys: KeySet, sessions: RefreshService,
        services: GatewayServices, previous: GatewayRuntime? = nil
    ) throws(RuntimeError) {
        self.configuration = configuration
        publishedKeys = PublishedKeys(keys)
        trustedProxies = TrustedProxies(ranges: configuration.trustedProxies)
        hasTLS = configuration.listeners.contains { $0.security == .tls }
        strictTransportLine = Self.strictTransportLine(configuration)
        redirect = HTTPSRedirect(configuration)
        refreshRate = configuration.refreshToken.rate.map(RateLimiter.init)
        claimsRoom = ClaimsRoom(
            configuration.accessToken, signatureOverhead: keys.signatureOverhead)
        self.sessions = sessions
        self.services = services
        policy = RequestPolicy(configuration, tokenHeads: publishedKeys.tokenHeads)
        var targets: [UpstreamTarget] = []
        for upstream in configuration.upstreams {
            let known = previous?.upstreams.first { $0.configuration.name == upstream.name }
            targets.append(
                try UpstreamTarget(upstream, index: targets.count, previous: known?.directory))
        }
        upstreams = targets
        metadata = IssuerMetadata(configuration, refreshPath: policy.refreshPath)
        claimsPolicy = ClaimsPolicy(ofOwnTokens: configuration)
        var issuers: [IssuerTarget] = []
        for issuer in configuration.issuers {
            let known = previous?.issuers.first { $0.configuration.issuer == issuer.issuer }
            issuers.append(
                try IssuerTarget(
                    issuer, tokenBytesMax: configuration.limits.accessTokenBytes, previous: known))
        }
        self.issuers = issuers
        var exchanges: [ExchangeTarget] = []
        for exchange in configuration.refreshToken.exchanges {
            exchanges.append(
                try ExchangeTarget(exchange, tokenBytesMax: configuration.limits.accessTokenBytes))
        }
        self.exchanges = exchanges
    }

    /// The same with other keys of our own, and all else as it is.
    package init(_ other: GatewayRuntime, keys: KeySet) {
        configuration = other.configuration
        upstreams = other.upstreams
        publishedKeys = PublishedKeys(keys)
        policy = RequestPolicy(other.policy, tokenHeads: publishedKeys.tokenHeads)
        metadata = other.metadata
        trustedProxies = other.trustedProxies
        hasTLS = other.hasTLS
        strictTransportLine = other.strictTransportLine
        redirect = other.redirect
        refreshRate = other.refreshRate
        claimsRoom = ClaimsRoom(
            other.configuration.accessToken, signatureOverhead: keys.signatureOverhead)
        claimsPolicy = other.claimsPolicy
        issuers = other.issuers
        exchanges = other.exchanges
        sessions = other.sessions
        services = other.services
    }
}

extension KeySet {
    /// What the longest signature and key name take more than those of an ES256 key that the gateway makes;
    /// they are spelled in base64url as the claims are, and so are bytes of the same kind.
    fileprivate var signatureOverhead: Int {
        let names = keys.map { $0.kid?.utf8.count ?? 0 }
        return max(0, (keys.map(\.signatureBytes).max() ?? 0) - 64) + max(0, (names.max() ?? 0) - 43)
    }
}

extension ClaimsPolicy {
    /// What our own access tokens must say.
    init(ofOwnTokens configuration: GatewayConfiguration) {
        let token = configuration.accessToken
        self.init(issuer: token.issuer, audiences: [token.audience])
        leewaySeconds = token.leewayMilliseconds / 1000
        tokenBytesMax = configuration.limits.accessTokenBytes
        useExpiryClaim = token.useExpiry?.claim
        twofoldClaim = TokenStyle.refreshClaim
        useSecondsMax = (token.useExpiry?.lifetimeMilliseconds ?? token.lifetimeMilliseconds) / 1000
    }
}

extension GatewayRuntime {
    var messageLimits: MessageLimits { policy.messageLimits }
    var cookieNames: CookieNames { policy.cookieNames }
    var refreshPath: [UInt8] { policy.refreshPath }

    /// Never for a machine's own name: the policy would hold for every port of it.
    private static func strictTransportLine(_ configuration: GatewayConfiguration) -> [UInt8] {
        guard let policy = configuration.tls?.hsts,
            !["localhost", "127.0.0.1", "[::1]"].contains(configuration.publicURL.host)
        else { return [] }
        let subdomains = policy.includesSubdomains ? "; includeSubDomains" : ""
        let preload = policy.isPreloaded ? "; preload" : ""
        return Array(
            "Strict-Transport-Security: max-age=\(policy.maxAgeSeconds)\(subdomains)\(preload)\r\n".utf8)
    }

    /// Whose tokens are believed, by the keys of this moment: the gateway itself first. Beside them how often
    /// each foreign one's keys have changed.
    func trustedIssuers() -> (issuers: [TrustedIssuer], versions: [UInt64]) {
        var trusted = [TrustedIssuer(policy: claimsPolicy, keys: publishedKeys.set)]
        var versions: [UInt64] = []
        for issuer in issuers {
            let (keys, version) = issuer.keys
            trusted.append(TrustedIssuer(policy: issuer.policy, keys: keys, isRemote: issuer.isRemote))
            versions.append(version)
        }
        return (trusted, versions)
    }

    /// How the access log is written.
    var accessFormat: AccessLog.Format { configuration.logs.accessFormat == .json ? .json : .combined }

    /// Whether a peer's word about its clients is believed.
    func trusts(_ peer: SocketAddress) -> Bool {
        peer.family == .unix ? configuration.trustsUnixPeers : trustedProxies.contains(peer)
    }

    /// The route of a target that a request came from: a path with its query, on the same host as
    /// `connection`.
    func route(ofTarget target: [UInt8], _ connection: DownstreamConnection) -> Route? {
        guard let path = policy.normalPath(of: target) else { return nil }
        return connection.head.block.withBytes { bytes in
            policy.routes.route(
                path: path.span, authority: bytes.extracting(connection.head.authority.offsets))
        }
    }
}

/// The doors to what runs on other queues.
package struct GatewayServices: Sendable {
    /// nil for none; a reload may change it.
    package var accessLog: LogOutlet?
    package let audit: AuditLog
    package let log: ServiceLog
    /// What each of the logs has lost since the process began.
    package let logLosses: [LogLoss]
    package let census: ConnectionCensus
    package let status: GatewayStatus
    let metrics = GatewayMetrics()
    /// What the gateway is called among several.
    let hostName = NameResolver.ownName

    package init(
        accessLog: LogOutlet?, audit: AuditLog, log: ServiceLog, logLosses: [LogLoss],
        census: ConnectionCensus, status: GatewayStatus
    ) {
        self.logLosses = logLosses
        self.accessLog = accessLog
        self.audit = audit
        self.log = log
        self.census = census
        self.status = status
    }
}

/// A configuration that is well-formed and cannot be run here.
package struct RuntimeError: Error, Sendable {
    package let reason: String

    package init(reason: String) { self.reason = reason }

    /// What is wrong with a path that is no address.
    static let pathProblem = "the path of a socket has 1 to \(SocketAddress.pathBytesMax) bytes"
}

/// Where an upstream's requests go.
package final class UpstreamTarget: Sendable {
    let configuration: UpstreamConfiguration
    /// Its place in the configuration.
    let index: Int
    let directory: ServerDirectory
    let waiting = WaitingCount()
    /// The upstream as the log names it.
    let label: [UInt8]

    init(
        _ configuration: UpstreamConfiguration, index: Int, previous: ServerDirectory? = nil
    ) throws(RuntimeError) {
        self.configuration = configuration
        self.index = index
        directory = try ServerDirectory(configuration, previous: previous)
        label = Array(configuration.name.utf8)
    }

    /// A server as messages name it.
    func text(of server: UpstreamServer) -> String {
        "server \(server.text) of upstream \(configuration.name)"
    }
}
