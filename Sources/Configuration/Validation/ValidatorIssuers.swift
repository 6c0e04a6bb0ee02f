// The meaning of `issuer`: whose access tokens are accepted, what they are for, and where their keys come
// from.

extension Validator {
    /// - Parameter own: what our own tokens are.
    func issuers(of main: CheckedBlock, own: AccessTokenConfiguration) -> [IssuerConfiguration] {
        var issuers: [IssuerConfiguration] = []
        var firsts: [String: SourceLocation] = [:]
        for entry in main.entries("issuer") {
            let issuer = issuer(of: block(entry, .issuer), opening: entry, leeway: own.leewayMilliseconds)
            let location = entry.arguments[0].location
            if let first = firsts[issuer.issuer] {
                report.error(
                    "this issuer has a block already", at: location,
                    help: "it was first given at \(report.place(first))")
            } else if issuer.issuer == own.issuer {
                report.error(
                    "this is the issuer of our own tokens, which are accepted without a block", at: location,
                    help: "ours is another one with: access_token { issuer URL; }")
            }
            firsts[issuer.issuer] = firsts[issuer.issuer] ?? entry.location
            issuers.append(issuer)
        }
        return issuers
    }

    private func issuer(of block: CheckedBlock, opening: Entry, leeway: Int64) -> IssuerConfiguration {
        var issuer = IssuerConfiguration(issuer: opening.arguments[0].text)
        issuer.place = report.place(opening.location)
        issuer.audiences = audiences(of: block, opening: opening)
        issuer.keys = keys(of: block)
        if value(of: opening, decode: Self.issuerName) != nil {
            issuer.keys.remote = remoteKeys(of: block, opening: opening)
        }
        issuer.algorithms = algorithms(of: block, keys: issuer.keys)
        issuer.types = types(of: block)
        if let path = claimPath("subject_claim", of: block) { issuer.subjectClaim = path }
        if let path = claimPath("scope_claim", of: block) { issuer.scopeClaim = path }
        if let entry = block.entry("audience_claim") {
            let name = plainText(entry, 0, what: "the name of a claim", example: "'aud'")
            if let name { issuer.audienceClaim = name }
        }
        issuer.requirements = block.entries("require").compactMap { entry in
            let kind = value(of: entry) { text throws(ValueProblem) in
                try ValueDecoding.choice(text, of: ["claim"])
            }
            return kind.flatMap { _ in claimRequirement(entry) }
        }
        issuer.leewayMilliseconds = leeway
        readDuration("leeway", of: block, into: &issuer.leewayMilliseconds)
        issuer.lifetimeMaxMilliseconds = duration("lifetime_max", of: block)
        issuer.isForwarded = checkChoice(block.entry("forward")) != "off"
        return issuer
    }

    /// RFC 7519 §4.1.1: any text, and a URI where it has a colon. Only who asks it for its keys needs a URL.
    private static func issuerName(_ text: String) throws(ValueProblem) -> String {
        let example = "https://login.example.org/"
        let name = try ValueDecoding.plainText(text, what: "an issuer", example: example)
        if name.contains("://") { _ = try AddressDecoding.url(name, example: example) }
        return name
    }

    private func audiences(of block: CheckedBlock, opening: Entry) -> [String] {
        guard let entry = block.entry("audience") else {
            if !block.attempted("audience"), !report.isIncomplete {
                report.error(
                    "nothing says what tokens of this issuer must be for", at: opening.location,
                    help:
                        "add: audience api; with 'any', tokens that it made for other services are good here")
            }
            return []
        }
        let names = words(of: entry, ignoringCase: false, decode: Self.audience)
        guard let any = entry.arguments.first(where: { $0.text == "any" }) else { return names }
        if entry.arguments.count > 1 {
            reportProblem(
                ValueProblem(
                    reason: "does not go with other audiences", help: "audience any; or the names alone"),
                with: any)
        } else {
            report.warning(
                "tokens that this issuer made for other services are good here too", at: any.location,
                help: "name what they must be for: audience api;")
        }
        return []
    }

    static func audience(_ text: String) throws(ValueProblem) -> String {
        try ValueDecoding.plainText(
            text, what: "an audience", example: "'api' or 'https://api.example.com'")
    }

    func types(of block: CheckedBlock) -> [String] {
        words(of: block.entry("type")) { text throws(ValueProblem) in
            // RFC 7515 §4.1.9: a media type, whose case makes no difference.
            try ValueDecoding.plainText(text, what: "the type of a token", example: "at+jwt").lowercased()
        }
    }

    func claimPath(_ name: String, of block: CheckedBlock) -> ClaimPath? {
        block.entry(name).flatMap { value(of: $0, decode: ClaimDecoding.path) }
    }

    private func algorithms(of block: CheckedBlock, keys: IssuerKeys) -> [String] {
        guard let entry = block.entry("algorithms") else { return [] }
        let names = words(of: entry) { text throws(ValueProblem) in
            try ValueDecoding.choice(text, of: DirectiveTable.algorithms)
        }
        let own = block.entries("public_key") + block.entries("secret")
        let attempts = block.attempts.count { $0.name == "public_key" || $0.name == "secret" }
        let areKnown = attempts == keys.publicKeys.count + keys.secrets.count && !report.isIncomplete
        guard areKnown, names.count == entry.arguments.count else { return names }
        for key in own where !names.contains(key.arguments[0].text) {
            report.warning(
                "this key is not used: 'algorithms' does not have \(key.arguments[0].text)", at: key.location,
                help: "it is given at \(report.place(entry.location))")
        }
        for (argument, name) in zip(entry.arguments, names) {
            let isSymmetric = DirectiveTable.symmetricAlgorithms.contains(name)
            // Nobody publishes a secret; a file may hold one.
            let mayBeElsewhere = !keys.files.isEmpty || keys.remote != nil && !isSymmetric
            if mayBeElsewhere || own.contains(where: { $0.arguments[0].text == name }) { continue }
            report.warning(
                "no key of this issuer is for \(name)", at: argument.location,
                help: isSymmetric ? "add: secret \(name) env:NAME;" : "add: public_key \(name) FILE;")
        }
        return names
    }
}

// MARK: - Keys that are fetched

extension Validator {
    /// Those of `jwks` or of `discovery`, which is also meant where no key is given at all.
    private func remoteKeys(of block: CheckedBlock, opening: Entry) -> RemoteKeys? {
        reportMixedSources(of: block)
        if let entry = block.entry("jwks") {
            guard let url = value(of: entry, decode: Self.keysURL) else { return nil }
            return remoteKeys(.jwks(url), url, entry.arguments[0], self.block(entry, .jwks))
        }
        let hasKeys = ["jwks", "jwks_file", "public_key", "secret"].contains(where: block.attempted)
        let entry = block.entry("discovery")
        guard entry != nil || !hasKeys && !block.attempted("discovery") && !report.isIncomplete else {
            return nil
        }
        guard let url = value(of: opening, decode: Self.discoveryURL) else { return nil }
        return remoteKeys(.discovery(url), url, opening.arguments[0], self.block(entry, .discovery))
    }

    /// At most one kind of them: an issuer with two sets of keys is two issuers, or a mistake.
    private func reportMixedSources(of block: CheckedBlock) {
        let kinds = ["jwks", "jwks_file", "discovery"].compactMap { block.entry($0) }
        for other in kinds.dropFirst() {
            report.error(
                "'\(other.name)' does not go with '\(kinds[0].name)'", at: other.location,
                help: "keep one of them; '\(kinds[0].name)' is at \(report.place(kinds[0].location))")
        }
    }

    private func remoteKeys(
        _ address: RemoteKeys.Address, _ url: URLText, _ argument: Argument, _ block: CheckedBlock
    ) -> RemoteKeys {
        var keys = RemoteKeys(address: address)
        readDuration("every", of: block, into: &keys.everyMilliseconds)
        readDuration("timeout", of: block, into: &keys.timeoutMilliseconds)
        keys.certificateAuthority = file(block.entry("tls_ca"))
        if url.isTLS { return keys }
        if !url.isLoopback {
            report.warning(
                "keys that come over plain http can be changed by whoever stands between, who then makes"
                    + " tokens",
                at: argument.location, help: "use https://")
        }
        if let entry = block.entry("tls_ca") {
            report.warning(
                "these keys come over plain http: 'tls_ca' has no effect", at: entry.location,
                help: "use https://, or take it out")
        }
        return keys
    }

    private static func keysURL(_ text: String) throws(ValueProblem) -> URLText {
        let example = "https://login.example.org/keys"
        let parts = try AddressDecoding.url(text, example: example)
        // RFC 9110 §7.1: a fragment is no part of what is asked for.
        if parts.rest.contains("#") {
            throw ValueProblem(reason: "has a fragment", help: "such as \(example)")
        }
        return urlText(parts, path: parts.rest.hasPrefix("/") ? parts.rest : "/" + parts.rest)
    }

    /// Where the configuration of an OpenID provider is.
    private static func discoveryURL(_ text: String) throws(ValueProblem) -> URLText {
        let example = "https://login.example.org/"
        let parts: URLParts
        do throws(ValueProblem) {
            parts = try AddressDecoding.url(text, example: example)
        } catch {
            throw ValueProblem(
                reason: error.reason,
                help:
                    "keys of an issuer are asked for at its URL, such as \(example); otherwise add: jwks URL;"
            )
        }
        // OpenID Connect Core 1.0 §2, 'iss': "no query or fragment components".
        if parts.rest.contains("?") || parts.rest.contains("#") {
            throw ValueProblem(
                reason: "has a query or a fragment", help: "scheme, host and path, such as \(example)")
        }
        // Discovery 1.0 §4.1: "any terminating / MUST be removed before appending
        // /.well-known/openid-configuration".
        let path = parts.rest.hasSuffix("/") ? String(parts.rest.dropLast()) : parts.rest
        return urlText(parts, path: path + "/.well-known/openid-configuration")
    }

    private static func urlText(_ parts: URLParts, path: String) -> URLText {
        let isTLS = parts.scheme == "https"
        return URLText(
            isTLS: isTLS, host: parts.host, port: parts.port ?? (isTLS ? 443 : 80), path: path)
    }
}
