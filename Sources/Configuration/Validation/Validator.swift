// The syntax tree to a `GatewayConfiguration`: what each value means, and whether all of them make sense
// together.
//
// This file owns the main block, listeners and the public URL, and the verbs that the other parts share; the
// blocks are in the files beside it. Every check that fails reports
// and goes on with a default, so that one load finds everything; whether there was an error is the report's
// to say.

/// Reads the meaning of one tree.
package struct Validator {
    let files: any ConfigurationFiles
    let report: DiagnosticReport
    let reader: SourceReader

    package func configuration(of statements: [Statement]) -> GatewayConfiguration {
        let main = StructureCheck(report: report).check(statements, in: .main)
        var result = GatewayConfiguration()
        let listens = listeners(of: main)
        result.listeners = listens.map(\.configuration)
        readTrustedProxies(of: main, listeners: listens, into: &result)
        result.workers = workers(of: main)
        if let path = filePath(main.entry("state_directory")) { result.stateDirectory = path }
        checkChoice(main.entry("sessions"))
        result.limits = limits(of: main)
        result.logs = logs(of: main)
        result.control = control(of: main, listeners: listens)

        let issuer = issuer(of: main)
        if let url = publicURL(of: main, issuer: issuer, listeners: listens) { result.publicURL = url }
        result.accessToken = accessToken(of: main, issuer: issuer ?? result.publicURL.origin)
        result.refreshToken = refreshToken(of: main)

        let upstreams = upstreams(of: main)
        result.upstreams = upstreams.configurations
        result.routes = routes(of: main, upstreams: upstreams, refreshPath: result.refreshToken.path)
        return result
    }

    private func workers(of main: CheckedBlock) -> Int? {
        guard let entry = main.entry("workers"), entry.arguments[0].text != "auto" else { return nil }
        return value(of: entry) { text throws(ValueProblem) in
            do throws(ValueProblem) {
                return try ValueDecoding.number(text, in: 1...256)
            } catch {
                throw ValueProblem(reason: error.reason, help: "auto, or " + error.help)
            }
        }
    }
}

// MARK: - Listeners and the public URL

extension Validator {
    /// A listener with the place that it was given at.
    struct Listen {
        var configuration: ListenerConfiguration
        var location: SourceLocation

        var address: ListenAddress { configuration.address }
    }

    private func listeners(of main: CheckedBlock) -> [Listen] {
        var listens: [Listen] = []
        for entry in main.entries("listen") {
            let option = value(of: entry, 1) { text throws(ValueProblem) in
                try ValueDecoding.choice(text, of: ["proxy_protocol"])
            }
            guard let address = value(of: entry, decode: AddressDecoding.listenAddress) else { continue }
            let listen = Listen(
                configuration: ListenerConfiguration(address: address, expectsProxyProtocol: option != nil),
                location: entry.location)
            reportDuplicate(listen, of: listens)
            listens.append(listen)
        }
        if !main.attempted("listen"), !report.isIncomplete {
            report.error("there is no 'listen'", at: nil, help: "add: listen 0.0.0.0:8080;")
        }
        return listens
    }

    func reportDuplicate(_ listen: Listen, of others: [Listen]) {
        guard let first = others.first(where: { $0.address.isSame(as: listen.address) }) else { return }
        report.error(
            "this address is listened on already", at: listen.location,
            help: "it was first given at \(report.place(first.location))")
    }

    private func readTrustedProxies(
        of main: CheckedBlock, listeners: [Listen], into configuration: inout GatewayConfiguration
    ) {
        let entries = main.entries("trusted_proxies")
        var isFaulty = entries.count < main.attempts.count { $0.name == "trusted_proxies" }
        for entry in entries {
            for (index, argument) in entry.arguments.enumerated() {
                if argument.text == "unix" {
                    configuration.trustsUnixPeers = true
                    continue
                }
                guard let range = value(of: entry, index, decode: AddressDecoding.addressRange) else {
                    isFaulty = true
                    continue
                }
                configuration.trustedProxies.append(range)
                if range.prefixBits == 0 {
                    report.warning(
                        "every client is believed about where it comes from", at: argument.location,
                        help: "name the addresses of the proxies alone, such as 10.0.0.0/8")
                }
            }
        }
        if !configuration.trustedProxies.isEmpty || isFaulty || report.isIncomplete { return }
        for listen in listeners where listen.configuration.expectsProxyProtocol && !listen.address.isLocal {
            report.error(
                "anyone who connects here could claim any address: nobody is named as a proxy",
                at: listen.location,
                help: "add: trusted_proxies 10.0.0.0/8; with the addresses of your proxies")
        }
    }

    private func publicURL(of main: CheckedBlock, issuer: String?, listeners: [Listen]) -> PublicURL? {
        if let entry = main.entry("public_url") {
            let example = "https://api.example.com"
            return value(of: entry) { text throws(ValueProblem) in
                let parts = try AddressDecoding.url(text, example: example)
                let origin = Self.origin(of: parts)
                if !parts.rest.isEmpty {
                    throw ValueProblem(
                        reason: "has a path", help: "scheme, host and port alone, such as \(example)")
                }
                if origin.scheme == .http, !parts.isLoopback {
                    report.warning(
                        "access and refresh cookies travel without Secure: this public URL is plain http",
                        at: entry.arguments[0].location,
                        help: "use https://, or a loopback host to develop with")
                }
                return origin
            }
        }
        if main.attempted("public_url") { return nil }
        if let issuer, let parts = try? AddressDecoding.url(issuer, example: "") {
            return Self.origin(of: parts)
        }
        guard let first = listeners.first else { return nil }
        if listeners.count > 1 {
            report.error(
                "'public_url' is needed where there are several listeners", at: listeners[1].location,
                help: "add: public_url https://api.example.com;")
            return nil
        }
        let url = PublicURL(
            scheme: .http,
            authority: first.address.port.map { $0 == 80 ? "localhost" : "localhost:\($0)" } ?? "localhost")
        report.warning(
            "'public_url' is not given and taken to be \(url.origin)", at: first.location,
            help: "add: public_url \(url.origin); or the origin that clients use")
        return url
    }

    private static func origin(of parts: URLParts) -> PublicURL {
        let scheme = parts.scheme == "https" ? PublicURL.Scheme.https : .http
        let ownPort: UInt16 = scheme == .https ? 443 : 80
        let port = parts.port.map { $0 == ownPort ? "" : ":\($0)" } ?? ""
        return PublicURL(scheme: scheme, authority: parts.bracketedHost + port)
    }
}

// MARK: - Values

extension Validator {
    /// The block that `entry` opens, checked; empty where there is no such entry.
    func block(_ entry: Entry?, _ block: Block) -> CheckedBlock {
        StructureCheck(report: report).check(entry?.statement.body ?? [], in: block)
    }

    /// The decoded value of an argument; nil, reported, if it is none.
    func value<Value>(
        of entry: Entry, _ index: Int = 0, decode: (String) throws(ValueProblem) -> Value
    ) -> Value? {
        guard entry.arguments.indices.contains(index) else { return nil }
        let argument = entry.arguments[index]
        do {
            return try decode(argument.text)
        } catch {
            reportProblem(error, with: argument)
            return nil
        }
    }

    /// An argument of the form `name=value`.
    struct Option {
        let argument: Argument
        let value: String
    }

    /// The options that stand behind the first `count` arguments, by name; what is none, or is given twice,
    /// is reported.
    func options(of entry: Entry, after count: Int, names: [String]) -> [String: Option] {
        var options: [String: Option] = [:]
        for argument in entry.arguments.dropFirst(count) {
            let parts = argument.text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard parts.count == 2, names.contains(name) else {
                let near =
                    EditDistance.nearest(to: name, in: names).map { "did you mean '\($0)='? Its" } ?? "its"
                let problem = ValueProblem(
                    reason: "is no option of '\(entry.name)'",
                    help: near + " form is '\(entry.directive.form)'")
                reportProblem(problem, with: argument)
                continue
            }
            if options[name] != nil {
                reportProblem(
                    ValueProblem(reason: "is given twice", help: "keep one of them"), with: argument)
            }
            options[name] = Option(argument: argument, value: String(parts[1]))
        }
        return options
    }

    /// The decoded value of an option; nil if there is none, or it is wrong and reported.
    func value<Value>(of option: Option?, decode: (String) throws(ValueProblem) -> Value) -> Value? {
        guard let option else { return nil }
        do {
            return try decode(option.value)
        } catch {
            reportProblem(error, with: option.argument)
            return nil
        }
    }

    /// Quotes the argument as it is written: its text may come from the environment.
    func reportProblem(_ problem: ValueProblem, with argument: Argument) {
        report.error(
            "\(report.quoted(argument.location)) \(problem.reason)", at: argument.location, help: problem.help
        )
    }

    func readDuration(_ name: String, of block: CheckedBlock, into value: inout Int64) {
        guard let entry = block.entry(name), case .duration(let range) = entry.directive.shape else { return }
        let decoded = self.value(of: entry) { text throws(ValueProblem) in
            try ValueDecoding.duration(text, in: range)
        }
        if let decoded { value = decoded }
    }

    func size(_ name: String, of block: CheckedBlock) -> UInt64? {
        guard let entry = block.entry(name), case .size(let range) = entry.directive.shape else { return nil }
        return value(of: entry) { text throws(ValueProblem) in try ValueDecoding.size(text, in: range) }
    }

    func readNumber(_ name: String, of block: CheckedBlock, into value: inout Int) {
        guard let entry = block.entry(name), case .number(let range) = entry.directive.shape else { return }
        let decoded = self.value(of: entry) { text throws(ValueProblem) in
            try ValueDecoding.number(text, in: range)
        }
        if let decoded { value = decoded }
    }

    /// The word given for a directive of few words; nil if there is none, or it is wrong and reported.
    @discardableResult
    func checkChoice(_ entry: Entry?) -> String? {
        guard let entry, case .choice(let words) = entry.directive.shape else { return nil }
        return value(of: entry) { text throws(ValueProblem) in try ValueDecoding.choice(text, of: words) }
    }

    /// The path of a file or directory, as given.
    func filePath(_ entry: Entry?) -> String? {
        guard let entry else { return nil }
        return value(of: entry) { text throws(ValueProblem) in
            guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                throw ValueProblem(reason: "is not a path", help: "such as \(entry.directive.example)")
            }
            return text
        }
    }

    /// Text that goes into tokens and header fields: visible ASCII without spaces.
    func plainText(_ entry: Entry, _ index: Int, what: String, example: String) -> String? {
        value(of: entry, index) { text throws(ValueProblem) in
            let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
            guard isPlain, (1...256).contains(text.utf8.count) else {
                throw ValueProblem(
                    reason: "is not \(what)",
                    help: "visible ASCII without spaces, quotation marks and backslashes, such as \(example)")
            }
            return text
        }
    }
}
