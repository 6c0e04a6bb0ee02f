// The meaning of the blocks `limits`, `logs`, `control`, `access_token` and `refresh_token`, and of secrets.
//
// A secret is read here and put into `SecretText` at once; no message of this file contains one.

extension Validator {
    func limits(of main: CheckedBlock) -> LimitsConfiguration {
        let block = block(main.entry("limits"), .limits)
        var limits = LimitsConfiguration()
        if let size = size("request_header", of: block) { limits.requestHeaderBytes = Int(size) }
        readNumber("header_count", of: block, into: &limits.headerCount)
        if let size = size("request_body", of: block) { limits.requestBodyBytes = size }
        readNumber("connections", of: block, into: &limits.connections)
        readNumber("connections_per_address", of: block, into: &limits.connectionsPerAddress)
        readDuration("header_timeout", of: block, into: &limits.headerTimeoutMilliseconds)
        readDuration("body_timeout", of: block, into: &limits.bodyTimeoutMilliseconds)
        readDuration("idle_timeout", of: block, into: &limits.idleTimeoutMilliseconds)
        if let entry = block.entry("minimum_rate"), let rate = value(of: entry, decode: Self.minimumRate) {
            limits.minimumBytesPerSecond = rate
        }
        return limits
    }

    /// `off`, or a size for each second.
    private static func minimumRate(_ text: String) throws(ValueProblem) -> UInt64 {
        if text == "off" { return 0 }
        guard text.hasSuffix("/s") else {
            throw ValueProblem(
                reason: "is not a rate of bytes", help: "off, or a size for each second, such as 512b/s")
        }
        return try ValueDecoding.size(String(text.dropLast(2)), in: DirectiveTable.minimumRate)
    }

    func logs(of main: CheckedBlock) -> LogsConfiguration {
        let block = block(main.entry("logs"), .logs)
        var logs = LogsConfiguration()
        if let entry = block.entry("access") {
            if let destination = destination(entry) { logs.access = destination }
            let format = value(of: entry, 1) { text throws(ValueProblem) in
                try ValueDecoding.choice(text, of: ["json", "combined"])
            }
            if let format = format.flatMap(LogsConfiguration.Format.init(rawValue:)) {
                logs.accessFormat = format
            }
        }
        if let destination = destination(block.entry("audit")) { logs.audit = destination }
        let level = checkChoice(block.entry("level"))
        if let level = level.flatMap(LogsConfiguration.Level.init(rawValue:)) { logs.level = level }
        return logs
    }

    private func destination(_ entry: Entry?) -> LogsConfiguration.Destination? {
        guard let entry, let path = filePath(entry) else { return nil }
        switch path {
        case "off": return .off
        case "stdout": return .stdout
        case "stderr": return .stderr
        default:
            // A misspelt `stdout` would otherwise be a file of that name.
            let words = ["off", "stdout", "stderr"]
            guard !path.contains("/"), !path.contains("."), EditDistance.nearest(to: path, in: words) != nil
            else {
                return .file(path)
            }
            return value(of: entry) { text throws(ValueProblem) in
                var problem = ValueProblem(reason: "is not a destination", help: "")
                do throws(ValueProblem) {
                    _ = try ValueDecoding.choice(text, of: words)
                } catch {
                    problem.help = error.help + ", or a path: ./logs/access.log"
                }
                throw problem
            }
        }
    }

    func control(of main: CheckedBlock, listeners: [Listen]) -> ControlConfiguration? {
        guard let opening = main.entry("control") else { return nil }
        let block = block(opening, .control)
        let secret = block.entry("secret").flatMap(secret)
        guard let entry = block.entry("listen") else {
            if !block.attempted("listen"), !report.isIncomplete {
                report.error(
                    "'control' has no 'listen'", at: opening.location, help: "add: listen 127.0.0.1:9901;")
            }
            return nil
        }
        guard let address = value(of: entry, decode: AddressDecoding.listenAddress) else { return nil }
        let listen = Listen(
            configuration: ListenerConfiguration(address: address), location: entry.location)
        reportDuplicate(listen, of: listeners)
        let isOpen = !address.isLocal && !block.attempted("secret")
        if isOpen, !report.isIncomplete {
            report.error(
                "a control listener that is not on a loopback address needs a secret", at: entry.location,
                help: "add: secret file:/etc/auth-gateway/control.secret; or listen on 127.0.0.1")
        }
        return ControlConfiguration(address: address, secret: secret)
    }
}

// MARK: - Tokens

extension Validator {
    /// The issuer that is given; the public URL takes its origin from it, and the other way round.
    func issuer(of main: CheckedBlock) -> String? {
        // The block is checked, and its mistakes reported, in `accessToken`: here nothing may be reported
        // twice.
        let statements = main.entry("access_token")?.statement.body ?? []
        let issuer = statements.first { $0.name == "issuer" && $0.arguments.count == 1 && !$0.isBroken }
        return issuer?.arguments.first?.text
    }

    func accessToken(of main: CheckedBlock, issuer: String) -> AccessTokenConfiguration {
        let opening = main.entry("access_token")
        let block = block(opening, .accessToken)
        var token = AccessTokenConfiguration()
        token.issuer = issuer
        if let entry = block.entry("issuer") { checkIssuer(entry) }
        checkChoice(block.entry("algorithm"))
        if let entry = block.entry("audience") {
            let audience = plainText(
                entry, 0, what: "an audience", example: "'api' or 'https://api.example.com'")
            if let audience { token.audience = audience }
        } else if !block.attempted("audience"), !report.isIncomplete {
            report.warning(
                "'audience' is left at its default, 'api'", at: opening?.location,
                help: "name what the tokens are good for: access_token { audience shop-api; }")
        }
        readDuration("lifetime", of: block, into: &token.lifetimeMilliseconds)
        readDuration("leeway", of: block, into: &token.leewayMilliseconds)
        readDuration("stream_grace", of: block, into: &token.streamGraceMilliseconds)
        return token
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

    func refreshToken(of main: CheckedBlock) -> RefreshTokenConfiguration {
        let block = block(main.entry("refresh_token"), .refreshToken)
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
        let delivery = checkChoice(block.entry("delivery"))
        if let delivery = delivery.flatMap(RefreshTokenConfiguration.Delivery.init(rawValue:)) {
            token.delivery = delivery
        }
        checkChoice(block.entry("format"))
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

// MARK: - Secrets

extension Validator {
    private static let secretCharactersMin = 16

    /// The secret itself, or what `env:NAME` or `file:PATH` holds.
    private func secret(_ entry: Entry) -> SecretText? {
        let argument = entry.arguments[0]
        var text = argument.text
        if text.hasPrefix("env:") {
            let name = String(text.dropFirst("env:".count))
            guard let found = files.environmentValue(name) else {
                report.error(
                    "the environment variable of this secret is not set", at: argument.location,
                    help: "the form is env:NAME")
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
        // RFC 6750 §2.1: a bearer token has no spaces; a secret with one could never be presented.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            report.error(
                "this secret holds a character that no header field can carry", at: argument.location,
                help: "visible ASCII without spaces, as openssl rand -hex 32 makes it")
            return nil
        }
        guard text.utf8.count >= Self.secretCharactersMin else {
            report.error(
                "this secret is too short", at: argument.location,
                help: "at least \(Self.secretCharactersMin) characters, as openssl rand -hex 32 makes it")
            return nil
        }
        return SecretText(text)
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
