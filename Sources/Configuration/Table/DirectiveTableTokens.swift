// The rows of `access_token`, of the `style` in it, and of `refresh_token`.

extension DirectiveTable {
    static let bounceBody: ClosedRange<UInt64> = 1_024...(1 << 30)
    static let sessionsPerSubject = 0...100_000
    static let jitterPercent = 0...50
    static let rateCount = 1...1_000_000
    static let rateBurst = 1...1_000_000
    static let rateBounds =
        "N \(ValueDecoding.rangeText(rateCount))"
        + " · burst \(ValueDecoding.rangeText(rateBurst)), by default what one second brings"

    static let tokenLifetime: ClosedRange<Int64> = 10 * second...400 * day
    static let keyLifetime: ClosedRange<Int64> = 60 * minute...3_650 * day

    /// Whoever has the secret of one of these can make tokens, and not only check them.
    static let symmetricAlgorithms = ["HS256", "HS384", "HS512"]
    static let asymmetricAlgorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ]
    /// As JWS names them (RFC 7518 §3.1, RFC 8037 §3.1).
    package static let algorithms = symmetricAlgorithms + asymmetricAlgorithms

    static let accessToken: [Directive] = [
        Directive(
            "issuer", in: [.accessToken], .arguments("URL", 1...1),
            example: "issuer https://api.example.com;",
            "The 'iss' of our tokens; the public URL where it is not given."),
        Directive(
            "audience", in: [.accessToken], .arguments("NAME", 1...1), default: "api",
            "The 'aud' of our tokens: what they are good for."),
        Directive(
            "algorithm", in: [.accessToken], .choice(algorithms), default: "ES256",
            "What new tokens are signed with; with a 'signing_key' its algorithm, and then not needed."),
        Directive(
            "signing_key", in: [.accessToken], .arguments("ALG FILE [kid=ID]", 2...3),
            example: "signing_key ES256 /etc/auth-gateway/signing.pem;", repeats: true,
            "A key of your own, as PEM: the first signs, the others verify, and the gateway makes none."),
        Directive(
            "key_lifetime", in: [.accessToken], .arguments("DURATION|never", 1...1), default: "90d",
            bounds: ValueDecoding.rangeText(keyLifetime),
            "How old a key that the gateway has made may be before the next one signs."),
        Directive(
            "lifetime", in: [.accessToken], .duration(tokenLifetime), default: "15m",
            "How long an access token is good: how soon a change of rights arrives; 7d with 'style single'."),
        Directive(
            "jitter", in: [.accessToken], .arguments("PERCENT", 1...1), default: "5%",
            bounds: "\(jitterPercent.lowerBound)% to \(jitterPercent.upperBound)%",
            "By up to how much each token lives shorter, so that clients do not all refresh at once."),
        Directive(
            "leeway", in: [.accessToken], .duration(0...5 * minute), default: "30s",
            "How far the clocks of issuer and gateway may differ."),
        Directive(
            "stream_grace", in: [.accessToken], .duration(0...60 * minute), default: "60s",
            "How long a WebSocket or an event stream outlives its access token, unless its session refreshes."
        ),
        Directive(
            "forward", in: [.accessToken], .choice(["on", "off"]), default: "off",
            "Whether upstreams get the token as well, where it came in Authorization."),
        Directive(
            "style", in: [.accessToken], .choice(["single"]), opens: .style,
            example: "style single { use_expiry useExp 10m; }",
            "One token with two expiries, in place of an access token and a refresh token."),
    ]

    static let style: [Directive] = [
        Directive(
            "use_expiry", in: [.style], .arguments("NAME DURATION", 2...2),
            bounds: ValueDecoding.rangeText(tokenLifetime) + ", less than 'lifetime'",
            example: "use_expiry useExp 10m;",
            "The claim that says until when the token is good for requests, and how long that is.")
    ]

    static let refreshToken: [Directive] = [
        Directive(
            "path", in: [.refreshToken], .arguments("PATH", 1...1), default: "/refresh",
            "The one prefix that refresh tokens are sent to; it belongs to the gateway, not to a route."),
        Directive(
            "idle_lifetime", in: [.refreshToken], .duration(minute...3_650 * day), default: "7d",
            "How long a session lives without a refresh."),
        Directive(
            "max_lifetime", in: [.refreshToken], .duration(minute...3_650 * day), default: "90d",
            "How long a session lives at most, however active."),
        Directive(
            "race_window", in: [.refreshToken],
            .arguments("DURATION|cookie=DURATION body=DURATION", 1...2), default: "cookie=30s body=60s",
            "How long after a refresh the replaced token still gets the same answer; one value sets both."),
        Directive(
            "sessions_per_subject", in: [.refreshToken], .arguments("N|none", 1...1), default: "100",
            bounds: ValueDecoding.rangeText(sessionsPerSubject),
            "How many sessions a subject may have: with one more, the oldest ends; 0 or none is no limit."),
        Directive(
            "delivery", in: [.refreshToken], .choice(["auto", "cookie", "body"]), default: "auto",
            "How tokens reach the client; auto means cookies for browsers and JSON for everything else."),
        Directive(
            "format", in: [.refreshToken], .choice(["opaque", "jwt"]), default: "opaque",
            "What a refresh token looks like: nothing that could be read, or a signed token."),
        Directive(
            "rate", in: [.refreshToken], .arguments("N/s|N/m|N/h [burst=N]", 1...2), bounds: rateBounds,
            example: "rate 10/s burst=20;",
            "How many calls of the refresh endpoints one client address may make; no limit by default."),
        Directive(
            "bounce_body", in: [.refreshToken], .arguments("off|SIZE", 1...1), default: "1m",
            bounds: ValueDecoding.rangeText(bounceBody),
            "The largest body that a browser is asked to send again once its token has been refreshed."),
        Directive(
            "access_check", in: [.refreshToken], .arguments("UPSTREAM PATH", 2...2), opens: .accessCheck,
            blockIsOptional: true, example: "access_check api /internal/access;",
            "Asks an upstream at each refresh whether the subject may still come in."),
        Directive(
            "exchange", in: [.refreshToken], .arguments("token|cookie NAME", 1...2), opens: .exchangeToken,
            example: "exchange cookie old_session { … }", repeats: true,
            "A credential of before the gateway that a session is begun for, so that nobody is logged out."),
    ]
}
