// The sample with every directive: it loads, and means what it says.

import Configuration
import Testing

@Suite("The complete sample")
struct CompleteSampleTests {
    @Test("a configuration with every available directive loads without diagnostics and means what it says")
    func completeSampleLoads() throws {
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: completeFiles())
        #expect(loaded.diagnostics.map(\.rendered) == [])
        let configuration = try #require(loaded.configuration)

        var expected = GatewayConfiguration()
        expected.listeners = [
            ListenerConfiguration(address: .ip(host: "0.0.0.0", port: 8080)),
            ListenerConfiguration(address: .ip(host: "::1", port: 8080), expectsProxyProtocol: true),
            ListenerConfiguration(address: .unix(path: "/run/gateway/http.sock")),
            ListenerConfiguration(address: .ip(host: "0.0.0.0", port: 80), security: .redirectsToHTTPS),
            ListenerConfiguration(
                address: .ip(host: "0.0.0.0", port: 443), security: .tls, expectsProxyProtocol: true),
        ]
        expected.tls = completeTLS()
        expected.workers = 4
        expected.user = UserConfiguration(name: "gateway", group: "www-data")
        expected.drainDelayMilliseconds = 5_000
        expected.drainTimeoutMilliseconds = 60_000
        expected.stateDirectory = "/srv/auth gateway"
        expected.trustedProxies = [
            AddressRange(bytes: [10, 0, 0, 0], prefixBits: 8),
            AddressRange(bytes: [0xFD] + Array(repeating: 0, count: 15), prefixBits: 8),
        ]
        expected.trustsUnixPeers = true
        expected.publicURL = PublicURL(scheme: .https, authority: "api.example.com")
        expected.limits.requestHeaderBytes = 16_384
        expected.limits.headerCount = 50
        expected.limits.requestBodyBytes = 1 << 30
        expected.limits.connections = 1_000
        expected.limits.connectionsPerAddress = 10
        expected.limits.headerTimeoutMilliseconds = 500
        expected.limits.bodyTimeoutMilliseconds = 60_000
        expected.limits.idleTimeoutMilliseconds = 120_000
        expected.limits.minimumBytesPerSecond = 4_096
        expected.limits.accessTokenBytes = 12_288
        expected.logs.access = .file("logs/access.log")
        expected.logs.accessFormat = .combined
        expected.logs.audit = .stderr
        var syslog = LogsConfiguration.Syslog()
        syslog.path = "/run/log"
        syslog.tag = "gw"
        expected.logs.error = .syslog(syslog)
        expected.logs.level = .debug
        expected.control = ControlConfiguration(
            address: .ip(host: "10.0.0.1", port: 9901), secret: SecretText(sampleSecret))
        expected.accessToken = completeAccessToken()
        expected.refreshToken = completeRefreshToken()
        expected.issuers = completeIssuers()
        expected.upstreams = completeUpstreams()
        expected.routes = completeRoutes()
        expected.expectations = completeExpectations()
        #expect(configuration == expected)
    }

    private func completeExpectations() -> [PolicyExpectation] {
        var second = SampleRequest(method: "POST", target: "/x")
        second.authority = "files.example.com:8443"
        second.fields = [FieldText(name: "Origin", value: "https://app.example.com")]
        var token = SampleToken()
        token.issuer = "partner"
        token.subject = "alice"
        token.scopes = ["files:read", "files:write"]
        token.claims = [
            SampleClaim(path: ClaimPath(["role"]), value: "admin"),
            SampleClaim(path: ClaimPath(["org", "tenant"]), value: "a=b"),
        ]
        token.isExpired = true
        token.isInCookie = true
        second.token = token
        return [
            PolicyExpectation(request: SampleRequest(target: "/old/a?b=c"), outcome: .status(401)),
            PolicyExpectation(request: second, outcome: .forwarded),
        ]
    }

    private func completeAccessToken() -> AccessTokenConfiguration {
        var token = AccessTokenConfiguration()
        token.issuer = "https://login.example.com/tenant"
        token.audience = "shop"
        token.algorithm = "ES384"
        token.signingKeys = [
            SigningKeyFile(algorithm: "ES384", file: file("keys/new.pem", line: 40), kid: "2026-11"),
            SigningKeyFile(algorithm: "RS256", file: file("keys/old.pem", line: 40)),
        ]
        token.lifetimeMilliseconds = 5 * 86_400_000
        token.jitterPercent = 7
        token.leewayMilliseconds = 10_000
        token.streamGraceMilliseconds = 0
        token.isForwarded = false
        token.useExpiry = UseExpiry(claim: "useExp", lifetimeMilliseconds: 300_000)
        return token
    }

    private func completeRefreshToken() -> RefreshTokenConfiguration {
        var token = RefreshTokenConfiguration()
        token.path = "/auth/refresh"
        token.idleLifetimeMilliseconds = 43_200_000
        token.maxLifetimeMilliseconds = 2_592_000_000
        token.cookieRaceWindowMilliseconds = 10_000
        token.bodyRaceWindowMilliseconds = 20_000
        token.delivery = .cookie
        token.format = .jwt
        token.rate = RateConfiguration(perHour: 36_000, burst: 20)
        token.bounceBodyBytes = 0
        var check = AccessCheckConfiguration(upstream: 0, path: "/internal/access")
        check.timeoutMilliseconds = 1_000
        token.accessCheck = check
        token.sessionsPerSubject = nil
        var legacy = LegacyTokenConfiguration()
        legacy.issuer = "old-api"
        legacy.audiences = ["shop", "old"]
        legacy.keys.secrets = [
            SharedSecret(algorithm: "HS256", secret: SecretText(sampleKey), kid: "a")
        ]
        legacy.keys.publicKeys = [PublicKeyFile(algorithm: "RS256", file: file("old.pem", line: 51))]
        legacy.keys.files = [file("old.jwks", line: 51)]
        legacy.types = ["jwt", "none"]
        legacy.cookieName = "jwt"
        legacy.subjectClaim = ClaimPath(["user", "id"])
        legacy.claims = ["role", "scope"]
        legacy.leewayMilliseconds = 60_000
        legacy.expiredMilliseconds = 7 * 86_400_000
        var cookie = LegacyCookieConfiguration(name: "old_session", upstream: 0, path: "/whoami?full=1")
        cookie.timeoutMilliseconds = 500
        token.exchanges = [
            ExchangeConfiguration(until: 1_801_440_000, kind: .token(legacy), place: "gateway.conf:49"),
            ExchangeConfiguration(until: 1_835_481_600, kind: .cookie(cookie), place: "gateway.conf:54"),
        ]
        return token
    }

    private func completeIssuers() -> [IssuerConfiguration] {
        var first = IssuerConfiguration(issuer: "https://Login.example.org/Tenant")
        first.audiences = ["shop", "https://api.example.com"]
        var remote = RemoteKeys(
            address: .jwks(URLText(isTLS: true, host: "login.example.org", port: 8443, path: "/keys?v=2")))
        remote.everyMilliseconds = 300_000
        remote.timeoutMilliseconds = 2_000
        remote.certificateAuthority = file("idp.pem", line: 81)
        first.keys.remote = remote
        first.algorithms = ["RS256", "ES256"]
        first.types = ["at+jwt"]
        first.isForwarded = false
        first.lifetimeMaxMilliseconds = 86_400_000
        first.leewayMilliseconds = 0
        first.subjectClaim = ClaimPath(["oid"])
        first.scopeClaim = ClaimPath(["https://example.org/scp"])
        first.audienceClaim = "client.id"
        first.requirements = [
            ClaimRequirement(claim: ClaimPath(["realm", "roles"]), values: ["user", "admin"]),
            ClaimRequirement(claim: ClaimPath(["realm.id"]), values: ["7"]),
        ]
        first.place = "gateway.conf:79"
        var second = IssuerConfiguration(issuer: "https://accounts.example.org/")
        second.audiences = ["shop"]
        let description = "/.well-known/openid-configuration"
        second.keys.remote = RemoteKeys(
            address: .discovery(
                URLText(isTLS: true, host: "accounts.example.org", port: 443, path: description)))
        second.keys.remote?.everyMilliseconds = 3_600_000
        second.leewayMilliseconds = 10_000
        second.place = "gateway.conf:86"
        var third = IssuerConfiguration(issuer: "partner")
        third.audiences = ["shop"]
        third.keys.files = [file("partner.jwks", line: 88)]
        third.keys.publicKeys = [
            PublicKeyFile(algorithm: "EdDSA", file: file("partner.pem", line: 89), kid: "p")
        ]
        third.keys.secrets = [SharedSecret(algorithm: "HS512", secret: SecretText(sampleKey))]
        third.leewayMilliseconds = 10_000
        third.place = "gateway.conf:87"
        return [first, second, third]
    }

    private func file(_ path: String, line: Int) -> FileReference {
        FileReference(path: path, place: "gateway.conf:\(line)")
    }

    private func completeUpstreams() -> [UpstreamConfiguration] {
        var first = ServerConfiguration(address: .ip(host: "127.0.0.1", port: 9000))
        first.weight = 2
        first.connectionsMax = 64
        var api = UpstreamConfiguration(
            name: "api",
            servers: [
                first, ServerConfiguration(address: .name(host: "api.internal", port: 9000)),
                ServerConfiguration(address: .unix(path: "/run/api.sock")),
            ])
        api.balance = .leastConnections
        var check = HealthCheckConfiguration(path: "/healthz")
        check.intervalMilliseconds = 2_000
        check.timeoutMilliseconds = 500
        check.failuresMax = 2
        check.passesMin = 1
        api.healthCheck = check
        api.failuresMax = 5
        api.failWindowMilliseconds = 30_000
        api.slowStartMilliseconds = 20_000
        api.queueMax = 10
        api.queueTimeoutMilliseconds = 2_000
        api.triesMax = 2
        api.resolveMilliseconds = 10_000
        api.connectTimeoutMilliseconds = 250
        api.responseTimeoutMilliseconds = 5_000
        api.idleTimeoutMilliseconds = 15_000
        api.tunnelTimeoutMilliseconds = 86_400_000
        api.keepaliveConnections = 16
        api.keepaliveMilliseconds = 10_000
        let files = UpstreamConfiguration(
            name: "files", servers: [ServerConfiguration(address: .ip(host: "::1", port: 9001))])
        return [api, files] + completeTLSUpstreams()
    }

    private func completeTLSUpstreams() -> [UpstreamConfiguration] {
        let address = ServerAddress.name(host: "api.internal", port: 9443)
        var within = UpstreamConfiguration(
            name: "internal",
            servers: [
                ServerConfiguration(
                    address: .ip(host: "10.0.0.1", port: 443), certificateName: "api.internal"),
                ServerConfiguration(address: address, certificateName: "api.internal"),
            ])
        within.tls.authorities = file("internal.pem", line: 73)
        within.tls.clientCertificate = pair("gateway.pem", "gateway.key", line: 73)
        within.tls.minimumVersion = .v1_3
        let name = "partner.example.com"
        var partner = UpstreamConfiguration(
            name: "partner",
            servers: [ServerConfiguration(address: .name(host: name, port: 443), certificateName: name)])
        partner.tls.authorities = file("partner.pem", line: 77)
        return [within, partner]
    }

    private func completeTLS() -> TLSConfiguration {
        var tls = TLSConfiguration(certificates: [
            pair("rsa.pem", "rsa.key", line: 15),
            pair("/etc/ssl/ecdsa.pem", "/etc/ssl/ecdsa.key", line: 16),
        ])
        tls.minimumVersion = .v1_3
        tls.serverNames = [
            ServerNameConfiguration(
                names: ["files.example.com", "*.files.example.com"],
                certificates: [pair("files.pem", "files.pem", line: 18)])
        ]
        tls.clientAuthorities = TLSConfiguration.ClientAuthorities(
            file: file("clients.pem", line: 19), areRequired: false)
        tls.hasTickets = false
        tls.hsts?.maxAgeSeconds = 730 * 86_400
        tls.hsts?.includesSubdomains = true
        tls.hsts?.isPreloaded = true
        tls.handshakeTimeoutMilliseconds = 5_000
        return tls
    }

    private func pair(_ chain: String, _ key: String, line: Int) -> CertificateConfiguration {
        CertificateConfiguration(
            chain: file(chain, line: line), privateKey: file(key, line: line))
    }

    private func completeRoutes() -> [RouteConfiguration] {
        var login = RouteConfiguration(host: nil, path: "/login", isExact: false, destination: .upstream(0))
        login.access = .anonymous
        login.isLogin = true
        login.rate = RateConfiguration(perHour: 300, burst: 10)
        var account = RouteConfiguration(
            host: nil, path: "/account/", isExact: false, destination: .upstream(0))
        account.isSessionControl = true
        account.access = .optional
        var ping = RouteConfiguration(host: nil, path: "/ping", isExact: true, destination: .upstream(0))
        ping.access = .anonymous
        ping.destination = .fixed(FixedResponse(status: 200, body: "{}", contentType: "application/json"))
        var files = RouteConfiguration(
            host: "files.example.com", path: "/", isExact: false, destination: .upstream(1))
        files.requestBodyBytes = 2 << 30
        files.requiredScopes = ["files:read", "files:write"]
        files.requiredClaims = [
            ClaimRequirement(claim: ClaimPath(["role"]), values: ["admin", "owner"]),
            ClaimRequirement(claim: ClaimPath(["tenant"]), values: ["acme"]),
        ]
        files.identityFields = [
            IdentityField(fieldName: "X-Auth-Role", claim: ClaimPath(["role"])),
            IdentityField(fieldName: "X-Auth-Tenant", claim: ClaimPath(["org", "tenant"])),
        ]
        return [
            login, account, ping, files, completeOldRoute(),
            RouteConfiguration(host: nil, path: "/", isExact: false, destination: .upstream(0)),
        ]
    }

    private func completeOldRoute() -> RouteConfiguration {
        var old = RouteConfiguration(host: nil, path: "/old/", isExact: false, destination: .upstream(0))
        old.strippedPrefix = "/old"
        old.setFields = [
            FieldText(name: "X-Api-Version", value: "1"),
            FieldText(name: "Authorization", value: "Basic YTpi"),
        ]
        old.removedFields = ["Cookie"]
        old.methods = ["GET", "HEAD"]
        old.responseTimeoutMilliseconds = 300_000
        old.idleTimeoutMilliseconds = 60_000
        old.tunnelTimeoutMilliseconds = 28_800_000
        old.rate = RateConfiguration(perHour: 18_000, burst: 5, key: .subject)
        var cors = CORSConfiguration()
        cors.origins = ["https://app.example.com", "http://localhost:3000"]
        cors.allowsCredentials = true
        cors.methods = ["GET", "PUT"]
        cors.requestFields = ["Authorization"]
        cors.exposedFields = ["ETag", "X-Total"]
        cors.maxAgeMilliseconds = 3_600_000
        old.cors = cors
        old.loginPage = "/login?from=old"
        old.isObserved = true
        return old
    }
}
