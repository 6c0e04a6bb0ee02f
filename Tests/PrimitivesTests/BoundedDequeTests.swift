// The bounded queue against an array that does the same: order, bound, and removal from the middle.

import Primitives
import Support
import Testing

@Suite struct BoundedDequeTests {
    @Test("what came first leaves first, and there is never more than the bound")
    func bound() {
        var deque = BoundedDeque<Int>(countMax: 3)
        for number in 1...3 { #expect(deque.append(number) == true) }
        #expect(deque.append(4) == false)
        #expect(deque.prepend(0) == false)
        #expect(deque.popFirst() == 1)
        #expect(deque.append(4) == true)
        #expect([deque.popFirst(), deque.popFirst(), deque.popFirst(), deque.popFirst()] == [2, 3, 4, nil])
    }

    @Test("a bound of nothing takes nothing")
    func nothing() {
        var deque = BoundedDeque<Int>(countMax: 0)
        #expect(deque.append(1) == false)
        #expect(deque.prepend(1) == false)
        #expect(deque.popFirst() == nil)
    }

    @Test("one that leaves from the middle changes nobody else's place")
    func middle() {
        var deque = BoundedDeque<Int>(countMax: 8)
        for number in 1...5 { #expect(deque.append(number) == true) }
        #expect(deque.removeFirst(where: { $0 == 3 }) == true)
        #expect(deque.removeFirst(where: { $0 == 3 }) == false)
        #expect(deque.count == 4)
        #expect((1...4).map { _ in deque.popFirst() } == [1, 2, 4, 5])
    }

    @Test("in any order of steps it holds what an array would", arguments: 1...20)
    func steps(_ seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var deque = BoundedDeque<Int>(countMax: 20)
        var array: [Int] = []
        for step in 0..<500 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                #expect(deque.append(step) == (array.count < 20))
                if array.count < 20 { array.append(step) }
            case 2:
                #expect(deque.prepend(step) == (array.count < 20))
                if array.count < 20 { array.insert(step, at: 0) }
            case 3:
                #expect(deque.popFirst() == (array.isEmpty ? nil : array.removeFirst()))
            default:
                let victim = array.randomElement(using: &random) ?? -1
                #expect(deque.removeFirst(where: { $0 == victim }) == array.contains(victim))
                array.removeAll { $0 == victim }
            }
            #expect(deque.count == array.count)
            #expect(deque.first == array.first)
        }
    }
}
