// The least pace of clients: who drips is told from who is slow, and from who is not waited for at all.

import Primitives
import Testing

@testable import Proxy

@Suite("Client pace")
struct ClientPaceTests {
    private let graceMilliseconds: Int64 = 30_000
    private let rate: UInt64 = 512

    @Test("nobody is judged before the grace is over, and whoever drips is right behind it")
    func grace() {
        #expect(!isTooSlow([(30_000, 1)]))
        #expect(isTooSlow([(30_001, 1)]))
        #expect(!isTooSlow([]))
    }

    @Test("the least rate is enough, and a byte less is not")
    func leastRate() {
        #expect(!isTooSlow([(40_000, 40 * 512)]))
        #expect(isTooSlow([(40_000, 40 * 512 - 1)]))
    }

    @Test("it is the average that counts: a burst makes up for a pause, and many drops are still a drip")
    func average() {
        #expect(!isTooSlow([(1, 1_000_000), (60_000, 1)]))
        #expect(isTooSlow(Array(repeating: (1_000, 500), count: 31)))
        #expect(!isTooSlow(Array(repeating: (1_000, 512), count: 31)))
    }

    @Test("a time in which nobody waits for the client is not the client's")
    func notWaitedFor() {
        var pace = ClientPace()
        pace.wait(at(0))
        pace.moved(10, at(1_000))
        // The upstream thinks for an hour, and bytes that nobody waited for change nothing.
        pace.moved(10, at(3_600_000))
        #expect(!pace.isTooSlow(graceMilliseconds: graceMilliseconds, bytesPerSecond: rate))
        pace.wait(at(3_600_000))
        pace.moved(10, at(3_629_001))
        #expect(pace.isTooSlow(graceMilliseconds: graceMilliseconds, bytesPerSecond: rate))
    }

    @Test("who waits again and again has been waiting since the first time")
    func waitedForTwice() {
        var pace = ClientPace()
        for second in 0...30 as ClosedRange<Int64> { pace.wait(at(second * 1_000)) }
        pace.moved(1, at(30_001))
        #expect(pace.isTooSlow(graceMilliseconds: graceMilliseconds, bytesPerSecond: rate))
    }

    @Test("without a least rate nobody is too slow")
    func off() {
        #expect(!isTooSlow([(3_600_000, 1)], rate: 0))
        #expect(isTooSlow([(3_600_000, 1)], rate: 1))
    }

    /// Waits for a client, that time each, for so many bytes.
    private func isTooSlow(_ waits: [(milliseconds: Int64, bytes: Int)], rate: UInt64? = nil) -> Bool {
        var (pace, now) = (ClientPace(), at(0))
        for wait in waits {
            pace.wait(now)
            now = now.advanced(byMilliseconds: wait.milliseconds)
            pace.moved(wait.bytes, now)
        }
        return pace.isTooSlow(graceMilliseconds: graceMilliseconds, bytesPerSecond: rate ?? self.rate)
    }

    private func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(milliseconds: milliseconds)
    }
}
