// Whole loads: the sample with every directive, defaults, includes, variables and secrets.

import Configuration
import Testing

@Suite("Loading a configuration")
struct ConfigurationLoaderTests {
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
        expected.logs.access = .file("logs/access.log")
        expected.logs.accessFormat = .combined
        expected.logs.audit = .stderr
        expected.logs.level = .debug
        expected.control = ControlConfiguration(
            address: .ip(host: "10.0.0.1", port: 9901), secret: SecretText(sampleSecret))
        expected.accessToken.issuer = "https://login.example.com/tenant"
        expected.accessToken.audience = "shop"
        expected.accessToken.lifetimeMilliseconds = 300_000
        expected.accessToken.leewayMilliseconds = 10_000
        expected.accessToken.streamGraceMilliseconds = 0
        expected.refreshToken.path = "/auth/refresh"
        expected.refreshToken.idleLifetimeMilliseconds = 43_200_000
        expected.refreshToken.maxLifetimeMilliseconds = 2_592_000_000
        expected.refreshToken.cookieRaceWindowMilliseconds = 10_000
        expected.refreshToken.bodyRaceWindowMilliseconds = 20_000
        expected.refreshToken.delivery = .cookie
        expected.refreshToken.rate = RateConfiguration(perHour: 36_000, burst: 20)
        expected.refreshToken.bounceBodyBytes = 0
        expected.upstreams = completeUpstreams()
        expected.routes = completeRoutes()
        #expect(configuration == expected)
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
        within.tls.authorities = FileReference(path: "internal.pem", place: "gateway.conf:65")
        within.tls.clientCertificate = pair("gateway.pem", "gateway.key", line: 65)
        within.tls.minimumVersion = .v1_3
        let name = "partner.example.com"
        var partner = UpstreamConfiguration(
            name: "partner",
            servers: [ServerConfiguration(address: .name(host: name, port: 443), certificateName: name)])
        partner.tls.authorities = FileReference(path: "partner.pem", place: "gateway.conf:69")
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
            file: FileReference(path: "clients.pem", place: "gateway.conf:19"), areRequired: false)
        tls.hasTickets = false
        tls.hsts?.maxAgeSeconds = 730 * 86_400
        tls.hsts?.includesSubdomains = true
        tls.hsts?.isPreloaded = true
        tls.handshakeTimeoutMilliseconds = 5_000
        return tls
    }

    private func pair(_ chain: String, _ key: String, line: Int) -> CertificateConfiguration {
        CertificateConfiguration(
            chain: FileReference(path: chain, place: "gateway.conf:\(line)"),
            privateKey: FileReference(path: key, place: "gateway.conf:\(line)"))
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
            ClaimRequirement(name: "role", values: ["admin", "owner"]),
            ClaimRequirement(name: "tenant", values: ["acme"]),
        ]
        files.identityFields = [
            IdentityField(fieldName: "X-Auth-Role", claim: "role"),
            IdentityField(fieldName: "X-Auth-Tenant", claim: "tenant"),
        ]
        return [
            login, account, ping, files, completeOldRoute(),
            RouteConfiguration(host: nil, path: "/", isExact: false, destination: .upstream(0)),
        ]
    }

    private func completeOldRoute() -> RouteConfiguration {
        var old = RouteConfiguration(host: nil, path: "/old/", isExact: false, destination: .upstream(0))
        old.stripsPrefix = true
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

    @Test("every default in the table is the default of the model")
    func defaultsAgree() throws {
        var text = minimal()
        for block in Block.allCases {
            let rows = DirectiveTable.rows.filter { $0.blocks == [block] && $0.availability == .now }
            let defaults = rows.compactMap { row in row.defaultText.map { "\(row.name) \($0);" } }
                .joined(separator: " ")
            switch block {
            case .main: text += defaults
            case .accessToken: text = text.replacing("audience shop;", with: defaults)
            case .upstream:
                text = text.replacing("http://127.0.0.1:9000;", with: "http://127.0.0.1:9000; \(defaults)")
            case .route: text = text.replacing("upstream api; ", with: "upstream api; \(defaults)")
            case .limits, .logs, .refreshToken: text += "\n\(block.rawValue) { \(defaults) }"
            case .tls, .serverName, .control, .upstreamTLS, .healthCheck, .cors: break
            }
        }
        let explicit = load(text)
        #expect(explicit.diagnostics.map(\.rendered) == [])
        var plain = try #require(load(minimal()).configuration)
        plain.accessToken.audience = "api"
        #expect(explicit.configuration == plain)
    }

    @Test("every default of a block inside of a block is the default of the model")
    func innerDefaultsAgree() throws {
        func defaults(_ block: Block) -> String {
            DirectiveTable.rows.filter { $0.blocks == [block] }
                .compactMap { row in row.defaultText.map { "\(row.name) \($0);" } }.joined(separator: " ")
        }
        let server = "server http://127.0.0.1:1;"
        let explicit = load(
            minimal("upstream b { \(server) health_check /up { \(defaults(.healthCheck)) } }"))
        #expect(explicit.diagnostics.map(\.rendered) == [])
        let plain = try #require(load(minimal("upstream b { \(server) health_check /up; }")).configuration)
        #expect(explicit.configuration == plain)

        func upstreamTLS(_ directives: String) -> GatewayConfiguration? {
            load(minimal("upstream b { server https://a.example; tls { \(directives) } }")).configuration
        }
        #expect(upstreamTLS(defaults(.upstreamTLS)) == upstreamTLS(""))
        #expect(upstreamTLS("") != nil)

        let origins = "origins https://a.example;"
        let explicitCORS = load(minimal(route: "cors { \(origins) \(defaults(.cors)) }"))
        #expect(explicitCORS.diagnostics.map(\.rendered) == [])
        #expect(explicitCORS.configuration == load(minimal(route: "cors { \(origins) }")).configuration)
        #expect(explicitCORS.configuration != nil)
    }

    @Test("issuer and public URL default from each other")
    func issuerAndPublicURL() throws {
        let withURL = try #require(load(minimal()).configuration)
        #expect(withURL.accessToken.issuer == "http://localhost:8080")

        let issuer = "issuer https://login.example.com:8443/realm;"
        let withIssuer = load(
            minimal("trusted_proxies 10.0.0.1;", access: issuer).replacing(
                "public_url http://localhost:8080;", with: ""))
        #expect(withIssuer.diagnostics == [])
        #expect(withIssuer.configuration?.publicURL.origin == "https://login.example.com:8443")
        #expect(withIssuer.configuration?.accessToken.issuer == "https://login.example.com:8443/realm")

        let withNeither = load(minimal().replacing("public_url http://localhost:8080;", with: ""))
        #expect(withNeither.configuration?.publicURL.origin == "http://localhost:8080")
        #expect(withNeither.diagnostics.map(\.severity) == [.warning])
    }

    @Test("a main file that cannot be read is one error")
    func missingMainFile() {
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: MemoryFiles())
        #expect(
            loaded.diagnostics.map(\.rendered) == [
                "gateway.conf:1:1: error: 'gateway.conf' cannot be read: No such file or directory"
            ])
    }

    @Test("bytes that are not UTF-8 are one error at their place, in comments too")
    func invalidUTF8() {
        var bytes = Array("listen 127.0.0.1:80;\n# caf".utf8)
        bytes += [0xE9, 0x0A]
        let loaded = load(bytes)
        #expect(messages(loaded) == ["this is not UTF-8 text"])
        #expect(loaded.diagnostics.first?.line == 2)
        #expect(loaded.diagnostics.first?.column == 6)
    }

    @Test("a file of nothing but mistakes ends in a bounded list")
    func boundedDiagnostics() {
        let loaded = load(String(repeating: ";", count: 10_000))
        #expect(loaded.diagnostics.count == DiagnosticReport.diagnosticsMax + 1)
        #expect(loaded.configuration == nil)
    }

    @Test("a file above the size limit is refused and its largest neighbour is read")
    func fileSize() {
        let good = minimal()
        let filler = String(repeating: "#", count: (1 << 20) - good.utf8.count)
        #expect(load(good + filler).configuration != nil)
        #expect(messages(load(good + filler + "#")) == ["'gateway.conf' is too large for a configuration"])
    }

    @Test("blocks nested without end are an error and cost no stack")
    func deepNesting() {
        let loaded = load(minimal(String(repeating: "a {", count: 200_000)))
        #expect(messages(loaded).contains("blocks are nested too deeply"))
    }

    @Test("includes are read in the order of their names, relative to the file that includes")
    func includeOrder() throws {
        var files = MemoryFiles([
            "/etc/gw/gateway.conf": minimal("include d/*.conf;"),
            "/etc/gw/d/b.conf": "route /b { upstream api; }",
            "/etc/gw/d/a.conf": "include x/one;",
            "/etc/gw/d/x/one": "route /one { upstream api; include in; }",
            "/etc/gw/d/x/in": "access optional;",
            "/etc/gw/d/c.txt": "nonsense",
        ])
        let loaded = ConfigurationLoader.load(path: "/etc/gw/gateway.conf", files: files)
        #expect(loaded.diagnostics.map(\.rendered) == [])
        let routes = try #require(loaded.configuration).routes
        #expect(routes.map(\.path) == ["/", "/one", "/b"])
        #expect(routes.map(\.access) == [.required, .optional, .required])

        files.files["/etc/gw/d/b.conf"] = Array("include ../gateway.conf;".utf8)
        let cyclic = ConfigurationLoader.load(path: "/etc/gw/gateway.conf", files: files)
        #expect(messages(cyclic) == ["'../gateway.conf' includes itself"])
        #expect(cyclic.diagnostics.first?.file == "/etc/gw/d/b.conf")
    }

    @Test("files that include each other many times over end in an error, not in a long wait")
    func includeExplosion() {
        var files = MemoryFiles(["gateway.conf": minimal("include 0;")])
        for level in 0..<8 {
            let next = String(repeating: "include \(level + 1);\n", count: 10)
            files.files["\(level)"] = Array(next.utf8)
        }
        files.files["8"] = []
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: files)
        #expect(loaded.configuration == nil)
        #expect(!loaded.diagnostics.isEmpty)
    }
}
