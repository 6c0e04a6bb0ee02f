// The rows of `tls`, in the main block and in `upstream`, and of `server_name`.

extension DirectiveTable {
    static let versions = ["1.2", "1.3"]
    static let hstsAge: ClosedRange<Int64> = 0...3_650 * day

    static let tls: [Directive] = [
        Directive(
            "certificate", in: [.tls, .serverName], .arguments("FILE", 1...1),
            example: "certificate /etc/ssl/example/fullchain.pem;", repeats: true,
            "A certificate and those that lead to an authority, as PEM; several of different kinds of key."),
        Directive(
            "private_key", in: [.tls, .serverName], .arguments("FILE", 1...1),
            example: "private_key /etc/ssl/example/privkey.pem;", repeats: true,
            "The key of a certificate, as PEM; the n-th one goes with the n-th 'certificate'."),
        Directive(
            "minimum_version", in: [.tls], .choice(versions), default: "1.2",
            "The oldest version of TLS that clients may speak."),
        Directive(
            "server_name", in: [.tls], .arguments("NAME…", 1...1_000), opens: .serverName,
            example: "server_name other.example.com { … }", repeats: true,
            "Other certificates for clients that ask for these names; *.example.com is one label more."),
        Directive(
            "client_ca", in: [.tls], .arguments("FILE [optional|required]", 1...2),
            example: "client_ca /etc/ssl/example/clients.pem;",
            "The authorities that may vouch for client certificates, which are required or only welcome."),
        Directive(
            "tickets", in: [.tls], .choice(["on", "off"]), default: "on",
            "Whether clients may take up an earlier session, which saves them a round trip."),
        Directive(
            "hsts", in: [.tls], .arguments("off|DURATION [include_subdomains] [preload]", 1...3),
            default: "365d", bounds: ValueDecoding.rangeText(hstsAge) + ", 0s takes it back",
            "How long browsers keep to https: Strict-Transport-Security on the listeners with TLS."),
        Directive(
            "handshake_timeout", in: [.tls], .duration(100...10 * minute), default: "10s",
            "From the opening of a connection to the end of its TLS handshake."),
    ]

    static let upstreamTLS: [Directive] = [
        Directive(
            "ca", in: [.upstreamTLS], .arguments("FILE", 1...1), example: "ca /etc/ssl/example/internal.pem;",
            "The authorities that may vouch for the servers' certificates; the system's where not given."),
        Directive(
            "certificate", in: [.upstreamTLS], .arguments("FILE", 1...1),
            example: "certificate /etc/ssl/example/gateway.pem;",
            "The gateway's own certificate, for servers that ask for one."),
        Directive(
            "private_key", in: [.upstreamTLS], .arguments("FILE", 1...1),
            example: "private_key /etc/ssl/example/gateway.key;",
            "The key of that certificate."),
        Directive(
            "server_name", in: [.upstreamTLS], .arguments("NAME", 1...1),
            example: "server_name api.internal;",
            "The name that is asked for and checked, in place of the host of each 'server'."),
        Directive(
            "minimum_version", in: [.upstreamTLS], .choice(versions), default: "1.2",
            "The oldest version of TLS that the servers may speak."),
        Directive(
            "insecure", in: [.upstreamTLS], .none,
            "Takes any certificate: whoever stands in between can pose as the servers."),
    ]
}
