// The meaning of `exchange` in `refresh_token`: which credentials of before the gateway are good for a
// session, until when, and who vouches for them.

import Primitives

extension Validator {
    /// - Parameter configuration: with the tokens and the public URL read.
    func exchanges(
        of block: CheckedBlock, upstreams: Upstreams, within configuration: GatewayConfiguration
    ) -> [ExchangeConfiguration] {
        var exchanges: [ExchangeConfiguration] = []
        var asked: [String: SourceLocation] = [:]
        for entry in block.entries("exchange") {
            let kind = value(of: entry) { text throws(ValueProblem) in
                try ValueDecoding.choice(text, of: ["token", "cookie"])
            }
            switch kind {
            case "token":
                let inside = self.block(entry, .exchangeToken)
                let until = until(of: inside, opening: entry, "'exchange token'")
                let token = legacyToken(of: inside, opening: entry, within: configuration)
                exchanges.append(
                    ExchangeConfiguration(
                        until: until ?? 0, kind: .token(token), place: report.place(entry.location)))
            case "cookie":
                let inside = self.block(entry, .exchangeCookie)
                let until = until(of: inside, opening: entry, "'exchange cookie'")
                let cookie = legacyCookie(
                    of: inside, opening: entry, upstreams, isSecure: configuration.publicURL.scheme == .https)
                guard let cookie else { continue }
                if let first = asked[cookie.name] {
                    report.error(
                        "this cookie is exchanged already", at: entry.arguments[1].location,
                        help: "it was first given at \(report.place(first))")
                    continue
                }
                asked[cookie.name] = entry.location
                exchanges.append(
                    ExchangeConfiguration(
                        until: until ?? 0, kind: .cookie(cookie), place: report.place(entry.location)))
            default: break
            }
        }
        return exchanges
    }

    /// Who is asked at each refresh.
    func accessCheck(of block: CheckedBlock, _ upstreams: Upstreams) -> AccessCheckConfiguration? {
        guard let entry = block.entry("access_check") else { return nil }
        let index = upstream(entry, upstreams)
        let path = value(of: entry, 1) { text throws(ValueProblem) in
            try RoutePath.requestTarget(text, example: "/internal/access")
        }
        var check = AccessCheckConfiguration(upstream: index ?? 0, path: path ?? "/")
        readDuration("timeout", of: self.block(entry, .accessCheck), into: &check.timeoutMilliseconds)
        return check
    }

    /// nil, reported, where it is missing or none.
    private func until(of block: CheckedBlock, opening: Entry, _ what: String) -> Int64? {
        if let entry = block.entry("until") { return value(of: entry, decode: ValueDecoding.endOfDay) }
        if !block.attempted("until"), !report.isIncomplete {
            report.error(
                "\(what) has no 'until'", at: opening.location,
                help: "add the last day on which it is of use: until 2027-01-31;")
        }
        return nil
    }

    private func legacyToken(
        of block: CheckedBlock, opening: Entry, within configuration: GatewayConfiguration
    ) -> LegacyTokenConfiguration {
        var token = LegacyTokenConfiguration()
        if let excess = opening.arguments.dropFirst().first {
            reportProblem(
                ValueProblem(
                    reason: "does not fit here",
                    help: "exchange token { … }; the cookie that the token is in is said inside: cookie NAME;"
                ),
                with: excess)
        }
        if let entry = block.entry("issuer") {
            token.issuer = plainText(entry, 0, what: "an issuer", example: "https://old.example.com")
        }
        if let entry = block.entry("audience") { token.audiences = audiences(entry) }
        token.keys = keys(of: block)
        let hasKeys = ["jwks_file", "public_key", "secret"].contains(where: block.attempted)
        if !hasKeys, !report.isIncomplete {
            report.error(
                "nothing says who signed these tokens", at: opening.location,
                help: "add: public_key ES256 FILE; or secret HS256 env:NAME; or jwks_file FILE;")
        }
        token.types = types(of: block)
        let isSecure = configuration.publicURL.scheme == .https
        token.cookieName = block.entry("cookie").flatMap { cookieName($0, 0, isSecure: isSecure) }
        if let path = claimPath("subject_claim", of: block) { token.subjectClaim = path }
        // The second expiry of a single token as well: systems of before may have called theirs the same.
        let written = ClaimDecoding.writtenNames.union(
            configuration.accessToken.useExpiry.map { [$0.claim] } ?? [])
        token.claims = words(of: block.entry("claims"), ignoringCase: false) { text throws(ValueProblem) in
            try ClaimDecoding.name(text, writtenByGateway: written)
        }
        token.leewayMilliseconds = configuration.accessToken.leewayMilliseconds
        readDuration("leeway", of: block, into: &token.leewayMilliseconds)
        readDuration("expired", of: block, into: &token.expiredMilliseconds)
        return token
    }

    private func legacyCookie(
        of block: CheckedBlock, opening: Entry, _ upstreams: Upstreams, isSecure: Bool
    ) -> LegacyCookieConfiguration? {
        guard opening.arguments.count == 2 else {
            report.error(
                "'exchange cookie' does not say which one", at: opening.location,
                help: "such as: exchange cookie old_session { … }")
            return nil
        }
        let name = cookieName(opening, 1, isSecure: isSecure)
        guard let entry = block.entry("upstream") else {
            if !block.attempted("upstream"), !report.isIncomplete {
                report.error(
                    "nobody is asked whose cookie this is", at: opening.location,
                    help: "add: upstream \(upstreams.configurations.first?.name ?? "api") /whoami;")
            }
            return nil
        }
        let index = upstream(entry, upstreams)
        let path = value(of: entry, 1) { text throws(ValueProblem) in
            try RoutePath.requestTarget(text, example: "/whoami")
        }
        guard let name, let index, let path else { return nil }
        var cookie = LegacyCookieConfiguration(name: name, upstream: index, path: path)
        readDuration("timeout", of: block, into: &cookie.timeoutMilliseconds)
        return cookie
    }

    /// The name of a cookie that is none of the gateway's.
    private func cookieName(_ entry: Entry, _ index: Int, isSecure: Bool) -> String? {
        value(of: entry, index) { text throws(ValueProblem) in
            // RFC 6265 §4.1.1: `cookie-name = token`.
            guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy({ ASCII.token.contains($0) })
            else {
                throw ValueProblem(reason: "is not the name of a cookie", help: "such as old_session")
            }
            let ours =
                isSecure
                ? ["__Host-access", "__Secure-refresh", "__Host-refreshed"]
                : ["access", "refresh", "refreshed"]
            if ours.contains(text) {
                throw ValueProblem(
                    reason: "is a cookie of the gateway's own", help: "an older one has another name")
            }
            return text
        }
    }
}
