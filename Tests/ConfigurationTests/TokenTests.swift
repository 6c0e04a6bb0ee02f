// Our own tokens: what they are signed with, how long they are good, and what they are exchanged for.

import Configuration
import Testing

@Suite("Tokens of our own")
struct TokenTests {
    private let day: Int64 = 86_400_000

    private func access(_ directives: String, _ extra: String = "") -> AccessTokenConfiguration? {
        load(minimal(extra, access: directives)).configuration?.accessToken
    }

    @Test("each algorithm is available, and no other", arguments: DirectiveTable.algorithms)
    func algorithms(name: String) {
        #expect(access("algorithm \(name);")?.algorithm == name)
        #expect(access("signing_key \(name) a.pem;")?.algorithm == name)
        #expect(access("algorithm \(name.lowercased());") == nil)
        #expect(access("signing_key \(name)x a.pem;") == nil)
    }

    @Test("there are thirteen algorithms, and none is none of them")
    func thirteen() {
        #expect(Set(DirectiveTable.algorithms).count == 13)
        #expect(access("algorithm none;") == nil && access("signing_key none a.pem;") == nil)
    }

    @Test("the first signing key decides what tokens are signed with, and nothing may contradict it")
    func signingKeys() {
        let keys = "signing_key ES384 a.pem; signing_key RS256 b.pem kid=old;"
        let token = access(keys)
        #expect(token?.algorithm == "ES384")
        #expect(token?.signingKeys.map(\.kid) == [nil, "old"])
        #expect(token?.signingKeys.map(\.file.path) == ["a.pem", "b.pem"])
        #expect(access(keys + "algorithm ES384;") == token)
        #expect(access(keys + "algorithm RS256;") == nil)
        #expect(access(keys + "algorithm ES256;") == nil)
    }

    @Test("a key that only has to be checked may be a secret, which is warned of and not refused")
    func symmetric() {
        for directives in ["algorithm HS256;", "signing_key ES256 a.pem; signing_key HS256 b.key;"] {
            let loaded = load(minimal(access: directives))
            #expect(loaded.diagnostics.map(\.severity) == [.warning])
            #expect(loaded.configuration != nil)
        }
        #expect(load(minimal(access: "algorithm EdDSA;")).diagnostics == [])
    }

    @Test("a key of the gateway's own signs for an hour to ten years, or for ever")
    func keyLifetime() {
        #expect(access("")?.keyLifetimeMilliseconds == 90 * day)
        #expect(access("key_lifetime never;")?.keyLifetimeMilliseconds == .some(nil))
        #expect(access("key_lifetime 1h;")?.keyLifetimeMilliseconds == 3_600_000)
        #expect(access("key_lifetime 3650d;")?.keyLifetimeMilliseconds == 3_650 * day)
        for wrong in ["59m", "3651d", "off", "90"] { #expect(access("key_lifetime \(wrong);") == nil) }
    }

    // MARK: One token with two expiries

    @Test("a single token is good for seven days at the refresh endpoint, or as long as a session")
    func singleLifetime() {
        let style = "style single { use_expiry useExp 10m; }"
        #expect(access(style)?.useExpiry == UseExpiry(claim: "useExp", lifetimeMilliseconds: 600_000))
        #expect(access(style)?.lifetimeMilliseconds == 7 * day)
        let short = "refresh_token { idle_lifetime 1d; max_lifetime 2d; }"
        #expect(access(style, short)?.lifetimeMilliseconds == 2 * day)
        #expect(access(style + "lifetime 2d;", short)?.lifetimeMilliseconds == 2 * day)
        #expect(access(style + "lifetime 3d;", short) == nil)
        #expect(access("lifetime 3d;", short)?.lifetimeMilliseconds == 3 * day)
    }

    @Test("a single token is good for requests for less time than at the refresh endpoint")
    func useExpiry() {
        func single(_ use: String, lifetime: String = "") -> UseExpiry? {
            access("style single { use_expiry \(use); } \(lifetime)")?.useExpiry
        }
        #expect(single("useExp 59m", lifetime: "lifetime 1h;") != nil)
        #expect(single("useExp 1h", lifetime: "lifetime 1h;") == nil)
        #expect(single("useExp 6d") != nil)
        #expect(single("useExp 7d") == nil)
        #expect(single("useExp 9s") == nil)
        for name in [
            "exp", "iat", "nbf", "sub", "sid", "gen", "epoch", "jti", "aud", "iss", "scope", "client_id",
        ] {
            #expect(single("\(name) 10m") == nil, "\(name)")
        }
        #expect(single("https://a.example/use.exp 10m")?.claim == "https://a.example/use.exp")
    }

    // MARK: Older credentials

    private func exchange(_ text: String, https: Bool = false) -> ExchangeConfiguration? {
        var text = minimal("refresh_token { exchange \(text) }")
        if https {
            text =
                text.replacing("http://localhost:8080", with: "https://a.example")
                + "trusted_proxies unix;"
        }
        return load(text).configuration?.refreshToken.exchanges.first
    }

    @Test("an older token needs an end and a key, and nothing else")
    func legacyTokens() throws {
        let exchange = try #require(
            self.exchange("token { until 2027-01-31; public_key ES256 a.pem; }"))
        #expect(exchange.until == 1_801_440_000 && exchange.place == "gateway.conf:6")
        var expected = LegacyTokenConfiguration()
        expected.keys.publicKeys = [
            PublicKeyFile(algorithm: "ES256", file: FileReference(path: "a.pem", place: "gateway.conf:6"))
        ]
        #expect(exchange.kind == .token(expected))
        #expect(self.exchange("token { public_key ES256 a.pem; }") == nil)
        #expect(self.exchange("token { until 2027-01-31; }") == nil)
    }

    @Test("an older token's leeway is that of access tokens unless it has its own")
    func legacyLeeway() {
        func leeway(_ directives: String) -> Int64? {
            let text = minimal(
                "refresh_token { exchange token { until 2027-01-31; jwks_file a; \(directives) } }",
                access: "leeway 7s;")
            guard case .token(let token) = load(text).configuration?.refreshToken.exchanges.first?.kind else {
                return nil
            }
            return token.leewayMilliseconds
        }
        #expect(leeway("") == 7_000)
        #expect(leeway("leeway 9s;") == 9_000)
    }

    @Test("what passes from an older token into a session is nothing that the gateway says itself")
    func legacyClaims() {
        func claims(_ names: String) -> [String]? {
            guard
                case .token(let token) = exchange(
                    "token { until 2027-01-31; jwks_file a; claims \(names); }")?.kind
            else { return nil }
            return token.claims
        }
        #expect(claims("role scope a.b") == ["role", "scope", "a.b"])
        for name in ["sub", "sid", "exp", "iss", "epoch", "gen", "typ"] {
            #expect(claims("role \(name)") == nil, "\(name)")
        }
        #expect(claims("role role") == nil)
    }

    @Test("an older cookie is none of the gateway's own, whose names depend on the scheme")
    func cookieNames() {
        func cookie(_ name: String, https: Bool) -> Bool {
            exchange("cookie \(name) { until 2027-01-31; upstream api /who?x; }", https: https) != nil
        }
        #expect(cookie("session", https: true) && cookie("session", https: false))
        for name in ["access", "refresh", "refreshed"] {
            #expect(cookie(name, https: true) && !cookie(name, https: false))
        }
        for name in ["__Host-access", "__Secure-refresh", "__Host-refreshed"] {
            #expect(!cookie(name, https: true) && cookie(name, https: false))
        }
        for name in ["a=b", "\"a b\"", "a,b", "\"\""] { #expect(!cookie(name, https: true), "\(name)") }
    }
}
