// The meaning of keys and secrets: `signing_key`, `public_key`, `jwks_file`, `secret`.
//
// Files with keys are not opened here, but for a secret's `file:PATH`. A secret is put into `SecretText` as
// soon as it is read; no message of this file contains one.

extension Validator {
    func signingKeys(of block: CheckedBlock) -> [SigningKeyFile] {
        let keys = block.entries("signing_key").compactMap { entry -> SigningKeyFile? in
            let algorithm = algorithm(entry, of: DirectiveTable.algorithms)
            let kid = kid(entry)
            guard let file = file(entry, 1), let algorithm else { return nil }
            return SigningKeyFile(algorithm: algorithm, file: file, kid: kid)
        }
        reportRepeatedIDs(of: block.entries("signing_key"))
        return keys
    }

    /// Those that the configuration itself has.
    func keys(of block: CheckedBlock) -> IssuerKeys {
        var keys = IssuerKeys()
        keys.files = block.entries("jwks_file").compactMap { file($0) }
        keys.publicKeys = block.entries("public_key").compactMap { entry in
            let algorithm = algorithm(entry, of: DirectiveTable.asymmetricAlgorithms)
            let kid = kid(entry)
            guard let file = file(entry, 1), let algorithm else { return nil }
            return PublicKeyFile(algorithm: algorithm, file: file, kid: kid)
        }
        keys.secrets = block.entries("secret").compactMap(sharedSecret)
        reportRepeatedIDs(of: block.entries("public_key") + block.entries("secret"))
        return keys
    }

    private func algorithm(_ entry: Entry, of names: [String]) -> String? {
        value(of: entry) { text throws(ValueProblem) in
            if DirectiveTable.algorithms.contains(text), !names.contains(text) {
                throw ValueProblem(
                    reason: "is no algorithm for a public key",
                    help: "who has the key can make tokens too: secret \(text) env:NAME;")
            }
            return try ValueDecoding.choice(text, of: names)
        }
    }

    private func kid(_ entry: Entry) -> String? {
        let option = options(of: entry, after: 2, names: ["kid"])["kid"]
        return value(of: option) { text throws(ValueProblem) in
            try ValueDecoding.plainText(text, what: "the ID of a key", example: "kid=2026-11")
        }
    }

    /// RFC 7517 §4.5: the keys of one set "SHOULD use distinct "kid" values"; of two keys with the same
    /// one, a token could not say which.
    private func reportRepeatedIDs(of entries: [Entry]) {
        var firsts: [String: SourceLocation] = [:]
        for entry in entries {
            for argument in entry.arguments.dropFirst(2) where argument.text.hasPrefix("kid=") {
                if let first = firsts[argument.text] {
                    report.error(
                        "another key has this ID", at: argument.location,
                        help: "it was first given at \(report.place(first))")
                } else {
                    firsts[argument.text] = argument.location
                }
            }
        }
    }
}

// MARK: - Secrets

extension Validator {
    private static let bearerCharactersMin = 16
    /// RFC 7518 §3.2: "A key of the same size as the hash output […] or larger MUST be used with this
    /// algorithm."
    private static let hashBytes = ["HS256": 32, "HS384": 48, "HS512": 64]

    /// `secret SECRET`, which callers present.
    func bearerSecret(_ entry: Entry) -> SecretText? {
        let argument = entry.arguments[0]
        guard let text = secretText(argument) else { return nil }
        // RFC 6750 §2.1: a bearer token has no spaces; a secret with one could never be presented.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            report.error(
                "this secret holds a character that no header field can carry", at: argument.location,
                help: "visible ASCII without spaces, as openssl rand -hex 32 makes it")
            return nil
        }
        guard text.utf8.count >= Self.bearerCharactersMin else {
            report.error(
                "this secret is too short", at: argument.location,
                help: "at least \(Self.bearerCharactersMin) characters, as openssl rand -hex 32 makes it")
            return nil
        }
        return SecretText(text)
    }

    /// `secret ALG SECRET [kid=ID]`, which tokens are signed with.
    private func sharedSecret(_ entry: Entry) -> SharedSecret? {
        let algorithm = value(of: entry) { text throws(ValueProblem) in
            try ValueDecoding.choice(text, of: DirectiveTable.symmetricAlgorithms)
        }
        let kid = kid(entry)
        let argument = entry.arguments[1]
        guard let text = secretText(argument), let algorithm else { return nil }
        // Bytes that are no text have been lost in reading, and the key would be another one.
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            report.error(
                "this secret holds a character that is not printable ASCII", at: argument.location,
                help: "a key of any bytes is told by a JWK set: jwks_file FILE;")
            return nil
        }
        let bytesMin = Self.hashBytes[algorithm] ?? 0
        guard text.utf8.count >= bytesMin else {
            report.error(
                "this secret is too short for \(algorithm): whoever has a token can guess it",
                at: argument.location,
                help: "at least \(bytesMin) characters (RFC 7518 §3.2), as openssl rand -hex 32 makes it")
            return nil
        }
        return SharedSecret(algorithm: algorithm, secret: SecretText(text), kid: kid)
    }

    /// The secret itself, or what `env:NAME` or `file:PATH` holds; never empty.
    private func secretText(_ argument: Argument) -> String? {
        var text = argument.text
        if text.hasPrefix("env:") {
            let name = String(text.dropFirst("env:".count))
            guard let found = files.environmentValue(name) else {
                report.error(
                    "the environment variable of this secret is not set", at: argument.location,
                    help: "set it wherever this command runs, as the service has it; or use file:PATH")
                return nil
            }
            text = found
        } else if text.hasPrefix("file:") {
            guard let content = secretFile(String(text.dropFirst("file:".count)), argument) else {
                return nil
            }
            text = content
        }
        if text.isEmpty {
            report.error(
                "this secret is empty", at: argument.location, help: "make one: openssl rand -hex 32")
            return nil
        }
        return text
    }

    /// The content of the file without one trailing line break, relative to the file that names it.
    private func secretFile(_ path: String, _ argument: Argument) -> String? {
        switch files.read(reader.path(path, relativeTo: argument.location)) {
        case .failure(let problem):
            report.error(
                "\(report.quoted(argument.location)) cannot be read: \(problem.reason)",
                at: argument.location,
                help: "the form is file:PATH")
            return nil
        case .success(var bytes):
            if bytes.last == UInt8(ascii: "\n") {
                bytes.removeLast()
                if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
