// The rows about tokens that somebody else signs: of `issuer`, of its `jwks` and `discovery`, and of the
// `exchange` blocks in `refresh_token`.

extension DirectiveTable {
    static let issuer: [Directive] = [
        Directive(
            "audience", in: [.issuer], .arguments("NAME…|any", 1...50), example: "audience api;",
            "What its tokens must be for: one of these; any takes those for other services as well."),
        Directive(
            "jwks", in: [.issuer], .arguments("URL", 1...1), opens: .jwks, blockIsOptional: true,
            example: "jwks https://login.example.org/keys;",
            "Where it publishes its keys; without any key, its OpenID configuration is asked for them."),
        Directive(
            "discovery", in: [.issuer], .arguments("", 0...0), opens: .discovery,
            "How its OpenID configuration is fetched, where that says where its keys are."),
        Directive(
            "jwks_file", in: [.issuer, .exchangeToken], .arguments("FILE", 1...1),
            example: "jwks_file /etc/auth-gateway/partner.jwks;", repeats: true,
            "Its keys in a file, as a JWK set."),
        Directive(
            "public_key", in: [.issuer, .exchangeToken], .arguments("ALG FILE [kid=ID]", 2...3),
            example: "public_key ES256 /etc/auth-gateway/partner.pem;", repeats: true,
            "A key of it, as PEM, and the one algorithm that it is for."),
        Directive(
            "secret", in: [.issuer, .exchangeToken],
            .arguments("HS256|HS384|HS512 TEXT|env:NAME|file:PATH [kid=ID]", 2...3),
            bounds: "as many characters as the hash has bytes or more: 32, 48 or 64",
            example: "secret HS256 env:PARTNER_SECRET;", repeats: true,
            "A secret that it shares with the gateway."),
        Directive(
            "algorithms", in: [.issuer], .arguments("ALG…", 1...algorithms.count),
            example: "algorithms RS256 ES256;",
            "What its tokens may be signed with; whatever its keys are for where it is not given."),
        Directive(
            "type", in: [.issuer, .exchangeToken], .arguments("NAME…|none", 1...50), example: "type at+jwt;",
            "The 'typ' of its tokens, none for those without; these, JWT and at+jwt where not given."),
        Directive(
            "subject_claim", in: [.issuer, .exchangeToken], .arguments("CLAIM", 1...1), default: "sub",
            "The claim that says whom a token is about."),
        Directive(
            "scope_claim", in: [.issuer], .arguments("CLAIM", 1...1), default: "scope",
            "The claim with the scopes: words with blanks between, or an array."),
        Directive(
            "audience_claim", in: [.issuer], .arguments("NAME", 1...1), default: "aud",
            "The claim that 'audience' is looked for in."),
        Directive(
            "require", in: [.issuer], .arguments("claim CLAIM VALUE…", 3...100),
            example: "require claim tenant acme;", repeats: true,
            "What all its tokens must say: one of the values of each claim."),
        Directive(
            "leeway", in: [.issuer, .exchangeToken], .duration(0...5 * minute), example: "leeway 30s;",
            "How far its clock and the gateway's may differ; that of 'access_token' where not given."),
        Directive(
            "lifetime_max", in: [.issuer], .duration(second...3_650 * day), example: "lifetime_max 1d;",
            "The longest time from 'iat' to 'exp' that is accepted; any where it is not given."),
        Directive(
            "forward", in: [.issuer], .choice(["on", "off"]), default: "on",
            "Whether upstreams get its tokens as well, where they came in Authorization."),
    ]

    static let remoteKeys: [Directive] = [
        Directive(
            "every", in: [.jwks, .discovery], .duration(30 * second...day), default: "10m",
            "How often the keys are fetched; a token of an unknown key has them fetched sooner."),
        Directive(
            "timeout", in: [.jwks, .discovery], .duration(100...30 * second), default: "5s",
            "How long one fetch may take."),
        Directive(
            "tls_ca", in: [.jwks, .discovery], .arguments("FILE", 1...1),
            example: "tls_ca /etc/ssl/example/internal.pem;",
            "The authorities that may vouch for the server's certificate; the system's where not given."),
    ]

    static let exchange: [Directive] = [
        Directive(
            "until", in: [.exchangeToken, .exchangeCookie], .arguments("YYYY-MM-DD", 1...1),
            example: "until 2027-01-31;",
            "The last day, in UTC, on which this is exchanged."),
        Directive(
            "issuer", in: [.exchangeToken], .arguments("TEXT", 1...1),
            example: "issuer https://old.example.com;",
            "The 'iss' of these tokens; not looked at where it is not given."),
        Directive(
            "audience", in: [.exchangeToken], .arguments("NAME…|any", 1...50), example: "audience old-api;",
            "What these tokens must be for: one of these; not looked at where it is not given."),
        Directive(
            "cookie", in: [.exchangeToken], .arguments("NAME", 1...1), example: "cookie old_token;",
            "The cookie that the token is in; otherwise it comes as refresh tokens do, or in Authorization."),
        Directive(
            "claims", in: [.exchangeToken], .arguments("NAME…", 1...50), example: "claims role tenant;",
            "The claims that pass from the token into its session; none where it is not given."),
        Directive(
            "expired", in: [.exchangeToken], .duration(0...400 * day), default: "0s",
            "How long after its end such a token is still exchanged."),
        Directive(
            "upstream", in: [.exchangeCookie], .arguments("NAME PATH", 2...2),
            example: "upstream api /whoami;",
            "Who is asked about the cookie: a 200 that names the subject begins a session for it."),
        Directive(
            "timeout", in: [.exchangeCookie, .accessCheck], .duration(10...30 * second), default: "2s",
            "How long the answer may take."),
    ]
}
