// Issuers beside our own: their names, where their keys come from, and what their tokens say.

import Configuration
import Testing

@Suite("Issuers")
struct IssuerTests {
    private func loaded(_ directives: String, _ name: String = "https://a.example/") -> LoadedConfiguration {
        load(minimal("issuer \(name) { audience shop; \(directives) }"))
    }

    private func issuer(_ directives: String, _ name: String = "https://a.example/") -> IssuerConfiguration? {
        loaded(directives, name).configuration?.issuers.first
    }

    private func address(_ directives: String, _ name: String = "https://a.example/") -> RemoteKeys.Address? {
        issuer(directives, name)?.keys.remote?.address
    }

    private func discovery(_ path: String = "", host: String = "a.example") -> RemoteKeys.Address {
        .discovery(
            URLText(isTLS: true, host: host, port: 443, path: path + "/.well-known/openid-configuration"))
    }

    // MARK: Names

    @Test("an issuer is named letter for letter, and once")
    func names() {
        let blocks = { (second: String) in
            load(minimal("issuer https://a.example/ { audience a; } issuer \(second) { audience a; }"))
        }
        #expect(blocks("https://a.example").configuration?.issuers.count == 2)
        #expect(blocks("https://A.example/").configuration?.issuers.last?.issuer == "https://A.example/")
        #expect(messages(blocks("https://a.example/")) == ["this issuer has a block already"])
    }

    @Test("no issuer is our own, whether that is given or taken from the public URL")
    func ownIssuer() {
        let message = "this is the issuer of our own tokens, which are accepted without a block"
        #expect(messages(loaded("", "http://localhost:8080")) == [message])
        #expect(loaded("", "http://localhost:8080/").diagnostics == [])
        let own = minimal("issuer https://b.example { audience a; }", access: "issuer https://b.example;")
            .replacing("public_url http://localhost:8080;", with: "public_url http://127.0.0.1:8080;")
        #expect(messages(load(own)) == [message])
    }

    @Test("only an issuer that is asked for its keys has to be a URL")
    func textIssuer() {
        for name in ["accounts.example.org", "urn:example:issuer", "partner"] {
            #expect(issuer("jwks_file a.jwks;", name)?.issuer == name)
            #expect(issuer("", name) == nil && issuer("jwks_file a; discovery { }", name) == nil)
        }
        for name in ["https://", "https://a:0/", "ftp://a.example", "https://u@a.example", "\"a b\""] {
            #expect(issuer("jwks_file a.jwks;", name) == nil, "\(name)")
        }
        #expect(issuer("jwks_file a.jwks;", "https://a.example/?x=1") != nil)
        #expect(issuer("", "https://a.example/?x=1") == nil)
    }

    // MARK: Keys

    @Test("an issuer without keys is asked for them, at the place that OpenID says")
    func discoveryAddress() {
        #expect(address("") == discovery())
        #expect(address("discovery { every 30s; }") == discovery())
        #expect(address("", "https://a.example") == discovery())
        #expect(address("", "https://A.example/Tenant/v2.0") == discovery("/Tenant/v2.0"))
        #expect(address("", "https://a.example/tenant/") == discovery("/tenant"))
        let description = "http://[::1]:8000/.well-known/openid-configuration"
        guard case .discovery(let url) = address("", "http://[::1]:8000") else {
            Issue.record("no discovery")
            return
        }
        #expect(url.text == description && url.authority == "[::1]:8000" && url.isLoopback)
    }

    @Test("keys that are given stand beside discovery only where it is asked for")
    func keysBesideDiscovery() {
        #expect(address("public_key ES256 a.pem;") == nil)
        #expect(address("jwks_file a.jwks; jwks_file b.jwks;") == nil)
        #expect(
            issuer("jwks_file a.jwks; jwks_file b.jwks;")?.keys.files.map(\.path) == ["a.jwks", "b.jwks"])
        #expect(address("public_key ES256 a.pem; discovery { }") == discovery())
        #expect(issuer("public_key ES256 a.pem; discovery { }")?.keys.publicKeys.count == 1)
        #expect(issuer("jwks https://a.example/k; public_key ES256 a.pem;")?.keys.remote != nil)
    }

    @Test("keys come from one place: an address, files, or discovery")
    func sources() {
        let jwks = "jwks https://a.example/k;"
        for mixed in [
            jwks + "jwks_file a;", jwks + "discovery { }", "jwks_file a; discovery { }", jwks + jwks,
        ] {
            #expect(issuer(mixed) == nil, "\(mixed)")
        }
    }

    @Test("the address of keys is an http or https URL, taken apart")
    func keyAddresses() {
        func url(_ text: String) -> URLText? {
            guard case .jwks(let url) = address("jwks \(text);") else { return nil }
            return url
        }
        #expect(url("https://K.example") == URLText(isTLS: true, host: "k.example", port: 443, path: "/"))
        #expect(
            url("https://k.example:8443/a/B?c=D")
                == URLText(isTLS: true, host: "k.example", port: 8443, path: "/a/B?c=D"))
        #expect(url("https://k.example?v") == URLText(isTLS: true, host: "k.example", port: 443, path: "/?v"))
        #expect(url("http://[::1]/k") == URLText(isTLS: false, host: "::1", port: 80, path: "/k"))
        #expect(url("https://k.example:443/k")?.text == "https://k.example/k")
        for wrong in [
            "k.example/k", "https://k.example/#a", "https://u:p@k.example/", "ftp://k.example/", "https:///k",
            "https://k.example:0/", "https://k.example:65536/", "\"https://k.example/a b\"", "unix:/run/k",
        ] { #expect(url(wrong) == nil, "\(wrong)") }
    }

    @Test("keys over plain http are warned of, but not on this machine")
    func plainKeys() {
        let isWarned = { (loaded: LoadedConfiguration) in
            #expect(loaded.configuration != nil)
            return loaded.diagnostics.map(\.severity) == [.warning]
        }
        #expect(isWarned(loaded("jwks http://k.example/;")))
        #expect(isWarned(loaded("jwks http://10.0.0.1/;")))
        #expect(isWarned(loaded("", "http://k.example")))
        for local in ["http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"] {
            #expect(!isWarned(loaded("jwks \(local);")))
            #expect(!isWarned(loaded("", local)))
        }
        #expect(!isWarned(loaded("jwks https://k.example/;")))
    }

    @Test("an asymmetric algorithm has a public key, a symmetric one a secret")
    func keyAlgorithms() {
        let secret = String(repeating: "k", count: 64)
        for algorithm in DirectiveTable.algorithms {
            let isSymmetric = algorithm.hasPrefix("HS")
            #expect((issuer("public_key \(algorithm) a.pem;") == nil) == isSymmetric)
            #expect((issuer("secret \(algorithm) \(secret);") != nil) == isSymmetric)
        }
        #expect(issuer("public_key none a.pem;") == nil && issuer("secret none \(secret);") == nil)
    }

    @Test("no two keys have one ID, whatever they are")
    func keyIDs() {
        let secret = "secret HS256 \(String(repeating: "k", count: 32))"
        let key = "public_key ES256 a.pem"
        #expect(issuer("\(key) kid=1; \(key) kid=2; \(secret) kid=3; \(key); \(key);") != nil)
        #expect(messages(loaded("\(key) kid=1; \(key) kid=1;")) == ["another key has this ID"])
        #expect(messages(loaded("\(key) kid=1; \(secret) kid=1;")) == ["another key has this ID"])
        #expect(issuer("\(key) kid=;") == nil)
    }

    // MARK: Claims

    @Test("an issuer has audiences, or says that any will do and is warned")
    func audiences() {
        func loaded(_ audience: String) -> LoadedConfiguration {
            load(minimal("issuer https://a.example { \(audience) }"))
        }
        let any = loaded("audience any;")
        #expect(any.configuration?.issuers.first?.audiences == [])
        #expect(any.diagnostics.map(\.severity) == [.warning])
        #expect(loaded("audience a A;").configuration?.issuers.first?.audiences == ["a", "A"])
        #expect(loaded("audience anyone;").diagnostics == [])
        for wrong in ["", "audience a any;", "audience a a;", "audience any any;"] {
            #expect(loaded(wrong).configuration == nil, "\(wrong)")
        }
    }

    @Test("types are kept in lower case, and none stands for a token without one")
    func types() {
        #expect(issuer("")?.types == [])
        #expect(issuer("type JWT none application/at+JWT;")?.types == ["jwt", "none", "application/at+jwt"])
        #expect(issuer("type JWT jwt;") == nil)
    }

    @Test("an issuer's tokens go on to the upstream and ours do not, unless the configuration says so")
    func forwarding() {
        #expect(issuer("")?.isForwarded == true && issuer("forward off;")?.isForwarded == false)
        let access = load(minimal()).configuration?.accessToken
        #expect(access?.isForwarded == false)
        #expect(load(minimal(access: "forward on;")).configuration?.accessToken.isForwarded == true)
    }

    @Test("an issuer's leeway is that of our own tokens unless it has its own")
    func leeway() {
        let text = minimal("issuer https://a.example { audience a; }", access: "leeway 7s;")
        #expect(load(text).configuration?.issuers.first?.leewayMilliseconds == 7_000)
        #expect(issuer("leeway 0s;")?.leewayMilliseconds == 0)
    }

    @Test("routes find claims by the same paths as issuers")
    func routeClaims() throws {
        let loaded = load(
            minimal(route: "require claim realm_access.roles admin; identity_header X-Role claim =a.b;"))
        let route = try #require(loaded.configuration?.routes.first)
        #expect(
            route.requiredClaims
                == [ClaimRequirement(claim: ClaimPath(["realm_access", "roles"]), values: ["admin"])])
        #expect(route.identityFields == [IdentityField(fieldName: "X-Role", claim: ClaimPath(["a.b"]))])
    }
}
