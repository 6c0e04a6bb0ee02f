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
    let routes: RouteTable
    let upstreams: [UpstreamTarget]
    let messageLimits: MessageLimits
    let cookieNames: CookieNames
    /// The origin of the gateway as browsers write it.
    let publicOrigin: [UInt8]
    /// Folded names of configured identity headers: never forwarded on a client's word.
    let identityNames: [[UInt8]]
    /// The refresh path without a final slash.
    let refreshPath: [UInt8]
    /// What our own tokens are verified with.
    let publishedKeys: PublishedKeys
    let metadata: IssuerMetadata
    let trustedProxies: TrustedProxies
    /// Whether a listener speaks TLS: then a plain one is plain to the client as well.
    let hasTLS: Bool
    /// The line of RFC 6797 that answers over TLS carry; empty for none.
    let strictTransportLine: [UInt8]
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
        refreshRate = configuration.refreshToken.rate.map(RateLimiter.init)
        claimsRoom = ClaimsRoom(
            configuration.accessToken, signatureOverhead: keys.signatureOverhead)
        self.sessions = sessions
        self.services = services
        routes = RouteTable(configuration.routes, limits: configuration.limits)
        var targets: [UpstreamTarget] = []
        for upstream in configuration.upstreams {
            let known = previous?.upstreams.first { $0.configuration.name == upstream.name }
            targets.append(
                try UpstreamTarget(upstream, index: targets.count, previous: known?.directory))
        }
        upstreams = targets
        var limits = MessageLimits()
        limits.headBytesMax = configuration.limits.requestHeaderBytes
        limits.fieldCountMax = configuration.limits.headerCount
        limits.targetBytesMax = min(limits.targetBytesMax, limits.headBytesMax)
        messageLimits = limits
        cookieNames = CookieNames(isSecure: configuration.publicURL.scheme == .https)
        publicOrigin = Array(configuration.publicURL.origin.utf8)
        identityNames = configuration.routes.flatMap(\.identityFields).map {
            FieldFolding.folded($0.fieldName)
        }
        var path = Array(configuration.refreshToken.path.utf8)
        if path.last == UInt8(ascii: "/") { path.removeLast() }
        refreshPath = path
        metadata = IssuerMetadata(configuration, refreshPath: path)
        var policy = ClaimsPolicy(
            issuer: configuration.accessToken.issuer, audiences: [configuration.accessToken.audience])
        policy.leewaySeconds = configuration.accessToken.leewayMilliseconds / 1000
        policy.tokenBytesMax = configuration.limits.accessTokenBytes
        policy.useExpiryClaim = configuration.accessToken.useExpiry?.claim
        policy.twofoldClaim = TokenStyle.refreshClaim
        let use = configuration.accessToken.useExpiry?.lifetimeMilliseconds
        policy.useSecondsMax = (use ?? configuration.accessToken.lifetimeMilliseconds) / 1000
        claimsPolicy = policy
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
        routes = other.routes
        upstreams = other.upstreams
        messageLimits = other.messageLimits
        cookieNames = other.cookieNames
        publicOrigin = other.publicOrigin
        identityNames = other.identityNames
        refreshPath = other.refreshPath
        publishedKeys = PublishedKeys(keys)
        metadata = other.metadata
        trustedProxies = other.trustedProxies
        hasTLS = other.hasTLS
        strictTransportLine = other.strictTransportLine
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

extension GatewayRuntime {
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

    /// Whether upstreams see a token that has let a request in.
    func forwards(_ token: VerifiedToken) -> Bool {
        token.isOurs
            ? configuration.accessToken.isForwarded : issuers[token.issuer - 1].configuration.isForwarded
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
        let path = Array(target.prefix { $0 != UInt8(ascii: "?") })
        var normal: [UInt8] = []
        if PathNormalization.normalise(path.span, into: &normal) == .unchanged { normal = path }
        return connection.head.block.withBytes { bytes in
            routes.route(path: normal.span, authority: bytes.extracting(connection.head.authority.offsets))
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
    let metrics = GatewayMetrics()
    /// What the gateway is called among several.
    let hostName = NameResolver.ownName

    package init(
        accessLog: LogOutlet?, audit: AuditLog, log: ServiceLog, logLosses: [LogLoss],
        census: ConnectionCensus
    ) {
        self.logLosses = logLosses
        self.accessLog = accessLog
        self.audit = audit
        self.log = log
        self.census = census
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
