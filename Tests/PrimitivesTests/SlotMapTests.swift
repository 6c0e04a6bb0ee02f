// Handles: each names one value for as long as it stays, and nothing afterwards.

import Primitives
import Support
import Testing

@Suite struct SlotMapTests {
    @Test("a handle finds its value, and nothing once that is removed")
    func stale() {
        var map = SlotMap<String>()
        let first = map.insert("a")
        #expect(map[first] == "a")
        #expect(map.remove(first) == "a")
        #expect(map[first] == nil)
        #expect(map.remove(first) == nil)
        #expect(map.count == 0)
    }

    @Test("a handle does not find the value that took its place, and cannot remove it")
    func reused() {
        var map = SlotMap<String>()
        let first = map.insert("a")
        map.remove(first)
        let second = map.insert("b")
        #expect(second != first)
        #expect(second.raw & 0xffff_ffff == first.raw & 0xffff_ffff)
        #expect(map[first] == nil)
        #expect(map.remove(first) == nil)
        #expect(map[second] == "b")
    }

    @Test(
        "0 and handles that were never given find nothing", arguments: [0, 1, 7, 1 << 32 | 1, .max, .max - 1])
    func foreign(_ raw: UInt64) {
        var map = SlotMap<String>()
        let only = map.insert("a")
        #expect(map[SlotMap.Handle(raw: raw)] == nil)
        #expect(map.remove(SlotMap.Handle(raw: raw)) == nil)
        #expect(map[SlotMap.Handle(raw: only.raw)] == "a")
    }

    @Test("any order of insertions and removals behaves like a dictionary", arguments: 0..<10)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var map = SlotMap<UInt64>()
        var live: [SlotMap<UInt64>.Handle: UInt64] = [:]
        var given: [SlotMap<UInt64>.Handle] = []
        for _ in 0..<1000 {
            if random.below(2) == 0 {
                let value = random.next()
                let handle = map.insert(value)
                #expect(live.updateValue(value, forKey: handle) == nil)
                given.append(handle)
            } else if !given.isEmpty {
                let handle = random.pick(given)
                #expect(map.remove(handle) == live.removeValue(forKey: handle), "seed \(seed)")
            }
            #expect(map.count == live.count)
        }
        #expect(Set(given).count == given.count)
        for handle in given { #expect(map[handle] == live[handle]) }
        #expect(map.values.sorted() == live.values.sorted())
    }
}
