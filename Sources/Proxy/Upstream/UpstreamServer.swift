// What all shards know of one server of an upstream: where it is, and how many connections all of them
// together have to it. Also what they count together of an upstream: the requests that wait.
//
// Shared, with atomic counters; everything else that is known of a server belongs to a shard.

import Configuration
package import Network
import Synchronization
import TLS

/// A server of an upstream: one address.
package final class UpstreamServer: Sendable {
    package let address: SocketAddress
    let weight: Int
    /// For requests that name no host (HTTP/1.0), and for health checks.
    let authority: [UInt8]
    /// The address as the access log writes it.
    let label: [UInt8]
    /// nil: as many connections as are needed.
    let quota: ConnectionQuota?
    /// How many shards leave it alone because of failures; logged when the first begins and the last ends.
    private let ejections = Atomic(0)
    /// Health checks have taken it out.
    private let isDown = Atomic(false)

    /// How it is spoken to; nil for plain HTTP.
    let tls: ClientTLS?

    init(_ configuration: ServerConfiguration, address: SocketAddress, tls: ClientTLS?) {
        self.address = address
        self.tls = tls
        weight = max(1, configuration.weight)
        quota = configuration.connectionsMax.map { ConnectionQuota(max: $0) }
        label = Array(address.description.utf8)
        switch configuration.address {
        case .name(let host, let port): authority = Array("\(host):\(port)".utf8)
        case .ip: authority = label
        case .unix: authority = Array("localhost".utf8)
        }
    }

    /// Whether a configuration says the same of it. `tls` is made anew by each reload, whose files may hold
    /// something new under the same names; a lookup of names has the same as before.
    func isConfigured(as server: ServerConfiguration, tls: ClientTLS?) -> Bool {
        self.tls === tls && weight == max(1, server.weight) && quota?.max == server.connectionsMax
    }

    /// The server as messages name it.
    var text: String {
        if address.family == .unix { return address.description }
        return (tls == nil ? "http://" : "https://") + address.description
    }

    /// Whether it gets requests, as far as every shard knows.
    var isUp: Bool { !isDown.load(ordering: .relaxed) && ejections.load(ordering: .relaxed) == 0 }

    /// What health checks have found; every shard says the same.
    func note(isDown: Bool) { self.isDown.store(isDown, ordering: .relaxed) }

    /// A shard leaves it alone from now on; true for the first one.
    func beginEjection() -> Bool { ejections.wrappingAdd(1, ordering: .relaxed).oldValue == 0 }

    /// A shard uses it again; true for the last one.
    func endEjection() -> Bool { ejections.wrappingSubtract(1, ordering: .relaxed).newValue == 0 }
}

/// How many connections all shards together have to a server.
final class ConnectionQuota: Sendable {
    let max: Int
    private let count = Atomic(0)

    init(max: Int) { self.max = max }

    var hasRoom: Bool { count.load(ordering: .relaxed) < max }
    var isUnused: Bool { count.load(ordering: .relaxed) == 0 }

    /// Takes a place; false when all are taken.
    func take() -> Bool {
        var seen = count.load(ordering: .relaxed)
        while seen < max {
            let (exchanged, original) = count.weakCompareExchange(
                expected: seen, desired: seen + 1, ordering: .relaxed)
            if exchanged { return true }
            seen = original
        }
        return false
    }

    func giveBack() {
        let left = count.wrappingSubtract(1, ordering: .relaxed).newValue
        precondition(left >= 0, "a place was given back twice")
    }
}

/// How many requests of all shards wait for a connection to an upstream.
final class WaitingCount: Sendable {
    private let count = Atomic(0)

    var value: Int { count.load(ordering: .relaxed) }
    func add(_ difference: Int) { count.wrappingAdd(difference, ordering: .relaxed) }
}
