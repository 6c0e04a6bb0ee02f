// Whole loads: defaults, includes, files and their limits.

import Configuration
import Testing

@Suite("Loading a configuration")
struct ConfigurationLoaderTests {
    @Test("every default in the table is the default of the model")
    func defaultsAgree() throws {
        var text = minimal()
        for block in Block.allCases {
            let rows = DirectiveTable.rows.filter { $0.blocks == [block] }
            let defaults = rows.compactMap { row in row.defaultText.map { "\(row.name) \($0);" } }
                .joined(separator: " ")
            switch block {
            case .main: text += defaults
            case .accessToken: text = text.replacing("audience shop;", with: defaults)
            case .upstream:
                text = text.replacing("http://127.0.0.1:9000;", with: "http://127.0.0.1:9000; \(defaults)")
            case .route: text = text.replacing("upstream api; ", with: "upstream api; \(defaults)")
            case .limits, .logs, .refreshToken: text += "\n\(block.rawValue) { \(defaults) }"
            case .tls, .serverName, .control, .upstreamTLS, .healthCheck, .cors, .style, .issuer, .jwks,
                .discovery, .accessCheck, .exchangeToken, .exchangeCookie:
                break
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
            DirectiveTable.rows.filter { $0.blocks.contains(block) }
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

    @Test("every default of a block about tokens of others is the default of the model")
    func defaultsOfOthersAgree() {
        func defaults(_ block: Block) -> String {
            DirectiveTable.rows.filter { $0.blocks.contains(block) }
                .compactMap { row in row.defaultText.map { "\(row.name) \($0);" } }.joined(separator: " ")
        }
        func issuer(_ directives: String) -> LoadedConfiguration {
            load(minimal("issuer https://a.example { audience shop; \(directives) }"))
        }
        #expect(issuer(defaults(.issuer)) == issuer(""))
        #expect(issuer("discovery { \(defaults(.discovery)) }") == issuer(""))
        let jwks = "jwks https://a.example/keys"
        #expect(issuer("\(jwks) { \(defaults(.jwks)) }") == issuer("\(jwks);"))
        #expect(issuer("").diagnostics == [] && issuer("\(jwks);").diagnostics == [])

        func exchange(_ directives: String) -> LoadedConfiguration {
            load(minimal("refresh_token { exchange \(directives) } }"))
        }
        let token = "token { until 2027-01-31; jwks_file a;"
        #expect(exchange(token + defaults(.exchangeToken)) == exchange(token))
        let cookie = "cookie a { until 2027-01-31; upstream api /;"
        #expect(exchange(cookie + defaults(.exchangeCookie)) == exchange(cookie))
        #expect(exchange(token).diagnostics == [] && exchange(cookie).diagnostics == [])
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
