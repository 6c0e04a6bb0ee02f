// The rows of `access_token` and `refresh_token`.

extension DirectiveTable {
    static let bounceBody: ClosedRange<UInt64> = 1_024...(1 << 30)
    static let rateCount = 1...1_000_000
    static let rateBurst = 1...1_000_000
    static let rateBounds =
        "N \(ValueDecoding.rangeText(rateCount))"
        + " · burst \(ValueDecoding.rangeText(rateBurst)), by default what one second brings"

    static let accessToken: [Directive] = [
        Directive(
            "issuer", in: [.accessToken], .arguments("URL", 1...1),
            example: "issuer https://api.example.com;",
            "The 'iss' of our tokens; the public URL where it is not given."),
        Directive(
            "audience", in: [.accessToken], .arguments("NAME", 1...1), default: "api",
            "The 'aud' of our tokens: what they are good for."),
        Directive(
            "algorithm", in: [.accessToken], .choice(["ES256"]), default: "ES256",
            later: [
                "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384",
                "ES512",
                "EdDSA",
            ],
            "What new tokens are signed with."),
        Directive(
            "lifetime", in: [.accessToken], .duration(10 * second...400 * day), default: "15m",
            "How long an access token is good: how soon a change of rights arrives."),
        Directive(
            "leeway", in: [.accessToken], .duration(0...5 * minute), default: "30s",
            "How far the clocks of issuer and gateway may differ."),
        Directive(
            "stream_grace", in: [.accessToken], .duration(0...60 * minute), default: "60s",
            "How long a WebSocket or an event stream outlives its access token, unless its session refreshes."
        ),
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
            "delivery", in: [.refreshToken], .choice(["auto", "cookie", "body"]), default: "auto",
            "How tokens reach the client; auto means cookies for browsers and JSON for everything else."),
        Directive(
            "format", in: [.refreshToken], .choice(["opaque"]), default: "opaque", later: ["jwt"],
            "What a refresh token looks like."),
        Directive(
            "rate", in: [.refreshToken], .arguments("N/s|N/m|N/h [burst=N]", 1...2), bounds: rateBounds,
            example: "rate 10/s burst=20;",
            "How many calls of the refresh endpoints one client address may make; no limit by default."),
        Directive(
            "bounce_body", in: [.refreshToken], .arguments("off|SIZE", 1...1), default: "1m",
            bounds: ValueDecoding.rangeText(bounceBody),
            "The largest body that a browser is asked to send again once its token has been refreshed."),
    ]
}
