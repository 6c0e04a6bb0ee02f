// The rows of `upstream` and of its `health_check`, but not of its `tls`, with the bounds of their options,
// which the validator holds them to.

extension DirectiveTable {
    static let serverWeight = 1...100
    static let serverConnections = 1...1_000_000
    static let queueLength = 0...100_000
    static let queueTimeout: ClosedRange<Int64> = 1...10 * minute
    static let keepaliveConnections = 0...10_000
    static let keepaliveTimeout: ClosedRange<Int64> = 100...day
    static let responseTimeout: ClosedRange<Int64> = 10...day
    static let tunnelTimeout: ClosedRange<Int64> = 10...30 * day

    static let upstream: [Directive] = [
        Directive(
            "server", in: [.upstream],
            .arguments("http(s)://HOST[:PORT]|unix:PATH [weight=N] [connections=N]", 1...3),
            bounds: "weight \(ValueDecoding.rangeText(serverWeight)), 1 where it is not given"
                + " · connections \(ValueDecoding.rangeText(serverConnections)), no limit",
            example: "server http://127.0.0.1:9000;", repeats: true,
            "Where the API listens, its share of the requests, and the most connections it can bear."),
        Directive(
            "balance", in: [.upstream], .choice(["round_robin", "least_connections"]),
            default: "round_robin",
            "Which server gets a request: the next one, or the one with the fewest at work."),
        Directive(
            "tls", in: [.upstream], .arguments("", 0...0), opens: .upstreamTLS,
            "How servers at https:// are spoken to, and whose word is taken for their certificates."),
        Directive(
            "tls_ca", in: [.upstream], .arguments("FILE", 1...1),
            example: "tls_ca /etc/ssl/example/internal.pem;",
            "Short for 'tls { ca FILE; }'."),
        Directive(
            "health_check", in: [.upstream], .arguments("PATH", 1...1), opens: .healthCheck,
            blockIsOptional: true, example: "health_check /healthz;",
            "Asks each server for PATH every so often; an answer of 2xx or 3xx in time is good."),
        Directive(
            "max_fails", in: [.upstream], .number(0...1_000), default: "3",
            "So many failed requests within 'fail_timeout' take a server out for that time; 0 is never."),
        Directive(
            "fail_timeout", in: [.upstream], .duration(100...60 * minute), default: "10s",
            "In which time failures count, and how long a server that had too many is left alone."),
        Directive(
            "slow_start", in: [.upstream], .duration(0...60 * minute), default: "0s",
            "How long a server that has come back takes to get its full share; 0s is at once."),
        Directive(
            "queue", in: [.upstream], .arguments("NUMBER [timeout=DURATION]", 1...2),
            default: "256 timeout=5s",
            bounds: "NUMBER \(ValueDecoding.rangeText(queueLength))"
                + " · timeout \(ValueDecoding.rangeText(queueTimeout))",
            "How many requests of each shard wait while no server may have another connection, and how long."
        ),
        Directive(
            "tries", in: [.upstream], .number(1...10), default: "3",
            "How many servers are tried for a request of which none has seen anything yet."),
        Directive(
            "resolve", in: [.upstream], .duration(second...day), default: "30s",
            "How often host names are looked up again."),
        Directive(
            "connect_timeout", in: [.upstream], .duration(10...5 * minute), default: "1s",
            "How long a connection to a server may take to open."),
        Directive(
            "response_timeout", in: [.upstream], .duration(responseTimeout), default: "60s",
            "From the end of the request to the response head."),
        Directive(
            "idle_timeout", in: [.upstream], .duration(responseTimeout), default: "60s",
            "The longest silence inside of an answer."),
        Directive(
            "tunnel_timeout", in: [.upstream], .duration(tunnelTimeout), default: "1h",
            "The longest silence on an upgraded connection, such as a WebSocket."),
        Directive(
            "keepalive", in: [.upstream], .arguments("NUMBER [timeout=DURATION]", 1...2),
            default: "128 timeout=60s",
            bounds: "NUMBER \(ValueDecoding.rangeText(keepaliveConnections))"
                + " · timeout \(ValueDecoding.rangeText(keepaliveTimeout))",
            "How many idle connections to each server each shard keeps for the next request, and how long."),
    ]

    static let healthCheck: [Directive] = [
        Directive(
            "every", in: [.healthCheck], .duration(100...60 * minute), default: "5s",
            "How often each server is asked."),
        Directive(
            "timeout", in: [.healthCheck], .duration(10...5 * minute), default: "1s",
            "How long the answer may take; shorter than 'every'."),
        Directive(
            "fails", in: [.healthCheck], .number(1...100), default: "3",
            "So many failed checks in a row take a server out."),
        Directive(
            "passes", in: [.healthCheck], .number(1...100), default: "2",
            "So many good checks in a row bring it back."),
    ]
}
