// Wall time as people and protocols write it: RFC 3339 for logs, IMF-fixdate (RFC 9110 §5.6.7) for `Date` and
// `Expires`. Calendar arithmetic only: always UTC, no locale, no time zone data.

/// A UTC date and time of day.
public struct CivilTime: Sendable, Equatable {
    /// The year of the Gregorian calendar.
    public let year: Int
    /// 1 to 12.
    public let month: Int
    /// 1 to 31.
    public let day: Int
    /// 0 (Sunday) to 6.
    public let weekday: Int
    /// Milliseconds since midnight.
    public let millisecondOfDay: Int

    /// The UTC date and time of a moment.
    public init(_ time: WallTime) {
        let dayMilliseconds: Int64 = 86_400_000
        var days = time.milliseconds / dayMilliseconds
        var rest = time.milliseconds % dayMilliseconds
        if rest < 0 {
            rest += dayMilliseconds
            days -= 1
        }
        millisecondOfDay = Int(rest)
        weekday = Int(((days % 7) + 11) % 7)  // 1970-01-01 was a Thursday

        // Counted from 0000-03-01, so that a leap day is the last day of its year; 146,097 days are 400
        // years.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
        month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
    }

    /// The days from 1970-01-01 to a date, which may lie before it; nil where the calendar has no such date.
    public static func days(toYear year: Int, month: Int, day: Int) -> Int64? {
        guard (0...9999).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
        // As above, from 0000-03-01; January and February belong to the year before.
        let shifted = Int64(month <= 2 ? year + 399 : year + 400)
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * Int64((month + 9) % 12) + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = (shifted / 400 - 1) * 146_097 + dayOfEra - 719_468
        // The 30th of February comes out as another day.
        let date = CivilTime(WallTime(seconds: days * 86_400))
        return (date.year, date.month, date.day) == (year, month, day) ? days : nil
    }

    /// `2026-11-21T06:02:46.123Z` (RFC 3339).
    public var rfc3339: String {
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        return "\(date)T\(timeOfDay).\(padded(millisecondOfDay % 1000, 3))Z"
    }

    /// `Sat, 21 Nov 2026 06:02:46 GMT` (RFC 9110 §5.6.7).
    public var imfFixdate: String {
        let date = "\(padded(day, 2)) \(Self.months[month - 1]) \(padded(year, 4))"
        return "\(Self.weekdays[weekday]), \(date) \(timeOfDay) GMT"
    }

    /// `21/Nov/2026:06:02:46 +0000`, as the combined log format writes it.
    public var commonLog: String {
        "\(padded(day, 2))/\(Self.months[month - 1])/\(padded(year, 4)):\(timeOfDay) +0000"
    }

    /// `Nov 21 06:02:46`, as syslog does (RFC 3164 §4.1.2: a day below 10 has a space in front).
    public var syslog: String {
        "\(Self.months[month - 1]) \(day < 10 ? " " : "")\(day) \(timeOfDay)"
    }

    private var timeOfDay: String {
        let seconds = millisecondOfDay / 1000
        return "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
    }

    private func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
