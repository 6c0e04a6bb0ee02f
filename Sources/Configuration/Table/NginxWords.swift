// What those who know nginx write first, and what it is here: the file looks like nginx's own, so that its
// words are the likeliest to be tried.

/// Directives of nginx that this gateway has by another name, or does by itself.
enum NginxWords {
    /// What a directive of nginx is here; nil for what is none, or has no counterpart.
    static func counterpart(of name: String) -> String? { counterparts[name] }

    private static let counterparts = [
        "location": "'route' here: route /path { upstream api; }",
        "http": "nothing here: what stands in it stands in the main block",
        "events": "nothing here: take it out",
        "worker_processes": "'workers' here",
        "proxy_pass":
            "'upstream' here: upstream api { server http://127.0.0.1:9000; } and in a route upstream api;",
        "proxy_set_header":
            "'set_header' here, in a route; Host, X-Forwarded-For, -Proto and -Host are sent without it",
        "proxy_hide_header": "nothing here: answers are passed on as they are",
        "add_header": "nothing here: answers are passed on as they are",
        "proxy_redirect": "nothing here: Location is passed on as it is",
        "proxy_buffering": "nothing here: answers are passed on as they come",
        "proxy_request_buffering": "nothing here: bodies are passed on as they come",
        "proxy_http_version": "nothing here: upstreams are spoken to in HTTP/1.1",
        "proxy_connect_timeout": "'connect_timeout' here, in 'upstream'",
        "proxy_read_timeout":
            "two here, in 'upstream' or 'route': response_timeout until the answer begins, then idle_timeout",
        "proxy_next_upstream_tries": "'tries' here, in 'upstream'",
        "proxy_ssl_trusted_certificate": "'tls_ca' here, in 'upstream'",
        "client_max_body_size": "'request_body' here, in 'limits' or 'route'",
        "client_body_timeout": "'body_timeout' here, in 'limits'",
        "client_header_timeout": "'header_timeout' here, in 'limits'",
        "keepalive_timeout": "'idle_timeout' here, in 'limits'",
        "large_client_header_buffers": "'request_header' here, in 'limits'",
        "limit_req": "'rate' here, in 'route': rate 5/s burst=10;",
        "limit_req_zone": "'rate' here, in 'route': rate 5/s burst=10;",
        "limit_conn": "'connections_per_address' here, in 'limits'",
        "set_real_ip_from": "'trusted_proxies' here",
        "real_ip_header": "'trusted_proxies' here: X-Forwarded-For and Forwarded of these are believed",
        "ssl_certificate": "'certificate' here, in 'tls'",
        "ssl_certificate_key": "'private_key' here, in 'tls'",
        "ssl_client_certificate": "'client_ca' here, in 'tls'",
        "ssl_protocols": "'minimum_version' here, in 'tls'",
        "access_log": "'access' here, in 'logs'",
        "error_log": "'error' here, in 'logs'",
        "return": "'respond' here: respond 404;",
        "auth_request": "nothing here: every route wants a token that does not say 'access anonymous'",
    ]
}
