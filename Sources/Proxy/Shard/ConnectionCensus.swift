// How many connections there are: in all and from each address, which is limited (that has a lock), and on
// each shard, so that none has many more than another.

import Network
import Synchronization

/// How many connections each shard has. Has no lock: the counts are atomic, and every shard looks at all.
final class ShardLoads: Sendable {
    private final class Entry: Sendable {
        let count = Atomic(0)
    }

    private let entries: [Entry]

    init(count: Int) { entries = (0..<count).map { _ in Entry() } }

    /// Who is to have a connection that a shard has taken in: the shard itself, unless it has more than its
    /// share already.
    func shard(forConnectionOf index: Int) -> Int {
        let mine = entries[index].count.load(ordering: .relaxed)
        var (least, chosen) = (mine - Self.slack, index)
        for (other, entry) in entries.enumerated() {
            let count = entry.count.load(ordering: .relaxed)
            if count < least { (least, chosen) = (count, other) }
        }
        entries[chosen].count.wrappingAdd(1, ordering: .relaxed)
        return chosen
    }

    /// A connection of a shard has closed.
    func remove(from index: Int) { entries[index].count.wrappingSubtract(1, ordering: .relaxed) }

    /// So many more connections than another shard one may have: moving one costs the waking of a thread.
    private static let slack = 3
}

/// What a connection can be one too many for.
package enum ConnectionLimit: Sendable { case total, perAddress }

/// Counts client connections. Has a lock: every shard uses it, once per connection.
package final class ConnectionCensus: Sendable {
    private struct Counts: Sendable {
        var total = 0
        var totalMax: Int
        var perAddressMax: Int
        var byAddress: [[UInt8]: Int] = [:]
    }

    private let counts: Mutex<Counts>

    package init(totalMax: Int, perAddressMax: Int) {
        counts = Mutex(Counts(totalMax: totalMax, perAddressMax: perAddressMax))
    }

    /// Has other limits hold from now on; who is in stays.
    func change(totalMax: Int, perAddressMax: Int) {
        counts.withLock { counts in
            counts.totalMax = totalMax
            counts.perAddressMax = perAddressMax
        }
    }

    /// Counts a connection in, or says which limit forbids it.
    ///
    /// - Parameter peer: nil where it is not known yet.
    func admit(_ peer: SocketAddress?) -> ConnectionLimit? {
        counts.withLock { counts in
            if counts.total >= counts.totalMax { return .total }
            if let limit = admit(peer, &counts) { return limit }
            counts.total += 1
            return nil
        }
    }

    /// Counts a connection for its address, which has just become known, or says which limit forbids it.
    func identify(_ peer: SocketAddress) -> ConnectionLimit? { counts.withLock { admit(peer, &$0) } }

    private func admit(_ peer: SocketAddress?, _ counts: inout Counts) -> ConnectionLimit? {
        // Peers on unix sockets have no address that tells one from another.
        guard let peer, peer.family != .unix else { return nil }
        let fromAddress = counts.byAddress[peer.bytes, default: 0]
        if fromAddress >= counts.perAddressMax { return .perAddress }
        counts.byAddress[peer.bytes] = fromAddress + 1
        return nil
    }

    /// Counts a connection out.
    ///
    /// - Parameter peer: the address that it was counted for; nil where it never became known.
    func remove(_ peer: SocketAddress?) {
        counts.withLock { counts in
            counts.total -= 1
            guard let peer, peer.family != .unix else { return }
            let left = counts.byAddress[peer.bytes, default: 1] - 1
            counts.byAddress[peer.bytes] = left > 0 ? left : nil
        }
    }

    /// How many connections are open.
    package var total: Int { counts.withLock { $0.total } }
}
