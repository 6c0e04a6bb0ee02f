// Which shard a connection goes to: the one that took it in, until that has more than its share.

import Testing

@testable import Proxy

@Suite struct ShardLoadsTests {
    @Test("a few connections stay where they came in")
    func few() {
        let loads = ShardLoads(count: 4)
        for _ in 0..<3 { #expect(loads.shard(forConnectionOf: 2) == 2) }
    }

    @Test("however they come in, no shard has many more than another")
    func crowd() {
        for came in [{ _ in 0 }, { $0 % 2 }, { $0 * 7919 % 4 }] as [(Int) -> Int] {
            let loads = ShardLoads(count: 4)
            var counts = [0, 0, 0, 0]
            for number in 0..<1000 { counts[loads.shard(forConnectionOf: came(number))] += 1 }
            #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 4, "\(counts)")
        }
    }

    @Test("one that has closed makes room again")
    func closing() {
        let loads = ShardLoads(count: 2)
        for _ in 0..<100 {
            #expect(loads.shard(forConnectionOf: 1) == 1)
            loads.remove(from: 1)
        }
    }

    @Test("one shard has them all")
    func alone() {
        let loads = ShardLoads(count: 1)
        for _ in 0..<100 { #expect(loads.shard(forConnectionOf: 0) == 0) }
    }
}
