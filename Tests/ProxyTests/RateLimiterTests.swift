// Token buckets: how many at once, how many over time, who shares one, and what a flood can do to them. Time
// is passed in.

import Configuration
import Primitives
import Support
import Synchronization
import Testing

@testable import Network
@testable import Proxy

@Suite("Rate limiter")
struct RateLimiterTests {
    private let client = RateLimiterTests.key("192.0.2.1")

    @Test("as many as the burst come at once, and then one for each interval", arguments: [1, 2, 20])
    func burst(_ burst: Int) {
        let limiter = RateLimiter(RateConfiguration(perHour: 18_000, burst: burst))
        for _ in 0..<burst { #expect(limiter.admit(client, now: at(1000)) == .admitted) }
        for now in [1000, 1199] as [Int64] {
            #expect(limiter.admit(client, now: at(now)) == .refused(retryAfterSeconds: 1))
        }
        #expect(limiter.admit(client, now: at(1200)) == .admitted)
        #expect(limiter.admit(client, now: at(1399)) == .refused(retryAfterSeconds: 1))
    }

    @Test("who rests has the whole burst again, and not more")
    func rest() {
        let limiter = RateLimiter(RateConfiguration(perHour: 3_600, burst: 3))
        for round in 0..<3 {
            let now = at(Int64(round) * 3_000_000)
            for _ in 0..<3 { #expect(limiter.admit(client, now: now) == .admitted) }
            #expect(limiter.admit(client, now: now) == .refused(retryAfterSeconds: 1))
        }
    }

    @Test(
        "who waits as long as he is told is let in, and a second earlier he is not",
        arguments: [(1, 3600), (60, 60), (216, 17), (3600, 1), (1440, 3)])
    func retryAfter(_ perHour: Int, _ seconds: Int64) {
        let limiter = RateLimiter(RateConfiguration(perHour: perHour, burst: 1))
        #expect(limiter.admit(client, now: at(7)) == .admitted)
        #expect(limiter.admit(client, now: at(7)) == .refused(retryAfterSeconds: seconds))
        #expect(limiter.admit(client, now: at(7 + (seconds - 1) * 1000)) != .admitted)
        #expect(limiter.admit(client, now: at(7 + seconds * 1000)) == .admitted)
    }

    @Test("over a long time the rate is kept to, however fast somebody asks")
    func longRun() {
        let limiter = RateLimiter(RateConfiguration(perHour: 10_800, burst: 10))
        var admitted = 0
        for now in 0..<100_000 where limiter.admit(client, now: at(Int64(now))) == .admitted {
            admitted += 1
        }
        #expect(admitted == 10 + 299)
    }

    @Test("a rate above one in a millisecond is kept to as well")
    func fast() {
        let limiter = RateLimiter(RateConfiguration(perHour: 10_800_000, burst: 10))
        var admitted = 0
        for now in 0..<1000 {
            for _ in 0..<20 where limiter.admit(client, now: at(Int64(now))) == .admitted { admitted += 1 }
        }
        #expect((3000...3010).contains(admitted))
    }

    @Test("a clock of another shard that is behind neither forgives nor adds anything")
    func skew() {
        let limiter = RateLimiter(RateConfiguration(perHour: 3_600, burst: 2))
        #expect(limiter.admit(client, now: at(5000)) == .admitted)
        #expect(limiter.admit(client, now: at(4990)) == .refused(retryAfterSeconds: 1))
        #expect(limiter.admit(client, now: at(5000)) == .admitted)
        #expect(limiter.admit(client, now: at(5000)) == .refused(retryAfterSeconds: 1))
    }

    @Test("the largest numbers overflow nothing")
    func extremes() {
        for rate in [1, Int.max] {
            let limiter = RateLimiter(RateConfiguration(perHour: rate, burst: .max))
            for now in [-1, 0, 1, Int64.max] {
                #expect(limiter.admit(client, now: at(now)) == .admitted)
            }
        }
        let none = RateLimiter(RateConfiguration(perHour: 0, burst: 0))
        #expect(none.admit(client, now: .never) == .admitted)
        #expect(none.admit(client, now: .never) == .refused(retryAfterSeconds: 3600))
    }

    // MARK: - Keys

    @Test("an IPv6 network of 64 bits is one client, an IPv4 address is one in either spelling")
    func addresses() throws {
        let same = [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.1", "::ffff:192.0.2.1")]
        let different = [
            ("2001:db8::1", "2001:db8:0:1::1"), ("192.0.2.1", "192.0.2.2"), ("::1", "192.0.2.1"),
            ("::1", "::ffff:0.0.0.0"),
        ]
        for (one, other) in same { #expect(Self.key(one) == Self.key(other)) }
        for (one, other) in different { #expect(Self.key(one) != Self.key(other)) }
        let bytes = Array("192.0.2.1".utf8)
        let read = IPAddress(text: bytes.span)
        let address = try #require(read)
        #expect(RateKey(address: address) == Self.key("192.0.2.1"))
    }

    @Test("subjects are told apart to the last byte")
    func subjects() {
        let names = ["", "\0", "a", "b", "a\0", "alice", "alicf", "alicealice", "alicealicealice1"]
        let keys = names.map { RateKey(subject: Array($0.utf8).span) }
        #expect(Set(keys).count == names.count)
        #expect(RateKey(subject: Array("alice".utf8).span) == keys[5])
    }

    @Test("one client's use is not another's")
    func separate() {
        let limiter = RateLimiter(RateConfiguration(perHour: 3_600, burst: 1))
        #expect(limiter.admit(client, now: at(0)) == .admitted)
        #expect(limiter.admit(Self.key("192.0.2.2"), now: at(0)) == .admitted)
        #expect(limiter.admit(client, now: at(0)) != .admitted)
    }

    // MARK: - Floods

    @Test("a flood of addresses grows no memory, locks nobody out, and washes no record away")
    func flood() {
        let limiter = RateLimiter(RateConfiguration(perHour: 360, burst: 5))
        let entriesMax = RateLimiter.entriesPerStripeMax * RateLimiter.stripeCount
        let honest = Self.key("198.51.100.7")
        for _ in 0..<5 { #expect(limiter.admit(client, now: at(0)) == .admitted) }
        for number in 0..<UInt32(3 * entriesMax) {
            let now = at(Int64(number / 1000))
            #expect(limiter.admit(stranger(number), now: now) == .admitted)
            if number % 40_000 == 0 { #expect(limiter.admit(honest, now: now) == .admitted) }
        }
        #expect(limiter.count <= entriesMax)
        #expect(limiter.count > entriesMax / 3)
        #expect(limiter.admit(client, now: at(300)) == .refused(retryAfterSeconds: 10))
    }

    @Test("buckets that are full again go first")
    func sweep() {
        let limiter = RateLimiter(RateConfiguration(perHour: 3_600, burst: 1))
        let entriesMax = RateLimiter.entriesPerStripeMax * RateLimiter.stripeCount
        for number in 0..<UInt32(2 * entriesMax) { _ = limiter.admit(stranger(number), now: at(0)) }
        // Half a stripe's room, so that what comes now drives out nothing but what has rested.
        let few = UInt32(entriesMax / 4)
        for number in 0..<few { _ = limiter.admit(stranger(number | 1 << 31), now: at(2000)) }
        for number in 0..<UInt32(entriesMax / 2) {
            _ = limiter.admit(stranger(number | 1 << 30), now: at(2001))
        }
        for number in 0..<few {
            #expect(limiter.admit(stranger(number | 1 << 31), now: at(2002)) != .admitted)
        }
    }

    @Test("shards that ask at once are together let in as often as the bucket has tokens")
    func shared() async {
        let limiter = RateLimiter(RateConfiguration(perHour: 3, burst: 500))
        let now = at(0)
        let key = client
        let admitted = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask { (0..<1000).count { _ in limiter.admit(key, now: now) == .admitted } }
            }
            return await group.reduce(0, +)
        }
        #expect(admitted == 500)
    }

    private func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(milliseconds: milliseconds)
    }

    private func stranger(_ number: UInt32) -> RateKey {
        let bytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
        return RateKey(peer: SocketAddress(v4: bytes, port: 1))
    }

    private static func key(_ host: String) -> RateKey {
        guard let peer = SocketAddress(host: host, port: 1) else { preconditionFailure("an address") }
        return RateKey(peer: peer)
    }
}
