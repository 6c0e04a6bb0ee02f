// The connections of one shard to one upstream: the idle ones, last used first, and the making of new ones.
//
// Owned by: one shard.

import Configuration
import Observability
import Network
import Primitives

/// Hands out connections to an upstream.
final class UpstreamPool {
    let shard: Shard
    let target: UpstreamTarget
    private var idle: [UpstreamConnection] = []

    init(_ target: UpstreamTarget, shard: Shard) {
        self.target = target
        self.shard = shard
    }

    /// Gives the exchange of a client's connection a way upstream and sends its request head.
    ///
    /// - Parameter onNewConnection: not one that has idled: for the second try after a stale one.
    func assign(to downstream: DownstreamConnection, onNewConnection: Bool = false) {
        if !onNewConnection, let connection = idle.popLast() {
            connection.begin(downstream)
            return
        }
        do throws(SystemError) {
            let transport = try Transport.connecting(to: target.address)
            let connection = UpstreamConnection(transport, pool: self)
            try connection.open()
            connection.begin(downstream)
        } catch {
            shard.runtime.services.log.warning("upstream \(target.configuration.name): \(error)")
            downstream.upstreamFailed(.upstreamConnect)
        }
    }

    /// Takes a connection back that can serve again; false when enough are kept.
    func keep(_ connection: UpstreamConnection) -> Bool {
        if idle.count >= target.configuration.keepaliveConnections || shard.isDraining { return false }
        idle.append(connection)
        return true
    }

    /// Forgets an idle connection that has closed.
    func forget(_ connection: UpstreamConnection) {
        idle.removeAll { $0 === connection }
    }

    /// Closes every idle connection.
    func closeIdle() {
        let connections = idle
        idle = []
        for connection in connections { connection.close() }
    }

    /// After this long without a request a connection gives its buffers back, in milliseconds.
    static let restMilliseconds: Int64 = 1_000
    /// How long an unused connection is kept after that, in milliseconds.
    static let idleMilliseconds: Int64 = 60_000
}
