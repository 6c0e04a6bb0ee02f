// The syntax tree to a `GatewayConfiguration`: what each value means, and whether all of them make sense
// together.
//
// This file owns the main block and the verbs that the other parts share; the blocks are in the files beside
// it. Every check that fails reports and goes on with a default, so that one load finds everything; whether
// there was an error is the report's to say.

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
        result.tls = tls(of: main, listeners: listens)
        result.workers = workers(of: main)
        if let names = main.entry("user")?.arguments.map(\.text) {
            result.user = UserConfiguration(name: names[0], group: names.count > 1 ? names[1] : nil)
        }
        readDuration("drain_delay", of: main, into: &result.drainDelayMilliseconds)
        readDuration("drain_timeout", of: main, into: &result.drainTimeoutMilliseconds)
        if let path = filePath(main.entry("state_directory")) { result.stateDirectory = path }
        checkChoice(main.entry("sessions"))
        result.limits = limits(of: main)
        result.logs = logs(of: main)
        result.control = control(of: main, listeners: listens)

        let issuer = issuer(of: main)
        if let url = publicURL(of: main, issuer: issuer, listeners: listens) {
            result.publicURL = url
            checkTransport(url, of: main, listeners: listens)
        }
        let upstreams = upstreams(of: main)
        result.upstreams = upstreams.configurations
        let refreshBlock = block(main.entry("refresh_token"), .refreshToken)
        result.refreshToken = refreshToken(of: refreshBlock)
        result.accessToken = accessToken(
            of: main, issuer: issuer ?? result.publicURL.origin,
            longest: result.refreshToken.maxLifetimeMilliseconds)
        result.refreshToken.accessCheck = accessCheck(of: refreshBlock, upstreams)
        result.refreshToken.exchanges = exchanges(of: refreshBlock, upstreams: upstreams, within: result)
        result.issuers = issuers(of: main, own: result.accessToken)

        result.routes = routes(of: main, upstreams: upstreams, refreshPath: result.refreshToken.path)
        result.expectations = expectations(of: main, issuers: result.issuers)
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
    func filePath(_ entry: Entry?, _ index: Int = 0) -> String? {
        guard let entry else { return nil }
        return value(of: entry, index) { text throws(ValueProblem) in
            guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                throw ValueProblem(reason: "is not a path", help: "such as \(entry.directive.example)")
            }
            return text
        }
    }

    /// The file that `entry` names, relative to the file that `entry` stands in.
    func file(_ entry: Entry?, _ index: Int = 0) -> FileReference? {
        guard let entry, let path = filePath(entry, index) else { return nil }
        let location = entry.arguments[index].location
        return FileReference(
            path: reader.path(path, relativeTo: location), place: report.place(location))
    }

    /// Text that goes into tokens and header fields: visible ASCII without spaces.
    func plainText(_ entry: Entry, _ index: Int, what: String, example: String) -> String? {
        value(of: entry, index) { text throws(ValueProblem) in
            try ValueDecoding.plainText(text, what: what, example: example)
        }
    }
}
