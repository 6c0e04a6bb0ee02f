// When keys are fetched, as a value: in good time, after failures less and less often, and for a stranger's
// token no oftener than every half minute.

import Primitives
import Testing

@testable import Proxy

@Suite("Key schedule")
struct KeyScheduleTests {
    private func schedule(every milliseconds: Int64 = 600_000) -> KeySchedule {
        KeySchedule(everyMilliseconds: milliseconds)
    }

    @Test("one fetch at a time, whatever comes of it")
    func oneAtATime() {
        var schedule = schedule()
        for _ in 0..<2 {
            #expect(schedule.begin() == true)
            #expect(schedule.begin() == false)
            _ = schedule.succeeded(maxAgeSeconds: nil)
            #expect(schedule.begin() == true)
            #expect(schedule.begin() == false)
            _ = schedule.failed()
        }
    }

    @Test(
        "the provider's max-age makes fetches more frequent, down to half a minute, and never rarer",
        arguments: [
            (nil, 600_000), (0, 30_000), (29, 30_000), (30, 30_000), (31, 31_000), (599, 599_000),
            (600, 600_000), (601, 600_000), (86_400, 600_000), (Int64.max, 600_000),
        ] as [(Int64?, Int64)])
    func maxAge(_ seconds: Int64?, _ expected: Int64) {
        var schedule = schedule()
        _ = schedule.begin()
        #expect(schedule.succeeded(maxAgeSeconds: seconds) == expected)
    }

    @Test("after failures the waits double, up to the usual one; a success begins anew")
    func failures() {
        var schedule = schedule()
        let waits: [Int64] = [5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600]
        for seconds in waits {
            #expect(schedule.begin() == true)
            #expect(schedule.failed() == seconds * 1000)
            #expect(schedule.isFailing)
        }
        _ = schedule.begin()
        _ = schedule.succeeded(maxAgeSeconds: nil)
        #expect(!schedule.isFailing)
        _ = schedule.begin()
        #expect(schedule.failed() == 5_000)
    }

    @Test("no wait is longer than the usual one, nor does one of a day overflow")
    func bounds() {
        var often = schedule(every: 30_000)
        #expect((0..<5).map { _ in often.failed() } == [5_000, 10_000, 20_000, 30_000, 30_000])
        var rarely = schedule(every: 86_400_000)
        var last: Int64 = 0
        for _ in 0..<100 { last = rarely.failed() }
        #expect(last == 1_280_000)
    }

    @Test("a key that is not known is asked for at once, and then not for half a minute")
    func standing() {
        func standing(_ hasSucceeded: Bool, _ milliseconds: Int64) -> KeySchedule.Standing {
            let attempt = IssuerTarget.Attempt(
                hasSucceeded: hasSucceeded, at: MonotonicInstant(milliseconds: 1_000_000))
            return KeySchedule.standing(
                attempt, now: MonotonicInstant(milliseconds: 1_000_000 + milliseconds))
        }
        #expect(KeySchedule.standing(nil, now: MonotonicInstant(milliseconds: 0)) == .askable)
        for milliseconds: Int64 in [0, 1, 29_999] { #expect(standing(true, milliseconds) == .absent) }
        #expect(standing(false, 0) == .unavailable(retryAfterSeconds: 30))
        #expect(standing(false, 1) == .unavailable(retryAfterSeconds: 30))
        #expect(standing(false, 29_000) == .unavailable(retryAfterSeconds: 1))
        #expect(standing(false, 29_999) == .unavailable(retryAfterSeconds: 1))
        for hasSucceeded in [true, false] { #expect(standing(hasSucceeded, 30_000) == .askable) }
    }
}
