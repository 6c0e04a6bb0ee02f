// The meaning of `expect`: which request is meant, and what is to become of it. Whether it does is for those
// to say who carry requests out.

extension Validator {
    func expectations(of main: CheckedBlock, issuers: [IssuerConfiguration]) -> [PolicyExpectation] {
        main.entries("expect").compactMap { expectation($0, issuers) }
    }

    private func expectation(_ entry: Entry, _ issuers: [IssuerConfiguration]) -> PolicyExpectation? {
        let method = value(of: entry, decode: SampleDecoding.method)
        let request = value(of: entry, 1) { text throws(ValueProblem) in
            try SampleDecoding.request(method: method ?? "GET", target: text)
        }
        let outcome = value(of: entry, entry.arguments.count - 1, decode: Self.outcome)
        guard var request else { return nil }
        let isWhole = readWords(of: entry, issuers, into: &request)
        guard method != nil, let outcome, isWhole else { return nil }
        var expectation = PolicyExpectation(request: request, outcome: outcome)
        expectation.place = report.sourcePlace(entry.location)
        return expectation
    }

    private static func outcome(_ text: String) throws(ValueProblem) -> PolicyExpectation.Outcome {
        if text == "forwarded" { return .forwarded }
        guard let status = Int(text), (200...599).contains(status), text.utf8.count == 3 else {
            let near = EditDistance.nearest(to: text, in: ["forwarded"]).map { "did you mean '\($0)'?" }
            throw ValueProblem(
                reason: "is not what can become of a request",
                help: near ?? "at the end stands a status such as 401, or: forwarded")
        }
        return .status(status)
    }

    /// What stands between the target and the outcome.
    ///
    /// - Returns: whether all of it could be read.
    private func readWords(
        of entry: Entry, _ issuers: [IssuerConfiguration], into request: inout SampleRequest
    ) -> Bool {
        var token = SampleToken()
        var isAnonymous = false
        var saysToken: Argument?
        let end = entry.arguments.count - 1
        var index = 2
        while index < end {
            let argument = entry.arguments[index]
            index += 1
            let word: Word?? = value(of: entry, index - 1, decode: Self.word)
            guard let word else { return false }
            if word == nil { isAnonymous = true } else if word != .header { saysToken = argument }
            guard let word, word.takesValue else {
                token.isExpired = token.isExpired || word == .expired
                token.isInCookie = token.isInCookie || word == .cookie
                continue
            }
            guard index < end else {
                reportProblem(
                    ValueProblem(reason: "needs a value", help: "such as \(word.example)"), with: argument)
                return false
            }
            guard read(word, entry, index, issuers, into: &token, &request.fields) else { return false }
            index += 1
        }
        if isAnonymous, let saysToken {
            reportProblem(
                ValueProblem(
                    reason: "is said of a token, and 'anonymous' of none", help: "keep one of them"),
                with: saysToken)
            return false
        }
        if !isAnonymous, saysToken == nil {
            report.error(
                "this request neither has a token nor is anonymous", at: entry.location,
                help: "add 'anonymous', or 'token' for a good one with nothing special in it")
            return false
        }
        request.token = isAnonymous ? nil : token
        return true
    }

    /// A word of an `expect`.
    private enum Word: String, CaseIterable {
        case token, claim, scope, subject, issuer, expired, cookie, header

        var takesValue: Bool { self != .token && self != .expired && self != .cookie }

        var example: String {
            switch self {
            case .claim: "claim role=admin"
            case .scope: "scope items:read"
            case .subject: "subject alice"
            case .issuer: "issuer https://login.example.org/"
            case .header: "header Origin=https://app.example.com"
            case .token, .expired, .cookie: rawValue
            }
        }
    }

    /// nil: `anonymous`.
    private static func word(_ text: String) throws(ValueProblem) -> Word? {
        if text == "anonymous" { return nil }
        if let word = Word(rawValue: text) { return word }
        let words = ["anonymous"] + Word.allCases.map(\.rawValue)
        throw ValueProblem(
            reason: "says nothing of a request",
            help: EditDistance.nearest(to: text, in: words).map { "did you mean '\($0)'?" }
                ?? "what does is \(words.joined(separator: ", "))")
    }

    private func read(
        _ word: Word, _ entry: Entry, _ index: Int, _ issuers: [IssuerConfiguration],
        into token: inout SampleToken, _ fields: inout [FieldText]
    ) -> Bool {
        switch word {
        case .claim:
            guard let claim = value(of: entry, index, decode: SampleDecoding.claim) else { return false }
            token.claims.append(claim)
        case .scope:
            guard let scope = plainText(entry, index, what: "a scope", example: "'items:read'") else {
                return false
            }
            token.scopes.append(scope)
        case .subject:
            guard let subject = plainText(entry, index, what: "a subject", example: "'alice'") else {
                return false
            }
            token.subject = subject
        case .issuer:
            let name = entry.arguments[index].text
            guard issuers.contains(where: { $0.issuer == name }) else {
                let near = EditDistance.nearest(to: name, in: issuers.map(\.issuer))
                reportProblem(
                    ValueProblem(
                        reason: "is no issuer of this configuration",
                        help: near.map { "did you mean '\($0)'?" }
                            ?? "name one as its block does; a token of the gateway needs no such word"
                    ), with: entry.arguments[index])
                return false
            }
            token.issuer = name
        case .header:
            guard let field = value(of: entry, index, decode: SampleDecoding.field) else { return false }
            fields.append(field)
        case .token, .expired, .cookie: break
        }
        return true
    }
}
