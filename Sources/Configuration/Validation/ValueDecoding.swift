// Text to values: durations, sizes, numbers, and lists of words. Every value has a unit, a range, and one
// spelling of what it takes.
//
// A bare `30` is no duration and a bare `8192` no size: whoever reads a configuration should not have to look
// up what the number counts. Arithmetic is checked, so no input overflows.

import Primitives

/// Why a text is not the value that is needed: `'…' <reason>`, and what would be right.
package struct ValueProblem: Error, Equatable {
    package var reason: String
    package var help: String
}

package enum ValueDecoding {
    /// Largest first, as texts are made.
    private static let durationUnits: [(name: String, factor: UInt64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
    ]
    private static let sizeUnits: [(name: String, factor: UInt64)] = [
        ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10), ("b", 1),
    ]

    /// `500ms`, `30s`, `15m`, `12h`, `7d` as milliseconds.
    package static func duration(
        _ text: String, in range: ClosedRange<Int64>
    ) throws(ValueProblem) -> Int64 {
        let help =
            "a number and a unit (ms, s, m, h, d), from \(rangeText(range)),"
            + " such as \(durationExample(in: range))"
        guard let value = quantity(text, units: durationUnits) else {
            throw ValueProblem(reason: "is not a duration", help: help)
        }
        guard let milliseconds = Int64(exactly: value), range.contains(milliseconds) else {
            throw ValueProblem(reason: "is out of range", help: help)
        }
        return milliseconds
    }

    /// `512b`, `8k`, `10m`, `1g` as bytes.
    package static func size(_ text: String, in range: ClosedRange<UInt64>) throws(ValueProblem) -> UInt64 {
        let help =
            "a number and a unit (b, k, m, g), from \(rangeText(range)),"
            + " such as \(sizeText(max(range.lowerBound, 8 << 10)))"
        guard let value = quantity(text, units: sizeUnits) else {
            throw ValueProblem(reason: "is not a size", help: help)
        }
        guard range.contains(value) else { throw ValueProblem(reason: "is out of range", help: help) }
        return value
    }

    /// Decimal digits and nothing else.
    package static func number(_ text: String, in range: ClosedRange<Int>) throws(ValueProblem) -> Int {
        let help = "a whole number from \(rangeText(range))"
        guard let (value, rest) = leadingNumber(text), rest.isEmpty else {
            throw ValueProblem(reason: "is not a number", help: help)
        }
        guard let number = Int(exactly: value), range.contains(number) else {
            throw ValueProblem(reason: "is out of range", help: help)
        }
        return number
    }

    /// One of a few words.
    package static func choice(_ text: String, of words: [String]) throws(ValueProblem) -> String {
        if words.contains(text) { return text }
        let near =
            EditDistance.nearest(to: text, in: words).map { "did you mean '\($0)'? It is " } ?? "it is "
        throw ValueProblem(
            reason: "is not one of the values",
            help: near + (words.count == 1 ? "" : "one of ") + words.joined(separator: ", "))
    }

    /// `on` or `off`.
    package static func boolean(_ text: String) throws(ValueProblem) -> Bool {
        try choice(text, of: ["on", "off"]) == "on"
    }

    /// Visible ASCII without spaces: what tokens and header fields carry as it is.
    package static func plainText(
        _ text: String, what: String, example: String
    ) throws(ValueProblem) -> String {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
        guard isPlain, (1...256).contains(text.utf8.count) else {
            throw ValueProblem(
                reason: "is not \(what)",
                help: "visible ASCII without spaces, quotation marks and backslashes, such as \(example)")
        }
        return text
    }

    /// `2027-01-31`: the first second, counted from 1970, of the day behind it, in UTC.
    package static func endOfDay(_ text: String) throws(ValueProblem) -> Int64 {
        let problem = ValueProblem(
            reason: "is not a date", help: "a year, a month and a day, such as 2027-01-31")
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [4, 2, 2], let year = leadingNumber(String(parts[0])),
            let month = leadingNumber(String(parts[1])), let day = leadingNumber(String(parts[2])),
            year.rest.isEmpty, month.rest.isEmpty, day.rest.isEmpty,
            let days = CivilTime.days(
                toYear: Int(year.value), month: Int(month.value), day: Int(day.value)), days >= 0
        else { throw problem }
        return (days + 1) * 86_400
    }

    /// The largest unit that loses nothing: `90s`, not `1m`.
    package static func durationText(_ milliseconds: Int64) -> String {
        quantityText(UInt64(max(0, milliseconds)), units: durationUnits, zero: "0s")
    }

    package static func sizeText(_ bytes: UInt64) -> String {
        quantityText(bytes, units: sizeUnits, zero: "0b")
    }

    /// `100ms to 10m`.
    package static func rangeText(_ range: ClosedRange<Int64>) -> String {
        "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
    }

    package static func rangeText(_ range: ClosedRange<UInt64>) -> String {
        "\(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))"
    }

    package static func rangeText(_ range: ClosedRange<Int>) -> String {
        "\(range.lowerBound) to \(range.upperBound)"
    }

    private static func durationExample(in range: ClosedRange<Int64>) -> String {
        for example: Int64 in [30_000, 900_000, 86_400_000] where range.contains(example) {
            return durationText(example)
        }
        return durationText(range.upperBound)
    }

    private static func quantityText(
        _ value: UInt64, units: [(name: String, factor: UInt64)], zero: String
    ) -> String {
        if value == 0 { return zero }
        // The last unit is one, of which everything is a multiple.
        let unit = units.first { value.isMultiple(of: $0.factor) } ?? units[units.count - 1]
        return "\(value / unit.factor)\(unit.name)"
    }

    /// A number with one of `units` behind it. What does not fit 64 bits is as large as can be: out of any
    /// range.
    private static func quantity(_ text: String, units: [(name: String, factor: UInt64)]) -> UInt64? {
        guard let (value, rest) = leadingNumber(text), let unit = units.first(where: { $0.name == rest })
        else {
            return nil
        }
        let (product, overflows) = value.multipliedReportingOverflow(by: unit.factor)
        return overflows ? .max : product
    }

    private static func leadingNumber(_ text: String) -> (value: UInt64, rest: Substring)? {
        let digits = text.utf8.prefix { ASCII.isDigit($0) }
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            let (tens, overflowsTimes) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsPlus) = tens.addingReportingOverflow(UInt64(digit - 48))
            value = overflowsTimes || overflowsPlus ? .max : sum
            if value == .max { break }
        }
        return (value, text[digits.endIndex...])
    }
}
