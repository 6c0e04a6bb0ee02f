// The arguments of `auth-gateway token`, and its help.

/// Parses the arguments of `token`.
enum TokenCommandLine {
    /// - Returns: the command, or the sentence that says what is wrong.
    static func parse(
        _ arguments: [String], defaultPath: String
    ) -> Result<Command, CommandLineParser.UsageError> {
        if arguments.contains("-h") || arguments.contains("--help") { return .success(.text(help)) }
        var words: [String] = []
        var values: [String: String] = [:]
        var isJSON = false
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-c", "--claims", "--label":
                guard let value = rest.popFirst() else { return problem("\(argument) needs a value") }
                values[argument] = value
            case "--json": isJSON = true
            case _ where argument.hasPrefix("--"): return problem("'token' knows no '\(argument)'")
            default: words.append(argument)
            }
        }
        let request: TokenRequest
        switch (words.first, words.count) {
        case ("issue", 2):
            request = .issue(
                subject: words[1], claims: values["--claims"], label: values["--label"], isJSON: isJSON)
        case ("issue", _): return problem("'token issue' needs a subject")
        case ("inspect", 1...2):
            if values["--claims"] != nil || values["--label"] != nil {
                return problem("'token inspect' takes a token and nothing else")
            }
            request = .inspect(token: words.count == 2 && words[1] != "-" ? words[1] : nil, isJSON: isJSON)
        case (nil, _): return problem("'token' needs a command")
        default: return problem("there is no 'token \(words.joined(separator: " "))'")
        }
        return .success(.token(request, configuration: values["-c"] ?? defaultPath))
    }

    private static func problem<Success>(_ text: String) -> Result<Success, CommandLineParser.UsageError> {
        .failure(CommandLineParser.UsageError(message: "auth-gateway: \(text)\n\n\(synopsis)"))
    }

    static let synopsis = """
        usage: auth-gateway token issue SUBJECT [--claims JSON] [--label TEXT] [--json] [-c FILE]
               auth-gateway token inspect [TOKEN|-] [--json] [-c FILE]
        """

    private static let help = """
        \(synopsis)

        token issue SUBJECT
            Begins a session of the subject on the running gateway, and prints an access token; with --json
            the refresh token too. The session is in the lists and in the audit log, and can be ended like
            any other.
        token inspect [TOKEN|-]
            Takes a token apart and asks the running gateway what would become of it, and why. Without TOKEN
            it is read from standard input, where no list of processes shows it. Nothing that is printed can
            be used as a token. Exit code 0 when it would be accepted, 1 when not.
        """
}
