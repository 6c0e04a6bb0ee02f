// Which server of an upstream gets the next request. A value without I/O or clock, so that every case of it
// can be tried: smooth weighted round robin, or the fewest exchanges for its weight, among those that are
// worth asking. One look at each server, and no allocation.
//
// A server that the prober has taken out is never chosen. Those that failures have taken out are left alone
// as long as there is another; when every one would be out, all are used as if none were.

import Configuration
import Primitives

/// The servers of an upstream as one shard chooses between them.
struct ServerChoice {
    /// A server; what is known of it by address is kept beside, at the same index.
    struct Candidate {
        /// Never used again for another server of the pool.
        let id: Int
        var weight: Int
        /// Exchanges under way.
        var active = 0
        var health = ServerHealth()
        /// Smooth weighted round robin: what it is owed.
        fileprivate var credit = 0

        init(id: Int, weight: Int) {
            self.id = id
            self.weight = weight
        }
    }

    enum Outcome: Equatable {
        case server(Int)
        /// There are servers worth asking, and none has room for another connection.
        case full
        /// No server may be asked.
        case none
    }

    var candidates: [Candidate] = []
    private var balance: UpstreamConfiguration.Balance
    private var policy: FailurePolicy

    init(_ balance: UpstreamConfiguration.Balance, _ policy: FailurePolicy) {
        self.balance = balance
        self.policy = policy
    }

    /// Chooses by other rules from now on; what is known of the servers stays.
    mutating func change(to balance: UpstreamConfiguration.Balance, _ policy: FailurePolicy) {
        self.balance = balance
        self.policy = policy
    }

    /// The next server.
    ///
    /// - Parameters:
    ///   - tried: ids of servers that this exchange has tried in vain.
    ///   - hasRoom: whether the server at an index can take another exchange.
    mutating func next(
        _ now: MonotonicInstant, excluding tried: [Int], hasRoom: (Int) -> Bool
    ) -> Outcome {
        if candidates.count == 1 && tried.isEmpty {
            if candidates[0].health.isDown { return .none }
            return hasRoom(0) ? .server(0) : .full
        }
        guard let usesOut = mustUseOut(now, tried) else { return .none }
        let fewest = balance == .leastConnections ? fewestExchanges(now, tried, usesOut, hasRoom) : nil
        var best: Int?
        var total = 0
        for index in candidates.indices where isEligible(index, now, tried, usesOut) && hasRoom(index) {
            let share = effectiveWeight(index, now)
            if let fewest, !isTied(index, share, with: fewest) { continue }
            candidates[index].credit += share
            total += share
            if let found = best, candidates[found].credit >= candidates[index].credit { continue }
            best = index
        }
        guard let best else { return .full }
        candidates[best].credit -= total
        return .server(best)
    }

    /// Whether the servers that failures have taken out are needed; nil when no server may be asked at all.
    private func mustUseOut(_ now: MonotonicInstant, _ tried: [Int]) -> Bool? {
        var hasAny = false
        for index in candidates.indices where isEligible(index, now, tried, true) {
            if candidates[index].health.isUsable(now) { return false }
            hasAny = true
        }
        return hasAny ? true : nil
    }

    private func isEligible(_ index: Int, _ now: MonotonicInstant, _ tried: [Int], _ usesOut: Bool) -> Bool {
        if candidates[index].health.isDown || tried.contains(candidates[index].id) { return false }
        return usesOut || candidates[index].health.isUsable(now)
    }

    private mutating func effectiveWeight(_ index: Int, _ now: MonotonicInstant) -> Int {
        candidates[index].weight * candidates[index].health.share(now, policy)
    }

    // MARK: - Least connections

    /// Exchanges of the least busy server, and the weight that they are held against.
    private struct Load {
        let active: Int
        let share: Int
    }

    private mutating func fewestExchanges(
        _ now: MonotonicInstant, _ tried: [Int], _ usesOut: Bool, _ hasRoom: (Int) -> Bool
    ) -> Load? {
        var fewest: Load?
        for index in candidates.indices where isEligible(index, now, tried, usesOut) && hasRoom(index) {
            let load = Load(active: candidates[index].active, share: effectiveWeight(index, now))
            if let found = fewest, load.active * found.share >= found.active * load.share { continue }
            fewest = load
        }
        return fewest
    }

    /// Ties go round.
    private func isTied(_ index: Int, _ share: Int, with fewest: Load) -> Bool {
        candidates[index].active * fewest.share == fewest.active * share
    }
}
