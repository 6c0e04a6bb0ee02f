// The rows of the main block, and of the blocks that are about the gateway itself: limits, logs and control.

extension DirectiveTable {
    static let requestBody: ClosedRange<UInt64> = 1_024...(1 << 40)
    static let minimumRate: ClosedRange<UInt64> = 1...(1 << 30)

    static let drainDelay: ClosedRange<Int64> = 0...5 * minute
    static let drainTimeout: ClosedRange<Int64> = 0...day

    static let main: [Directive] = [
        Directive(
            "listen", in: [.main],
            .arguments("ADDRESS:PORT|unix:PATH [tls|redirect_to_https] [proxy_protocol]", 1...3),
            example: "listen 0.0.0.0:8080;", repeats: true,
            "Accepts clients at a literal address or a socket; port 0 lets the system choose one."),
        Directive(
            "tls", in: [.main], .arguments("", 0...0), opens: .tls,
            "The certificates of the listeners with 'tls', and how these speak it."),
        Directive(
            "workers", in: [.main], .arguments("auto|NUMBER", 1...1), default: "auto",
            "How many shards share the work, 1 to 256; auto is one for each core."),
        Directive(
            "user", in: [.main], .arguments("USER [GROUP]", 1...2), example: "user auth-gateway;",
            "Who the gateway becomes when root starts it, once its listeners are open; files are that user's."
        ),
        Directive(
            "drain_delay", in: [.main], .duration(drainDelay), default: "0s",
            "How long it serves on when it is to stop, while /readyz says so to those who send clients."
        ),
        Directive(
            "drain_timeout", in: [.main], .duration(drainTimeout), default: "25s",
            "How long what has begun may take after that, before it is cut off."),
        Directive(
            "state_directory", in: [.main], .arguments("PATH", 1...1), default: "/var/lib/auth-gateway",
            "Where the signing keys and the session database live."),
        Directive(
            "trusted_proxies", in: [.main], .arguments("ADDRESS|ADDRESS/BITS|unix…", 1...1_000),
            example: "trusted_proxies 10.0.0.0/8;", repeats: true,
            "Whose word on the client's address is taken: the X-Forwarded fields, Forwarded, PROXY headers."),
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
            "issuer", in: [.main], .arguments("URL|TEXT", 1...1), opens: .issuer,
            example: "issuer https://login.example.org/ { … }", repeats: true,
            "Somebody else whose access tokens are accepted: the 'iss' of these, letter for letter."),
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
            "expect", in: [.main],
            .arguments("METHOD TARGET anonymous|WORD [VALUE]… STATUS|forwarded", 4...100),
            bounds: "WORD is token, expired or cookie; or, with a VALUE: claim NAME=VALUE, scope, subject,"
                + " issuer, header NAME=VALUE",
            example: "expect GET /admin/ claim role=user 403;", repeats: true,
            "What becomes of a request, held against the routes by 'check', at the start and at each reload."
        ),
        Directive(
            "include", in: Block.allCases, .arguments("FILE-GLOB", 1...1), example: "include conf.d/*.conf;",
            repeats: true,
            "Reads other files as if they stood here, in the order of their names; relative to this file."),
    ]

    static let limits: [Directive] = [
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
        Directive(
            "minimum_rate", in: [.limits], .arguments("off|SIZE/s", 1...1), default: "512b/s",
            bounds: "\(ValueDecoding.rangeText(minimumRate)), each second",
            "How fast a client must send a body or take an answer, on average, while it is waited for."),
        Directive(
            "access_token", in: [.limits], .size(1_024...(64 << 10)), default: "8k",
            "The longest access token that is looked at; those of identity providers may be long."),
    ]

    static let logs: [Directive] = [
        Directive(
            "access", in: [.logs],
            .arguments("off|stdout|stderr|PATH|SYSLOG [json|combined] [OPTIONS]", 1...4),
            default: "stdout json",
            "One line for each request; SYSLOG is syslog or syslog:unix:PATH, OPTIONS facility= and tag=."),
        Directive(
            "audit", in: [.logs], .arguments("off|stdout|stderr|PATH|SYSLOG [OPTIONS]", 1...3),
            default: "stdout", "One JSON line for whatever happens to sessions, keys and the configuration."),
        Directive(
            "error", in: [.logs], .arguments("stdout|stderr|PATH|SYSLOG [OPTIONS]", 1...3),
            default: "stderr", "What the gateway says about itself; in the journal by its severities."),
        Directive(
            "level", in: [.logs], .choice(["error", "warning", "info", "debug"]), default: "info",
            "How much the gateway says about itself."),
    ]

    static let control: [Directive] = [
        Directive(
            "listen", in: [.control], .arguments("ADDRESS:PORT|unix:PATH", 1...1),
            example: "listen 127.0.0.1:9901;", later: ["tls"],
            "The address or the socket of the control listener; keep it private."),
        Directive(
            "secret", in: [.control], .arguments("TEXT|env:NAME|file:PATH", 1...1),
            example: "secret file:/etc/auth-gateway/control.secret;",
            "The bearer token of the control API, from 16 characters; needed but on loopback or a socket."
        ),
    ]
}
