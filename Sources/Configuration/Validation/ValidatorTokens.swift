// The meaning of `access_token` and `refresh_token`, without the older credentials that the latter may take.

extension Validator {
    /// The issuer that is given; the public URL takes its origin from it, and the other way round.
    func issuer(of main: CheckedBlock) -> String? {
        // The block is checked, and its mistakes reported, in `accessToken`: here nothing may be reported
        // twice.
        let statements = main.entry("access_token")?.statement.body ?? []
        let issuer = statements.first { $0.name == "issuer" && $0.arguments.count == 1 && !$0.isBroken }
        return issuer?.arguments.first?.text
    }

    /// - Parameter longest: the longest that a session may live.
    func accessToken(
        of main: CheckedBlock, issuer: String, longest: Int64
    ) -> AccessTokenConfiguration {
        let opening = main.entry("access_token")
        let block = block(opening, .accessToken)
        var token = AccessTokenConfiguration()
        token.issuer = issuer
        if let entry = block.entry("issuer") { checkIssuer(entry) }
        readKeys(of: block, into: &token)
        if let entry = block.entry("audience") {
            if let audience = value(of: entry, decode: Self.audience) { token.audience = audience }
        } else if !block.attempted("audience"), !report.isIncomplete {
            report.warning(
                "'audience' is left at its default, 'api'", at: opening?.location,
                help: "name what the tokens are good for: access_token { audience shop-api; }")
        }
        let lifetime = duration("lifetime", of: block)
        if let lifetime { token.lifetimeMilliseconds = lifetime }
        if let entry = block.entry("jitter"), let percent = value(of: entry, decode: Self.percent) {
            token.jitterPercent = percent
        }
        readDuration("leeway", of: block, into: &token.leewayMilliseconds)
        readDuration("stream_grace", of: block, into: &token.streamGraceMilliseconds)
        token.isForwarded = checkChoice(block.entry("forward")) == "on"
        readStyle(of: block, lifetime: lifetime, longest: longest, into: &token)
        return token
    }

    private static func percent(_ text: String) throws(ValueProblem) -> Int {
        let range = DirectiveTable.jitterPercent
        let help = "a percentage from \(range.lowerBound)% to \(range.upperBound)%"
        guard text.hasSuffix("%") else { throw ValueProblem(reason: "is no percentage", help: help) }
        do throws(ValueProblem) {
            return try ValueDecoding.number(String(text.dropLast()), in: range)
        } catch {
            throw ValueProblem(reason: error.reason, help: help)
        }
    }

    private func checkIssuer(_ entry: Entry) {
        let example = "https://api.example.com"
        guard let text = plainText(entry, 0, what: "an issuer", example: example) else { return }
        let problem: ValueProblem
        do throws(ValueProblem) {
            let parts = try AddressDecoding.url(text, example: example)
            // RFC 8414 §2: "a URL that uses the "https" scheme and has no query or fragment components".
            guard parts.rest.contains("?") || parts.rest.contains("#") else { return }
            problem = ValueProblem(
                reason: "has a query or a fragment", help: "scheme, host and path, such as \(example)")
        } catch {
            problem = error
        }
        reportProblem(problem, with: entry.arguments[0])
    }

    /// All but the exchanges.
    func refreshToken(of block: CheckedBlock) -> RefreshTokenConfiguration {
        var token = RefreshTokenConfiguration()
        if let entry = block.entry("path"), let path = value(of: entry, decode: RoutePath.refreshPath) {
            token.path = path
        }
        readDuration("idle_lifetime", of: block, into: &token.idleLifetimeMilliseconds)
        readDuration("max_lifetime", of: block, into: &token.maxLifetimeMilliseconds)
        if token.idleLifetimeMilliseconds > token.maxLifetimeMilliseconds,
            let entry = block.entry("idle_lifetime") ?? block.entry("max_lifetime")
        {
            let idle = ValueDecoding.durationText(token.idleLifetimeMilliseconds)
            let max = ValueDecoding.durationText(token.maxLifetimeMilliseconds)
            report.error(
                "'idle_lifetime' is longer than 'max_lifetime'", at: entry.location,
                help: "idle_lifetime is \(idle), max_lifetime \(max)")
        }
        if let entry = block.entry("race_window") { readRaceWindow(entry, into: &token) }
        if let entry = block.entry("sessions_per_subject") {
            let limit = value(of: entry) { text throws(ValueProblem) -> Int? in
                if text == "none" { return nil }
                let number = try ValueDecoding.number(text, in: DirectiveTable.sessionsPerSubject)
                return number == 0 ? nil : number
            }
            if let limit { token.sessionsPerSubject = limit }
        }
        let delivery = checkChoice(block.entry("delivery"))
        if let delivery = delivery.flatMap(RefreshTokenConfiguration.Delivery.init(rawValue:)) {
            token.delivery = delivery
        }
        let format = checkChoice(block.entry("format"))
        if let format = format.flatMap(RefreshTokenConfiguration.Format.init(rawValue:)) {
            token.format = format
        }
        if let entry = block.entry("bounce_body") {
            let size = value(of: entry) { text throws(ValueProblem) in
                text == "off" ? 0 : try ValueDecoding.size(text, in: DirectiveTable.bounceBody)
            }
            if let size { token.bounceBodyBytes = size }
        }
        token.rate = block.entry("rate").flatMap { rate($0) }
        return token
    }

    /// One duration for both, or `cookie=…` and `body=…`, each at most once.
    private func readRaceWindow(_ entry: Entry, into token: inout RefreshTokenConfiguration) {
        var given: Set<String> = []
        for index in entry.arguments.indices {
            let text = entry.arguments[index].text
            let kind = ["cookie=", "body="].first { text.hasPrefix($0) } ?? ""
            let isWrong = kind.isEmpty && entry.arguments.count > 1 || !given.insert(kind).inserted
            if isWrong {
                let help = "race_window 45s; or race_window cookie=30s body=60s;"
                reportProblem(
                    ValueProblem(reason: "does not fit here", help: help), with: entry.arguments[index])
                return
            }
            let decoded = value(of: entry, index) { text throws(ValueProblem) in
                try ValueDecoding.duration(String(text.dropFirst(kind.count)), in: 0...600_000)
            }
            guard let decoded else { continue }
            if kind != "body=" { token.cookieRaceWindowMilliseconds = decoded }
            if kind != "cookie=" { token.bodyRaceWindowMilliseconds = decoded }
        }
    }
}

// MARK: - Signing keys

extension Validator {
    private func readKeys(of block: CheckedBlock, into token: inout AccessTokenConfiguration) {
        let algorithm = checkChoice(block.entry("algorithm"))
        if let algorithm { token.algorithm = algorithm }
        token.signingKeys = signingKeys(of: block)
        let entries = block.entries("signing_key")
        let areKnown = token.signingKeys.count == block.attempts.count { $0.name == "signing_key" }
        if areKnown, let first = token.signingKeys.first {
            token.algorithm = first.algorithm
            if let algorithm, algorithm != first.algorithm, let entry = block.entry("algorithm") {
                report.error(
                    "new tokens cannot be signed with \(algorithm): the first 'signing_key' is for"
                        + " \(first.algorithm)", at: entry.arguments[0].location,
                    help: "leave 'algorithm' out, or put a key for \(algorithm) before the one at"
                        + " \(first.file.place)")
            }
        }
        if let entry = block.entry("key_lifetime") {
            readKeyLifetime(entry, into: &token)
            if let first = entries.first {
                report.warning(
                    "keys from files are not changed by their age: 'key_lifetime' has no effect",
                    at: entry.location, help: "the first 'signing_key' is at \(report.place(first.location))")
            }
        }
        let isSymmetric = DirectiveTable.symmetricAlgorithms.contains
        let risky = entries.first { isSymmetric($0.arguments[0].text) } ?? block.entry("algorithm")
        if let risky, isSymmetric(risky.arguments[0].text) {
            report.warning(
                "who can check these tokens can make them too, and their key cannot be published",
                at: risky.arguments[0].location,
                help: "with ES256 an API checks them by /.well-known/jwks.json, and nobody shares a secret")
        }
    }

    private func readKeyLifetime(_ entry: Entry, into token: inout AccessTokenConfiguration) {
        if entry.arguments[0].text == "never" {
            token.keyLifetimeMilliseconds = nil
            return
        }
        let lifetime = value(of: entry) { text throws(ValueProblem) in
            do throws(ValueProblem) {
                return try ValueDecoding.duration(text, in: DirectiveTable.keyLifetime)
            } catch {
                throw ValueProblem(reason: error.reason, help: "never, or " + error.help)
            }
        }
        if let lifetime { token.keyLifetimeMilliseconds = lifetime }
    }
}

// MARK: - One token with two expiries

extension Validator {
    /// How long a single token is good at the refresh endpoint where nothing is said.
    private static let singleLifetime = 7 * DirectiveTable.day

    private func readStyle(
        of block: CheckedBlock, lifetime given: Int64?, longest: Int64,
        into token: inout AccessTokenConfiguration
    ) {
        guard let opening = block.entry("style") else { return }
        checkChoice(opening)
        let inside = self.block(opening, .style)
        if token.isForwarded, let entry = block.entry("forward") {
            report.error(
                "upstreams would get the right to refresh as well: a single token is both",
                at: entry.arguments[0].location,
                help: "forward off; they learn from X-Auth-Subject whose request it is")
        }
        if !block.attempted("lifetime") {
            token.lifetimeMilliseconds = min(Self.singleLifetime, longest)
        } else if let given, given > longest, let entry = block.entry("lifetime") {
            report.error(
                "a single token cannot be good for longer than its session", at: entry.arguments[0].location,
                help: "refresh_token { max_lifetime …; } is \(ValueDecoding.durationText(longest))")
        }
        guard let entry = inside.entry("use_expiry") else {
            if !inside.attempted("use_expiry"), !report.isIncomplete {
                report.error(
                    "'style single' does not say how long the token is good for requests",
                    at: opening.location, help: "add: use_expiry useExp 10m;")
            }
            return
        }
        let claim = value(of: entry) { text throws(ValueProblem) in
            try ClaimDecoding.name(text, writtenByGateway: ClaimDecoding.writtenNames.union(["scope"]))
        }
        let use = value(of: entry, 1) { text throws(ValueProblem) in
            try ValueDecoding.duration(text, in: DirectiveTable.tokenLifetime)
        }
        guard let claim, let use else { return }
        token.useExpiry = UseExpiry(claim: claim, lifetimeMilliseconds: use)
        guard given != nil || !block.attempted("lifetime"), use >= token.lifetimeMilliseconds else { return }
        report.error(
            "the token would be good for requests as long as at the refresh endpoint, or longer",
            at: entry.arguments[1].location,
            help: "less than 'lifetime', which is \(ValueDecoding.durationText(token.lifetimeMilliseconds))")
    }
}
