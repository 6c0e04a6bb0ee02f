// Passive ejection as a machine: how many failures in how long, one trial at a time, and the way back.

import Primitives
import Testing

@testable import Proxy

@Suite("Server health")
struct ServerHealthTests {
    private let policy = FailurePolicy(
        failuresMax: 3, windowMilliseconds: 10_000, slowStartMilliseconds: 0)

    @Test("the third failure within the window takes a server out, a third one outside of it does not")
    func window() {
        var health = ServerHealth()
        #expect(health.failed(at(0), policy) == .none)
        #expect(health.failed(at(4_000), policy) == .none)
        #expect(health.failed(at(10_000), policy) == .none)
        #expect(health.isUsable(at(10_000)))
        #expect(health.failed(at(13_999), policy) == .out)
        #expect(!health.isUsable(at(13_999)))
    }

    @Test("out for as long as the window, then one trial at a time")
    func trial() {
        var health = taken(at: 0)
        #expect(!health.isUsable(at(9_999)))
        #expect(health.begin(at(9_999)) == false)
        #expect(health.isUsable(at(10_000)))
        #expect(health.begin(at(10_000)) == true)
        #expect(!health.isUsable(at(10_000)))
        #expect(health.begin(at(10_000)) == false)
    }

    @Test("a trial that succeeds brings the server back, and old failures count no more")
    func back() {
        var health = taken(at: 0)
        #expect(health.begin(at(10_000)) == true)
        #expect(health.succeeded(at(10_050)) == .back)
        #expect(!health.isOut)
        #expect(health.succeeded(at(10_060)) == .none)
        #expect(health.failed(at(10_070), policy) == .none)
        #expect(health.failed(at(10_080), policy) == .none)
        #expect(health.failed(at(10_090), policy) == .out)
    }

    @Test("a trial that fails costs another window, at the first failure")
    func failedTrial() {
        var health = taken(at: 0)
        #expect(health.begin(at(10_000)) == true)
        #expect(health.failed(at(10_100), policy) == .none)
        #expect(!health.isUsable(at(20_099)))
        #expect(health.isUsable(at(20_100)))
    }

    @Test("a trial that shows nothing, because its client has gone, leaves the way to the next")
    func abandonedTrial() {
        var health = taken(at: 0)
        #expect(health.begin(at(10_000)) == true)
        health.endTrial()
        #expect(health.isOut)
        #expect(health.isUsable(at(10_001)))
        #expect(health.begin(at(10_001)) == true)
    }

    @Test("without a number of failures nothing takes a server out")
    func never() {
        var health = ServerHealth()
        let policy = FailurePolicy(failuresMax: 0, windowMilliseconds: 10_000, slowStartMilliseconds: 0)
        for _ in 0..<100 { #expect(health.failed(at(0), policy) == .none) }
        #expect(health.isUsable(at(0)))
    }

    @Test("what the prober says stands beside what requests have shown")
    func prober() {
        var health = taken(at: 0)
        health.judge(isUp: false, at(1))
        #expect(health.isDown)
        health.judge(isUp: true, at(2))
        #expect(!health.isDown)
        #expect(health.isOut)
    }

    private func taken(at milliseconds: Int64) -> ServerHealth {
        var health = ServerHealth()
        for _ in 0..<2 { #expect(health.failed(at(milliseconds), policy) == .none) }
        #expect(health.failed(at(milliseconds), policy) == .out)
        return health
    }

    private func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(milliseconds: milliseconds)
    }
}
