// What one shard counts of connections: TLS handshakes of clients, those that a limit has turned away, and
// those to upstreams.

import Observability
import TLS

/// TLS handshakes with clients. Written by one shard alone.
final class HandshakeMetrics: Sendable {
    private let counters = CounterBlock()

    func succeeded(_ session: TLSSession) {
        counters.add((session.isVersion13 ? 2 : 0) + (session.isResumed ? 1 : 0))
    }

    /// - Parameter word: of `TLSError`, or one of `otherWords`.
    func failed(_ word: String) {
        guard let place = Self.failures.firstIndex(of: word) else { return }
        counters.add(Self.successes.count + place)
    }

    func success(_ place: Int) -> UInt64 { counters.value(place) }
    func failure(_ place: Int) -> UInt64 { counters.value(Self.successes.count + place) }

    static let successes: [(version: String, isResumed: String)] = [
        ("1.2", "false"), ("1.2", "true"), ("1.3", "false"), ("1.3", "true"),
    ]
    static let timeout = "timeout"
    static let gone = "client_closed"
    static let failures = TLSError.logWords + [timeout, gone]
}

/// What was turned away before it was a request. Written by one shard alone.
final class AdmissionMetrics: Sendable {
    let connections = Counter()
    let connectionsPerAddress = Counter()

    func count(_ limit: ConnectionLimit) {
        switch limit {
        case .total: connections.add()
        case .perAddress: connectionsPerAddress.add()
        }
    }
}

/// The connections of one shard to one upstream. Written by it alone.
final class PoolMetrics: Sendable {
    let idle = Counter()
    let active = Counter()
    let waiting = Counter()
    let connects = Counter()
    let connectFailures = Counter()
    let connectTimeouts = Counter()
    let tlsFailures = Counter()

    /// A connection could not be made.
    func failed(_ error: ProxyError) {
        switch error {
        case .upstreamConnectTimeout: connectTimeouts.add()
        case .upstreamTLS: tlsFailures.add()
        default: connectFailures.add()
        }
    }
}
