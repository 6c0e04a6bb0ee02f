// What the shards have counted, gathered for `/metrics` on the control listener. The list of the shards has a
// lock, their numbers have none.

import Configuration
import JOSE
import Observability
import Primitives
import Synchronization

/// The numbers of one shard. Written by it alone.
final class ShardMetrics: Sendable {
    let memoHits = Counter()
    let cacheHits = Counter()
    let cacheMisses = Counter()
    let cacheTokens = Counter()
    let cacheBytes = Counter()
    let connections = Counter()
    /// How many revocations are in force.
    let revocations = Counter()
    /// When the newest of them was made, in milliseconds since 1970; 0 for none.
    let newestRevocation = Counter()
}

/// The numbers of all shards. Has a lock, for the list of them; the numbers have none.
package final class GatewayMetrics: Sendable {
    private let shards = Mutex<[ShardMetrics]>([])

    package init() {}

    /// The numbers of a new shard.
    func addShard() -> ShardMetrics {
        let metrics = ShardMetrics()
        shards.withLock { $0.append(metrics) }
        return metrics
    }

    /// All there is to tell.
    func text(_ runtime: GatewayRuntime, now: MonotonicInstant, wallTime: WallTime) -> [UInt8] {
        var text = MetricsText()
        let shards = shards.withLock { $0 }
        func sum(_ path: KeyPath<ShardMetrics, Counter>) -> UInt64 {
            shards.reduce(0) { $0 &+ $1[keyPath: path].value }
        }
        text.begin(
            "auth_gateway_connections", .gauge, "Open connections of clients, control listener included.")
        text.sample("auth_gateway_connections", sum(\.connections))
        writeCache(sum, count: shards.count, &text)
        writeRevocations(shards, wallTime, &text)
        writeIssuers(runtime.issuers, now, &text)
        return text.bytes
    }

    private func writeRevocations(_ shards: [ShardMetrics], _ now: WallTime, _ text: inout MetricsText) {
        text.begin("auth_gateway_revocations", .gauge, "Revocations that are in force and can still matter.")
        text.sample("auth_gateway_revocations", shards.map(\.revocations.value).max() ?? 0)
        // Of the shard that is furthest behind, should one be.
        guard let newest = shards.map(\.newestRevocation.value).min(), newest > 0 else { return }
        text.begin(
            "auth_gateway_newest_revocation_age_seconds", .gauge,
            "Age of the newest revocation that every worker has in force; absent before the first.")
        text.sample(
            "auth_gateway_newest_revocation_age_seconds", [],
            Double(max(0, now.milliseconds - Int64(newest))) / 1000)
    }

    private func writeCache(
        _ sum: (KeyPath<ShardMetrics, Counter>) -> UInt64, count: Int, _ text: inout MetricsText
    ) {
        text.begin(
            "auth_gateway_token_checks_total", .counter,
            "Access tokens checked: remembered by the connection or by the cache, or verified anew.")
        text.sample("auth_gateway_token_checks_total", [("result", "connection_hit")], sum(\.memoHits))
        text.sample("auth_gateway_token_checks_total", [("result", "cache_hit")], sum(\.cacheHits))
        text.sample("auth_gateway_token_checks_total", [("result", "miss")], sum(\.cacheMisses))
        text.begin("auth_gateway_token_cache_tokens", .gauge, "Verified tokens that are remembered.")
        text.sample("auth_gateway_token_cache_tokens", sum(\.cacheTokens))
        text.begin("auth_gateway_token_cache_bytes", .gauge, "What the remembered tokens are reckoned at.")
        text.sample("auth_gateway_token_cache_bytes", sum(\.cacheBytes))
        text.begin("auth_gateway_token_cache_limit_bytes", .gauge, "What they may be at most, in all shards.")
        text.sample("auth_gateway_token_cache_limit_bytes", UInt64(Gatekeeper.cacheBytesMax * count))
    }

    private func writeIssuers(
        _ issuers: [IssuerTarget], _ now: MonotonicInstant, _ text: inout MetricsText
    ) {
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

    private static func label(_ issuer: IssuerTarget) -> [(name: StaticString, value: String)] {
        [("issuer", issuer.configuration.issuer)]
    }
}
