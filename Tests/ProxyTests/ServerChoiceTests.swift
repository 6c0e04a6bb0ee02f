// Which server is chosen: exact orders and shares, ties, slow start at given instants, exclusion, and the
// difference between full and gone.

import Configuration
import Primitives
import Testing

@testable import Proxy

@Suite("Server choice")
struct ServerChoiceTests {
    @Test("weights 5, 1 and 1 are served smoothly, and exactly in proportion")
    func smooth() {
        var choice = makeChoice([5, 1, 1])
        #expect((0..<7).map { _ in next(&choice) } == [0, 0, 1, 0, 2, 0, 0])
        #expect((0..<7).map { _ in next(&choice) } == [0, 0, 1, 0, 2, 0, 0])
        var counts = [0, 0, 0]
        for _ in 0..<700 { if let index = next(&choice) { counts[index] += 1 } }
        #expect(counts == [500, 100, 100])
    }

    @Test("equal servers take turns")
    func turns() {
        var choice = makeChoice([1, 1, 1])
        #expect((0..<6).map { _ in next(&choice) } == [0, 1, 2, 0, 1, 2])
    }

    @Test("the fewest exchanges for its weight wins, and ties go round")
    func leastConnections() {
        var choice = makeChoice([1, 1, 2], .leastConnections)
        #expect((0..<4).map { _ in next(&choice) } == [2, 0, 1, 2])
        var started: [Int?] = []
        for _ in 0..<8 {
            let index = next(&choice)
            started.append(index)
            if let index { choice.candidates[index].active += 1 }
        }
        #expect(choice.candidates.map(\.active) == [2, 2, 4])
        choice.candidates[1].active = 0
        #expect(next(&choice) == 1)
        choice.candidates[2].active = 0
        choice.candidates[0].active = 0
        choice.candidates[1].active = 1
        #expect((0..<4).filter { _ in next(&choice) == 1 }.isEmpty)
    }

    @Test("a server that has come back starts with a tenth of its share and has all of it in the end")
    func slowStart() {
        var health = ServerHealth()
        let policy = FailurePolicy(failuresMax: 1, windowMilliseconds: 1_000, slowStartMilliseconds: 10_000)
        #expect(health.share(at(0), policy) == 1_000)
        #expect(health.failed(at(0), policy) == .out)
        #expect(health.succeeded(at(2_000)) == .back)
        #expect(health.share(at(2_000), policy) == 100)
        #expect(health.share(at(7_000), policy) == 550)
        #expect(health.share(at(11_999), policy) == 999)
        #expect(health.share(at(12_000), policy) == 1_000)
        var choice = ServerChoice(.roundRobin, policy)
        choice.candidates = [.init(id: 0, weight: 1), .init(id: 1, weight: 1)]
        choice.candidates[1].health.judge(isUp: false, at(0))
        #expect((0..<3).map { _ in next(&choice) } == [0, 0, 0])
        choice.candidates[1].health.judge(isUp: true, at(0))
        let first = (0..<110).filter { _ in next(&choice) == 1 }
        #expect(first.count == 10)
        #expect((0..<100).filter { _ in next(&choice, at(10_000)) == 1 }.count == 50)
    }

    @Test("without slow start a server is back at once")
    func noSlowStart() {
        var health = ServerHealth()
        let policy = FailurePolicy(failuresMax: 1, windowMilliseconds: 1_000, slowStartMilliseconds: 0)
        health.judge(isUp: false, at(0))
        health.judge(isUp: true, at(5))
        #expect(health.share(at(5), policy) == 1_000)
    }

    @Test("a server that was tried is not chosen again; when all were, none is left")
    func exclusion() {
        var choice = makeChoice([5, 1, 1])
        #expect((0..<4).map { _ in next(&choice, excluding: [0]) } == [1, 2, 1, 2])
        #expect(next(&choice, excluding: [0, 2]) == 1)
        #expect(choice.next(at(0), excluding: [0, 1, 2]) { _ in true } == .none)
        var lone = makeChoice([1])
        #expect(lone.next(at(0), excluding: [0]) { _ in true } == .none)
        #expect(lone.next(at(0), excluding: [7]) { _ in true } == .server(0))
    }

    @Test("servers without room are passed over; when none has any, that is no failure")
    func room() {
        for weights in [[1, 1, 1], [1]] {
            var choice = makeChoice(weights)
            #expect(choice.next(at(0), excluding: []) { _ in false } == .full)
            #expect(
                choice.next(at(0), excluding: []) { $0 == weights.count - 1 } == .server(weights.count - 1))
        }
    }

    @Test("a server that the prober took out is never used, not even when all are out")
    func down() {
        for count in [1, 2] {
            var choice = makeChoice(Array(repeating: 1, count: count))
            for index in 0..<count { choice.candidates[index].health.judge(isUp: false, at(0)) }
            #expect(choice.next(at(0), excluding: []) { _ in true } == .none)
            choice.candidates[count - 1].health.judge(isUp: true, at(0))
            #expect(next(&choice) == count - 1)
        }
        var empty = makeChoice([])
        #expect(empty.next(at(0), excluding: []) { _ in true } == .none)
    }

    @Test("servers that failed are left alone while there is another, and used when there is none")
    func out() {
        var choice = makeChoice([1, 1])
        fail(&choice, 0)
        #expect((0..<3).map { _ in next(&choice) } == [1, 1, 1])
        // The one that is left has no room: the request waits for it.
        #expect(choice.next(at(0), excluding: []) { $0 == 0 } == .full)
        // The one that is left was tried: better one that may be back than none.
        #expect(next(&choice, excluding: [1]) == 0)
        fail(&choice, 1)
        #expect((0..<4).map { _ in next(&choice) }.sorted { ($0 ?? 9) < ($1 ?? 9) } == [0, 0, 1, 1])
    }

    private func makeChoice(
        _ weights: [Int], _ balance: UpstreamConfiguration.Balance = .roundRobin
    ) -> ServerChoice {
        let policy = FailurePolicy(failuresMax: 3, windowMilliseconds: 10_000, slowStartMilliseconds: 0)
        var choice = ServerChoice(balance, policy)
        choice.candidates = weights.enumerated().map { .init(id: $0.offset, weight: $0.element) }
        return choice
    }

    private func next(
        _ choice: inout ServerChoice, _ now: MonotonicInstant = MonotonicInstant(milliseconds: 0),
        excluding tried: [Int] = []
    ) -> Int? {
        guard case .server(let index) = choice.next(now, excluding: tried, hasRoom: { _ in true }) else {
            return nil
        }
        return index
    }

    private func fail(_ choice: inout ServerChoice, _ index: Int) {
        let policy = FailurePolicy(failuresMax: 1, windowMilliseconds: 10_000, slowStartMilliseconds: 0)
        #expect(choice.candidates[index].health.failed(at(0), policy) == .out)
    }

    private func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(milliseconds: milliseconds)
    }
}
