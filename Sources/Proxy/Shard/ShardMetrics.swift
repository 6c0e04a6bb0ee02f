// What the shards have counted, for whoever asks on the control listener. The lists of what there is to count
// have locks; the numbers have none.

import Configuration
import JOSE
import Observability
import Primitives
import Synchronization

/// The numbers of one shard. Written by it alone.
final class ShardMetrics: Sendable {
    private struct Named: Sendable {
        var routes: [String: RouteMetrics] = [:]
        var pools: [String: PoolMetrics] = [:]
        var observed: [String: RefusalMetrics] = [:]
    }

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
    /// Exchanges that have begun, and those that are over.
    let begun = Counter()
    let concluded = Counter()
    /// Requests that have no route: nobody's, those of the gateway's own endpoints, and of the control
    /// listener.
    let unrouted = RouteMetrics()
    let endpoints = RouteMetrics()
    let control = RouteMetrics()
    let refusals = RefusalMetrics()
    let tokensAccepted = Counter()
    /// By `TokenRejection.allCases`.
    let tokensRefused = TokenRejection.allCases.map { _ in Counter() }
    let handshakes = HandshakeMetrics()
    let admissions = AdmissionMetrics()
    /// Browsers that were sent round by the refresh endpoint, and to a login page.
    let bounces = Counter()
    let loginRedirects = Counter()
    /// What routes and pools count outlives a configuration, so that no number goes back.
    private let named = Mutex(Named())

    func route(_ label: String) -> RouteMetrics {
        named.withLock { named in
            if let known = named.routes[label] { return known }
            let new = RouteMetrics()
            named.routes[label] = new
            return new
        }
    }

    func pool(_ name: String) -> PoolMetrics {
        named.withLock { named in
            if let known = named.pools[name] { return known }
            let new = PoolMetrics()
            named.pools[name] = new
            return new
        }
    }

    /// What an observed route would have refused.
    func observed(_ route: String) -> RefusalMetrics {
        named.withLock { named in
            if let known = named.observed[route] { return known }
            let new = RefusalMetrics()
            named.observed[route] = new
            return new
        }
    }

    /// The routes of which something was observed.
    var observedRoutes: [String: RefusalMetrics] { named.withLock { $0.observed } }

    func refused(_ rejection: TokenRejection) {
        guard let place = TokenRejection.allCases.firstIndex(of: rejection) else { return }
        tokensRefused[place].add()
    }
}

/// The numbers of all shards. Has a lock, for the list of them; the numbers have none.
package final class GatewayMetrics: Sendable {
    private let list = Mutex<[ShardMetrics]>([])

    package init() {}

    /// The numbers of a new shard.
    func addShard() -> ShardMetrics {
        let metrics = ShardMetrics()
        list.withLock { $0.append(metrics) }
        return metrics
    }

    var shards: [ShardMetrics] { list.withLock { $0 } }

    func sum(_ path: KeyPath<ShardMetrics, Counter>) -> UInt64 {
        shards.reduce(0) { $0 &+ $1[keyPath: path].value }
    }

    /// The routes of a configuration, and what has none, each under its label.
    func routes(of runtime: GatewayRuntime) -> [RouteSum] {
        let shards = shards
        let labels = runtime.policy.routes.all.map { String(decoding: $0.label, as: UTF8.self) }
        return labels.map { label in RouteSum(label: label, parts: shards.map { $0.route(label) }) } + [
            RouteSum(label: "endpoints", parts: shards.map(\.endpoints)),
            RouteSum(label: "control", parts: shards.map(\.control)),
            RouteSum(label: "none", parts: shards.map(\.unrouted)),
        ]
    }
}
