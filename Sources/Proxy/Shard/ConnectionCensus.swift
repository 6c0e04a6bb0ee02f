// How many connections there are, in all and from each address: the acceptor asks before it deals one out,
// shards tell when one has closed.

import Network
import Synchronization

/// Counts client connections. Has a lock: the acceptor and every shard use it, once per connection.
package final class ConnectionCensus: Sendable {
    private struct Counts: Sendable {
        var total = 0
        var byAddress: [[UInt8]: Int] = [:]
    }

    private let counts = Mutex(Counts())
    private let totalMax: Int
    private let perAddressMax: Int

    package init(totalMax: Int, perAddressMax: Int) {
        self.totalMax = totalMax
        self.perAddressMax = perAddressMax
    }

    /// Counts a connection in; false when a limit forbids it.
    func admit(_ peer: SocketAddress) -> Bool {
        counts.withLock { counts in
            if counts.total >= totalMax { return false }
            // Peers on unix sockets have no address that tells one from another.
            if peer.family == .unix {
                counts.total += 1
                return true
            }
            let fromAddress = counts.byAddress[peer.bytes, default: 0]
            if fromAddress >= perAddressMax { return false }
            counts.total += 1
            counts.byAddress[peer.bytes] = fromAddress + 1
            return true
        }
    }

    func remove(_ peer: SocketAddress) {
        counts.withLock { counts in
            counts.total -= 1
            if peer.family == .unix { return }
            let left = counts.byAddress[peer.bytes, default: 1] - 1
            counts.byAddress[peer.bytes] = left > 0 ? left : nil
        }
    }

    /// How many connections are open.
    package var total: Int { counts.withLock { $0.total } }
}
