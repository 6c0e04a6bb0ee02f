// The directives of gateway.conf: the one table, in the order in which help prints it.
//
// A directive that means different things in different blocks has a row for each meaning. A directive that a
// later release brings has a row too (`DirectiveTable.later`), so that it is never taken for a spelling
// mistake.

/// The rows, and how to find one.
package enum DirectiveTable {
    /// Every directive there is, or will be.
    package static let rows: [Directive] =
        main + limits + logs + control + accessToken + refreshToken + upstream + route + later

    package static let names = Set(rows.map(\.name))

    private static let byName = Dictionary(grouping: rows, by: \.name)

    /// The row of `name` in `block`.
    package static func row(_ name: String, in block: Block) -> Directive? {
        byName[name]?.first { $0.blocks.contains(block) }
    }

    /// Every row of `name`.
    package static func rows(named name: String) -> [Directive] { byName[name] ?? [] }

    /// The names that may stand in `block` now.
    package static func availableNames(in block: Block) -> [String] {
        rows.filter { $0.availability == .now && $0.blocks.contains(block) }.map(\.name)
    }

    private static let second: Int64 = 1_000
    private static let minute: Int64 = 60_000
    private static let day: Int64 = 86_400_000
    private static let requestBody: ClosedRange<UInt64> = 1_024...(1 << 40)

    private static let main: [Directive] = [
        Directive(
            "listen", in: [.main], .arguments("ADDRESS:PORT", 1...1), example: "listen 0.0.0.0:8080;",
            repeats: true, later: ["tls", "proxy_protocol", "redirect_to_https", "unix:"],
            "Accepts clients at a literal address; port 0 lets the system choose one."),
        Directive(
            "workers", in: [.main], .arguments("auto|NUMBER", 1...1), default: "auto",
            "How many shards share the work, 1 to 256; auto is one for each core."),
        Directive(
            "state_directory", in: [.main], .arguments("PATH", 1...1), default: "/var/lib/auth-gateway",
            "Where the signing keys and the session database live."),
        Directive(
            "public_url", in: [.main], .arguments("http(s)://HOST[:PORT]", 1...1),
            example: "public_url https://api.example.com;",
            "The origin that clients use; it decides the cookies and, where nothing else is said, the issuer."
        ),
        Directive(
            "limits", in: [.main], .arguments("", 0...0), opens: .limits,
            "Bounds on what one client may cost."),
        Directive(
            "logs", in: [.main], .arguments("", 0...0), opens: .logs,
            "Where the logs go and how much they say."),
        Directive(
            "control", in: [.main], .arguments("", 0...0), opens: .control,
            "The private listener for operators: health, metrics and the control API."),
        Directive(
            "access_token", in: [.main], .arguments("", 0...0), opens: .accessToken,
            "The short-lived tokens that requests carry."),
        Directive(
            "refresh_token", in: [.main], .arguments("", 0...0), opens: .refreshToken,
            "The long-lived tokens that fetch new access tokens, and go nowhere else."),
        Directive(
            "sessions", in: [.main], .choice(["sqlite"]), default: "sqlite", later: ["postgresql"],
            "Where the sessions are kept; sqlite is a file in the state directory."),
        Directive(
            "upstream", in: [.main], .arguments("NAME", 1...1), opens: .upstream,
            example: "upstream api { … }",
            repeats: true, "An API behind the gateway."),
        Directive(
            "route", in: [.main], .arguments("[=] [HOST]PATH", 1...2), opens: .route,
            example: "route /admin/ { … }",
            repeats: true,
            "Requests whose path lies under PATH, or with = is PATH; the most specific route wins."
        ),
        Directive(
            "include", in: Block.allCases, .arguments("FILE-GLOB", 1...1), example: "include conf.d/*.conf;",
            repeats: true,
            "Reads other files as if they stood here, in the order of their names; relative to this file."),
    ]

    private static let limits: [Directive] = [
        Directive(
            "request_header", in: [.limits], .size(1_024...(1 << 20)), default: "32k",
            "The largest request head."),
        Directive(
            "header_count", in: [.limits], .number(10...1_000), default: "100",
            "The most header fields that a request may have."),
        Directive(
            "request_body", in: [.limits], .size(requestBody), default: "10m",
            "The largest request body; a route may say otherwise."),
        Directive(
            "connections", in: [.limits], .number(1...1_000_000), default: "20000",
            "The most client connections at one time."),
        Directive(
            "connections_per_address", in: [.limits], .number(1...1_000_000), default: "256",
            "The most connections from one client address."),
        Directive(
            "header_timeout", in: [.limits], .duration(100...10 * minute), default: "10s",
            "From the first byte of a request to the end of its head."),
        Directive(
            "body_timeout", in: [.limits], .duration(100...60 * minute), default: "30s",
            "The longest silence inside of a request body."),
        Directive(
            "idle_timeout", in: [.limits], .duration(second...60 * minute), default: "75s",
            "How long a connection without a request stays open."),
    ]

    private static let logs: [Directive] = [
        Directive(
            "access", in: [.logs], .arguments("off|stdout|stderr|PATH [json|combined]", 1...2),
            default: "stdout json", "One line for each request."),
        Directive(
            "audit", in: [.logs], .arguments("off|stdout|stderr|PATH", 1...1), default: "stdout",
            "One JSON line for whatever happens to sessions, keys and the configuration."),
        Directive(
            "level", in: [.logs], .choice(["error", "warning", "info", "debug"]), default: "info",
            "How much the gateway says about itself on stderr."),
    ]

    private static let control: [Directive] = [
        Directive(
            "listen", in: [.control], .arguments("ADDRESS:PORT", 1...1), example: "listen 127.0.0.1:9901;",
            later: ["unix:"], "The address of the control listener; keep it private."),
        Directive(
            "secret", in: [.control], .arguments("TEXT|env:NAME|file:PATH", 1...1),
            example: "secret file:/etc/auth-gateway/control.secret;",
            "The bearer token of the control API, 16 characters or more; needed unless on loopback."
        ),
    ]

    private static let accessToken: [Directive] = [
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
    ]

    private static let refreshToken: [Directive] = [
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
    ]

    private static let upstream: [Directive] = [
        Directive(
            "server", in: [.upstream], .arguments("http://ADDRESS:PORT", 1...1),
            example: "server http://127.0.0.1:9000;", repeats: true, later: ["https://", "unix:", "weight="],
            "Where the API listens: a literal address, or localhost for 127.0.0.1."),
        Directive(
            "connect_timeout", in: [.upstream], .duration(10...5 * minute), default: "1s",
            "How long a connection to the upstream may take to open."),
        Directive(
            "response_timeout", in: [.upstream], .duration(10...day), default: "60s",
            "From the end of the request to the response head, and between two reads of the response."),
        Directive(
            "keepalive", in: [.upstream], .number(0...10_000), default: "128",
            "How many idle connections each shard keeps for the next request."),
    ]

    private static let route: [Directive] = [
        Directive(
            "upstream", in: [.route], .arguments("NAME", 1...1), example: "upstream api;",
            "The upstream that the requests of this route go to."),
        Directive(
            "access", in: [.route], .choice(["required", "optional", "anonymous"]), default: "required",
            "Whether a request needs a valid access token, may carry one, or is not asked."),
        Directive(
            "login", in: [.route], .none,
            "Session-Start in the upstream's answer begins a session."),
        Directive(
            "session_control", in: [.route], .none,
            "Session-End in the upstream's answer ends sessions."),
        Directive(
            "require", in: [.route], .arguments("scope SCOPE…|claim NAME VALUE…", 2...100),
            example: "require claim role admin;", repeats: true,
            "What the access token must grant: each scope, and one of the values of each claim."),
        Directive(
            "identity_header", in: [.route], .arguments("FIELD claim CLAIM", 3...3),
            example: "identity_header X-Auth-Role claim role;", repeats: true,
            "Tells the upstream a claim of the token in a header field that no client can forge."),
        Directive(
            "request_body", in: [.route], .size(requestBody), example: "request_body 1g;",
            "The largest request body on this route; that of 'limits' where it is not given."),
    ]
}
