// Rates: of requests, with the burst that belongs to them, and of bytes.

import Configuration
import Testing

@Suite("Rates")
struct RateTests {
    private func refreshRate(_ text: String) -> RateConfiguration? {
        load(minimal("refresh_token { rate \(text); }")).configuration?.refreshToken.rate
    }

    @Test("a rate counts requests for each second, minute or hour, without loss")
    func rates() {
        #expect(refreshRate("10/s burst=20") == RateConfiguration(perHour: 36_000, burst: 20))
        #expect(refreshRate("1/m")?.perHour == 60)
        #expect(refreshRate("1/h")?.perHour == 1)
        #expect(refreshRate("1000000/s")?.perHour == 3_600_000_000)
        for wrong in ["10", "0/s", "1000001/s", "/s", "1/d", "1/S", "1.5/s", "-1/s", "10/s 20", "10 /s", ""] {
            #expect(refreshRate(wrong) == nil, "\(wrong)")
        }
    }

    @Test("a burst is what one second brings, rounded up, unless it is given")
    func bursts() {
        #expect(refreshRate("10/s")?.burst == 10)
        #expect(refreshRate("60/m")?.burst == 1)
        #expect(refreshRate("61/m")?.burst == 2)
        #expect(refreshRate("1/h")?.burst == 1)
        #expect(refreshRate("10/s burst=1")?.burst == 1)
        for wrong in ["burst=0", "burst=", "burst", "burst=1 burst=1", "bust=1"] {
            #expect(refreshRate("10/s \(wrong)") == nil, "\(wrong)")
        }
    }

    @Test("the refresh endpoints count by address, and by nothing else")
    func refreshKey() {
        #expect(refreshRate("10/s")?.key == .address)
        #expect(refreshRate("10/s by=subject") == nil)
        #expect(load(minimal()).configuration?.refreshToken.rate == nil)
    }

    @Test("the slowest client that is waited for is a size for each second, or anyone")
    func minimumRate() {
        func rate(_ text: String) -> UInt64? {
            load(minimal("limits { minimum_rate \(text); }")).configuration?.limits.minimumBytesPerSecond
        }
        #expect(rate("off") == 0)
        #expect(rate("1b/s") == 1)
        #expect(rate("1g/s") == 1 << 30)
        for wrong in ["0b/s", "2g/s", "512", "512b", "512/s", "512b/m", "on", "/s"] {
            #expect(rate(wrong) == nil, "\(wrong)")
        }
    }

    @Test("the body of a bounce has a bound, or there is no bounce")
    func bounceBody() {
        func size(_ text: String) -> UInt64? {
            load(minimal("refresh_token { bounce_body \(text); }")).configuration?.refreshToken
                .bounceBodyBytes
        }
        #expect(size("off") == 0)
        #expect(size("1k") == 1_024)
        for wrong in ["0k", "1023b", "2g", "none"] { #expect(size(wrong) == nil, "\(wrong)") }
    }
}
