// How often a client may ask: one token bucket for each, shared by all shards. Has locks: the buckets are
// dealt out to stripes by a hash, each with a lock of its own, so that two shards seldom meet.
//
// A bucket is one number (GCRA, ITU-T I.371 annex A): the time at which it will be full again. A request
// moves it one interval on, and is refused when that would be more than `burst` intervals ahead of now. A
// bucket that is full is the same as none, so nothing has to be kept of a client that rests.
//
// Memory is bounded, whatever comes. When a stripe is full, full buckets go; when those are too few, the half
// that is nearest to being full. Who goes is forgiven what he has used and locked out of nothing; who has
// used his bucket up stays, so that a flood of other addresses does not wash his record away.

import Configuration
import Network
import Primitives
import Synchronization

/// Whose bucket it is: a number made of an address or a subject, without an allocation.
struct RateKey: Sendable, Hashable {
    fileprivate let high: UInt64
    fileprivate let low: UInt64

    /// An IPv4 address; the first 64 bits of an IPv6 one: what one customer is given (RFC 6177 §2), and has
    /// all addresses of.
    init(address: IPAddress) {
        high = address.high
        low = address.isV4 ? address.low : 0
    }

    /// The same of a connection's peer. It has 4 or 16 bytes; all that had not would share one bucket.
    init(peer: SocketAddress) {
        let address = IPAddress(bytes: peer.bytes.span)
        high = address?.high ?? .max
        low = address.map { $0.isV4 ? $0.low : 0 } ?? .max
    }

    /// A token's subject: 128 bits of a hash that is keyed anew in each process, so that nobody can look for
    /// two subjects with the same one.
    init(subject: Span<UInt8>) {
        var first = Hasher()
        var second = Hasher()
        second.combine(UInt64.max)
        var word: UInt64 = 0
        for index in subject.indices {
            word = word << 8 | UInt64(subject[index])
            if index & 7 == 7 || index == subject.count - 1 {
                first.combine(word)
                second.combine(word)
                word = 0
            }
        }
        first.combine(subject.count)
        second.combine(subject.count)
        high = UInt64(bitPattern: Int64(first.finalize()))
        low = UInt64(bitPattern: Int64(second.finalize()))
    }
}

/// What a limiter says to a request.
enum RateVerdict: Sendable, Equatable {
    case admitted
    /// RFC 9110 §10.2.3: `Retry-After`, rounded up, so that who obeys it is let in.
    case refused(retryAfterSeconds: Int64)
}

/// The buckets of one `rate` directive.
final class RateLimiter: Sendable {
    /// A stripe's share: some 65,000 clients in all, in 3 MB at most.
    static let entriesPerStripeMax = 4096
    static let stripeCount = 16

    private final class Stripe: Sendable {
        /// When each bucket will be full again, in nanoseconds of the monotonic clock.
        let fullAt = Mutex<[RateKey: Int64]>([:])
    }

    private let stripes: [Stripe]
    /// Nanoseconds after which a bucket has one more token.
    private let interval: Int64
    /// How far ahead of now a bucket may be and still have a token.
    private let tolerance: Int64
    /// Which stripe a key goes to is not for clients to choose.
    private let mixer = UInt64.random(in: .min ... .max) | 1

    init(_ configuration: RateConfiguration) {
        stripes = (0..<Self.stripeCount).map { _ in Stripe() }
        interval = max(3_600_000_000_000 / Int64(max(configuration.perHour, 1)), 1)
        let (product, overflows) = interval.multipliedReportingOverflow(
            by: Int64(max(configuration.burst, 1) - 1))
        tolerance = overflows ? Self.farthest : min(product, Self.farthest)
    }

    /// Takes a token out of a client's bucket, if there is one. A refused request costs nothing: who asks too
    /// often is let in as often as one who keeps to the rate.
    func admit(_ key: RateKey, now: MonotonicInstant) -> RateVerdict {
        let now = Self.nanoseconds(now)
        return stripe(of: key).fullAt.withLock { fullAt in
            let known = fullAt[key]
            let ahead = max((known ?? now) - now, 0)
            if ahead > tolerance {
                return .refused(retryAfterSeconds: (ahead - tolerance + 999_999_999) / 1_000_000_000)
            }
            if known == nil && fullAt.count >= Self.entriesPerStripeMax { Self.makeRoom(&fullAt, now) }
            fullAt[key] = now + ahead + interval
            return .admitted
        }
    }

    /// How many buckets are kept.
    var count: Int { stripes.reduce(0) { $0 + $1.fullAt.withLock { $0.count } } }

    /// Frees a quarter at least, so that the walk over all of them is paid for by a thousand newcomers.
    private static func makeRoom(_ fullAt: inout [RateKey: Int64], _ now: Int64) {
        fullAt = fullAt.filter { $0.value > now }
        if fullAt.count <= entriesPerStripeMax * 3 / 4 { return }
        let median = fullAt.values.sorted()[fullAt.count / 2]
        var kept = fullAt.filter { $0.value > median }
        // In a flood that came at once all are equal: then any half is as good as the other.
        for (key, value) in fullAt where value == median && kept.count < entriesPerStripeMax / 2 {
            kept[key] = value
        }
        fullAt = kept
    }

    private func stripe(of key: RateKey) -> Stripe {
        let mixed = (key.high &+ key.low &* 0x9E37_79B9_7F4A_7C15) &* mixer
        return stripes[Int(mixed >> 32) % Self.stripeCount]
    }

    /// Half of what the clock could show: sums of two do not overflow.
    private static let farthest = Int64.max / 4

    private static func nanoseconds(_ instant: MonotonicInstant) -> Int64 {
        min(max(instant.milliseconds, 0), farthest / 1_000_000) * 1_000_000
    }
}
