// The calendar, against known days and against Foundation's.

import Foundation
import Primitives
import Support
import Testing

@Suite struct CivilTimeTests {
    @Test(
        "known moments are written as people write them",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z", "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z", "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z", "Thu, 29 Feb 2024 00:00:00 GMT"),
            (784_111_777_000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            (2_147_483_648_000, "2038-01-19T03:14:08.000Z", "Tue, 19 Jan 2038 03:14:08 GMT"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT"),
            (-2_203_891_200_001, "1900-02-28T23:59:59.999Z", "Wed, 28 Feb 1900 23:59:59 GMT"),
            (-2_203_891_200_000, "1900-03-01T00:00:00.000Z", "Thu, 01 Mar 1900 00:00:00 GMT"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z", "Mon, 01 Jan 0001 00:00:00 GMT"),
        ] as [(Int64, String, String)])
    func known(_ milliseconds: Int64, _ rfc3339: String, _ imfFixdate: String) {
        let time = CivilTime(WallTime(milliseconds: milliseconds))
        #expect(time.rfc3339 == rfc3339)
        #expect(time.imfFixdate == imfFixdate)
    }

    @Test("the combined log has its own order")
    func commonLog() {
        #expect(CivilTime(WallTime(seconds: 784_111_777)).commonLog == "06/Nov/1994:08:49:37 +0000")
    }

    @Test("each day from 1600 to 2400 follows the one before, and has Foundation's date")
    func everyDay() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        var previous = CivilTime(WallTime(seconds: -11_676_096_000))
        #expect(previous.rfc3339 == "1600-01-01T00:00:00.000Z")
        for day in Int64(1)..<292_194 {
            let seconds = -11_676_096_000 + day * 86_400
            let time = CivilTime(WallTime(seconds: seconds))
            var follows = time.weekday == (previous.weekday + 1) % 7
            if time.day == 1 {
                follows = follows && time.month == previous.month % 12 + 1 && previous.day >= 28
                follows = follows && time.year == previous.year + (time.month == 1 ? 1 : 0)
            } else {
                follows = follows && time.day == previous.day + 1 && time.month == previous.month
            }
            if !follows { Issue.record("\(time) follows \(previous)") }
            if day % 97 == 0 {
                let date = Date(timeIntervalSince1970: Double(seconds))
                let parts = calendar.dateComponents([.year, .month, .day, .weekday], from: date)
                #expect([parts.year, parts.month, parts.day] == [time.year, time.month, time.day])
                #expect(parts.weekday == time.weekday + 1)
            }
            previous = time
        }
    }

    @Test(
        "seconds are rounded down, also before 1970",
        arguments: [(0, 0), (999, 0), (1000, 1), (-1, -1), (-1000, -1), (-1001, -2)] as [(Int64, Int64)])
    func seconds(_ milliseconds: Int64, _ seconds: Int64) {
        #expect(WallTime(milliseconds: milliseconds).seconds == seconds)
    }

    @Test("a deadline far away is never, and does not wrap")
    func never() {
        let instant = MonotonicInstant(milliseconds: 5)
        #expect(instant.advanced(byMilliseconds: .max) == .never)
        #expect(MonotonicInstant.never.advanced(byMilliseconds: 1) == .never)
        #expect(instant.advanced(byMilliseconds: 1) < .never)
    }

    @Test("the days to a date lead back to it, and a date that is none has no days")
    func daysToDate() {
        for days in stride(from: Int64(-719_500), through: 2_932_896, by: 97) {
            let date = CivilTime(WallTime(seconds: days * 86_400))
            let expected = date.year < 0 ? nil : days
            #expect(CivilTime.days(toYear: date.year, month: date.month, day: date.day) == expected)
        }
        #expect(CivilTime.days(toYear: 1970, month: 1, day: 1) == 0)
        #expect(CivilTime.days(toYear: 2000, month: 2, day: 29) == 11_016)
        #expect(CivilTime.days(toYear: 2100, month: 2, day: 29) == nil)
        #expect(CivilTime.days(toYear: 2026, month: 4, day: 31) == nil)
        for (month, day) in [(0, 1), (13, 1), (1, 0), (1, 32), (-1, -1)] {
            #expect(CivilTime.days(toYear: 2026, month: month, day: day) == nil)
        }
    }
}
