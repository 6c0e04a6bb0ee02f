// `/metrics`: all there is to count, in the text format of Prometheus. What each is for stands in a table
// beside the alert rules, which a test holds to this list.

import Configuration
import JOSE
import Network
import Observability
import Primitives

/// Writes the metrics of a gateway, in the order of the page.
struct MetricsPage {
    let runtime: GatewayRuntime
    let now: MonotonicInstant
    let wallTime: WallTime
    var text = MetricsText()
    let shards: [ShardMetrics]

    init(_ runtime: GatewayRuntime, now: MonotonicInstant, wallTime: WallTime) {
        self.runtime = runtime
        self.now = now
        self.wallTime = wallTime
        shards = runtime.services.metrics.shards
    }

    /// The whole page.
    static func bytes(_ runtime: GatewayRuntime, now: MonotonicInstant, wallTime: WallTime) -> [UInt8] {
        var page = MetricsPage(runtime, now: now, wallTime: wallTime)
        page.writeRequests()
        page.writeConnections()
        page.writeTokens()
        page.writeIssuers()
        page.writeSessions()
        page.writeUpstreams()
        page.writeProcess()
        return page.text.bytes
    }

    func sum(_ path: KeyPath<ShardMetrics, Counter>) -> UInt64 {
        shards.reduce(0) { $0 &+ $1[keyPath: path].value }
    }

    mutating func write(_ name: StaticString, _ kind: MetricKind, _ help: StaticString, _ value: UInt64) {
        text.begin(name, kind, help)
        text.sample(name, value)
    }
}

// MARK: - Requests

extension MetricsPage {
    fileprivate mutating func writeRequests() {
        let routes = runtime.services.metrics.routes(of: runtime)
        text.begin(
            "auth_gateway_http_requests_total", .counter,
            "Requests that are over, by route, method and status.")
        for route in routes {
            for (method, name) in RouteMetrics.methods.enumerated() {
                for (place, code) in RouteMetrics.codes {
                    let count = route.count(method, place)
                    if count == 0 { continue }
                    text.sample(
                        "auth_gateway_http_requests_total",
                        [("route", route.label), ("method", name), ("code", code)], count)
                }
            }
        }
        text.begin(
            "auth_gateway_http_request_duration_seconds", .histogram,
            "From the head of a request to the end of its answer, by route and class of status.")
        for route in routes {
            for index in 0..<RouteMetrics.classCount {
                let sum = route.duration(ofClass: index)
                if sum.count == 0 { continue }
                text.sample(
                    "auth_gateway_http_request_duration_seconds",
                    [("route", route.label), ("code", "\(index + 1)xx")], sum)
            }
        }
        text.begin(
            "auth_gateway_upstream_request_duration_seconds", .histogram,
            "From the handing of a request to the upstream to the head of its answer.")
        for route in routes {
            for index in 0..<RouteMetrics.classCount {
                let sum = route.upstreamDuration(ofClass: index)
                if sum.count == 0 { continue }
                text.sample(
                    "auth_gateway_upstream_request_duration_seconds",
                    [("route", route.label), ("code", "\(index + 1)xx")], sum)
            }
        }
        // Read in this order: what ends in between must not make it negative.
        let concluded = sum(\.concluded)
        write(
            "auth_gateway_http_requests_in_flight", .gauge, "Requests that have begun and are not over.",
            sum(\.begun) &- concluded)
        writeRefusals(routes)
    }

    private mutating func writeRefusals(_ routes: [RouteSum]) {
        text.begin(
            "auth_gateway_refusals_total", .counter,
            "Exchanges that the gateway refused, or that failed, by the word of the access log.")
        for (place, word) in RefusalMetrics.words.enumerated() {
            let count = shards.reduce(0) { $0 &+ $1.refusals.value(place) }
            text.sample("auth_gateway_refusals_total", [("reason", word)], count)
        }
        text.begin(
            "auth_gateway_observed_refusals_total", .counter,
            "Requests that an observed route let pass and would have refused.")
        let observed = shards.map(\.observedRoutes)
        for route in routes {
            let parts = observed.compactMap { $0[route.label] }
            if parts.isEmpty { continue }
            for (place, word) in RefusalMetrics.words.enumerated() {
                let count = parts.reduce(0) { $0 &+ $1.value(place) }
                if count == 0 { continue }
                text.sample(
                    "auth_gateway_observed_refusals_total", [("route", route.label), ("reason", word)], count)
            }
        }
        text.begin(
            "auth_gateway_browser_redirects_total", .counter,
            "Browsers sent to refresh their token and come back, or to a login page.")
        text.sample("auth_gateway_browser_redirects_total", [("to", "refresh")], sum(\.bounces))
        text.sample("auth_gateway_browser_redirects_total", [("to", "login")], sum(\.loginRedirects))
    }
}

// MARK: - Connections of clients

extension MetricsPage {
    fileprivate mutating func writeConnections() {
        write(
            "auth_gateway_connections", .gauge, "Open connections of clients, control listener included.",
            sum(\.connections))
        text.begin(
            "auth_gateway_connections_refused_total", .counter,
            "Connections of clients that were closed at once because of a limit.")
        for (label, path) in [
            ("connections", \AdmissionMetrics.connections),
            ("connections_per_address", \AdmissionMetrics.connectionsPerAddress),
        ] {
            let count = shards.reduce(UInt64(0)) { $0 &+ $1.admissions[keyPath: path].value }
            text.sample("auth_gateway_connections_refused_total", [("limit", label)], count)
        }
        if runtime.hasTLS { writeHandshakes() }
        let certificates = runtime.services.status.current.certificates
        if certificates.isEmpty { return }
        text.begin(
            "auth_gateway_tls_certificate_not_after_timestamp_seconds", .gauge,
            "When a certificate ends, by the first name it is for and its file.")
        for certificate in certificates {
            text.sample(
                "auth_gateway_tls_certificate_not_after_timestamp_seconds",
                [("name", certificate.names.first ?? ""), ("file", certificate.file)],
                Double(certificate.notAfter.seconds))
        }
    }

    private mutating func writeHandshakes() {
        text.begin(
            "auth_gateway_tls_handshakes_total", .counter,
            "TLS handshakes with clients that were done, by version, and whether a session was resumed.")
        for (place, kind) in HandshakeMetrics.successes.enumerated() {
            text.sample(
                "auth_gateway_tls_handshakes_total",
                [("version", kind.version), ("resumed", kind.isResumed)],
                shards.reduce(0) { $0 &+ $1.handshakes.success(place) })
        }
        text.begin(
            "auth_gateway_tls_handshake_failures_total", .counter,
            "TLS handshakes with clients that failed, by reason.")
        for (place, word) in HandshakeMetrics.failures.enumerated() {
            text.sample(
                "auth_gateway_tls_handshake_failures_total", [("reason", word)],
                shards.reduce(0) { $0 &+ $1.handshakes.failure(place) })
        }
    }
}

// MARK: - Tokens

extension MetricsPage {
    fileprivate mutating func writeTokens() {
        text.begin(
            "auth_gateway_token_verdicts_total", .counter,
            "Access tokens of requests: accepted, or why they were refused.")
        text.sample(
            "auth_gateway_token_verdicts_total", [("result", "accepted"), ("reason", "")],
            sum(\.tokensAccepted))
        for (place, rejection) in TokenRejection.allCases.enumerated() {
            text.sample(
                "auth_gateway_token_verdicts_total", [("result", "refused"), ("reason", rejection.code)],
                shards.reduce(0) { $0 &+ $1.tokensRefused[place].value })
        }
        text.begin(
            "auth_gateway_token_checks_total", .counter,
            "Access tokens checked: remembered by the connection or by the cache, or verified anew.")
        text.sample("auth_gateway_token_checks_total", [("result", "connection_hit")], sum(\.memoHits))
        text.sample("auth_gateway_token_checks_total", [("result", "cache_hit")], sum(\.cacheHits))
        text.sample("auth_gateway_token_checks_total", [("result", "miss")], sum(\.cacheMisses))
        write(
            "auth_gateway_token_cache_tokens", .gauge, "Verified tokens that are remembered.",
            sum(\.cacheTokens))
        write(
            "auth_gateway_token_cache_bytes", .gauge, "What the remembered tokens are reckoned at.",
            sum(\.cacheBytes))
        write(
            "auth_gateway_token_cache_limit_bytes", .gauge, "What they may be at most, in all shards.",
            UInt64(Gatekeeper.cacheBytesMax * shards.count))
        write(
            "auth_gateway_revocations", .gauge, "Revocations that are in force and can still matter.",
            shards.map(\.revocations.value).max() ?? 0)
        // Of the shard that is furthest behind, should one be.
        guard let newest = shards.map(\.newestRevocation.value).min(), newest > 0 else { return }
        text.begin(
            "auth_gateway_newest_revocation_age_seconds", .gauge,
            "Age of the newest revocation that every worker has in force; absent before the first.")
        text.sample(
            "auth_gateway_newest_revocation_age_seconds", [],
            Double(max(0, wallTime.milliseconds - Int64(newest))) / 1000)
    }

    fileprivate mutating func writeIssuers() {
        let issuers = runtime.issuers
        if issuers.isEmpty { return }
        text.begin("auth_gateway_issuer_keys", .gauge, "Keys known of a foreign issuer.")
        for issuer in issuers {
            text.sample("auth_gateway_issuer_keys", Self.label(issuer), UInt64(issuer.keys.set.keys.count))
        }
        let fetched = issuers.filter(\.isRemote).map { ($0, $0.fetches) }
        if fetched.isEmpty { return }
        text.begin("auth_gateway_issuer_fetches_total", .counter, "Fetches of a foreign issuer's keys.")
        for (issuer, fetches) in fetched {
            let label = Self.label(issuer)
            text.sample(
                "auth_gateway_issuer_fetches_total", label + [("result", "success")], fetches.successes)
            text.sample(
                "auth_gateway_issuer_fetches_total", label + [("result", "failure")], fetches.failures)
        }
        text.begin(
            "auth_gateway_issuer_keys_age_seconds", .gauge,
            "Time since a foreign issuer's keys were fetched last.")
        for (issuer, fetches) in fetched {
            guard let last = fetches.lastSuccess else { continue }
            let age = Double(now.milliseconds - last.milliseconds) / 1000
            text.sample("auth_gateway_issuer_keys_age_seconds", Self.label(issuer), max(0, age))
        }
    }

    private static func label(_ issuer: IssuerTarget) -> MetricLabels {
        [("issuer", issuer.configuration.issuer)]
    }
}
