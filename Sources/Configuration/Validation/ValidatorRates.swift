// The meaning of `rate`, for the refresh endpoints and for routes: a token bucket for each client.

import Primitives

extension Validator {
    /// `N/s|N/m|N/h [burst=N]`, and `[by=address|subject]` where the form of the directive has it.
    func rate(_ entry: Entry, isAnonymous: Bool = false) -> RateConfiguration? {
        let perHour = value(of: entry, decode: Self.requestsPerHour)
        let knowsSubjects = entry.directive.argumentCount.upperBound > 2
        let options = options(of: entry, after: 1, names: knowsSubjects ? ["burst", "by"] : ["burst"])
        let burst = value(of: options["burst"]) { text throws(ValueProblem) in
            try ValueDecoding.number(text, in: DirectiveTable.rateBurst)
        }
        let key = value(of: options["by"]) { text throws(ValueProblem) in
            try ValueDecoding.choice(text, of: ["address", "subject"])
        }
        if isAnonymous, key == "subject", let option = options["by"] {
            let problem = ValueProblem(
                reason: "does not fit an anonymous route: nobody's token is looked at",
                help: "by=address, or 'access optional'")
            reportProblem(problem, with: option.argument)
        }
        guard let perHour else { return nil }
        // A bucket that a second fills: no client that keeps to the rate is refused for its timing.
        var rate = RateConfiguration(perHour: perHour, burst: burst ?? (perHour + 3_599) / 3_600)
        if let key = key.flatMap(RateConfiguration.Key.init(rawValue:)) { rate.key = key }
        return rate
    }

    private static func requestsPerHour(_ text: String) throws(ValueProblem) -> Int {
        let units = [("/s", 3_600), ("/m", 60), ("/h", 1)]
        guard let (unit, factor) = units.first(where: { text.hasSuffix($0.0) }),
            text.dropLast(unit.count).utf8.allSatisfy(ASCII.isDigit)
        else {
            throw ValueProblem(
                reason: "is not a rate of requests",
                help: "a number for each second, minute or hour, such as 10/s, 30/m or 100/h")
        }
        return try ValueDecoding.number(String(text.dropLast(unit.count)), in: DirectiveTable.rateCount)
            * factor
    }
}
