// The arguments of `auth-gateway check`, and its help.

/// A request of `auth-gateway check`.
struct CheckRequest: Equatable {
    /// A warning is as bad as an error.
    var isStrict = false
    /// What is in order is not said, and neither is a warning.
    var isQuiet = false
    var isJSON = false
}

/// Parses the arguments of `check`.
enum CheckCommandLine {
    /// - Returns: the command, or the sentence that says what is wrong.
    static func parse(
        _ arguments: [String], defaultPath: String
    ) -> Result<Command, CommandLineParser.UsageError> {
        if arguments.contains("-h") || arguments.contains("--help") { return .success(.text(help)) }
        var request = CheckRequest()
        var path = defaultPath
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-c":
                guard let given = rest.popFirst() else { return problem("-c needs a file") }
                path = given
            case "--strict": request.isStrict = true
            case "-q", "--quiet": request.isQuiet = true
            case "--json": request.isJSON = true
            default: return problem("unexpected '\(argument)'")
            }
        }
        return .success(.check(request, configuration: path))
    }

    private static func problem<Success>(_ text: String) -> Result<Success, CommandLineParser.UsageError> {
        .failure(CommandLineParser.UsageError(message: "auth-gateway: \(text)\n\n\(synopsis)"))
    }

    static let synopsis = "usage: auth-gateway check [--strict] [-q] [--json] [-c FILE]"

    private static let help = """
        \(synopsis)

        Says everything that is wrong with a configuration, each with its line and what would be right, and
        holds its 'expect' directives against its routes. Needs no network and no state; of files only those
        that the configuration names.

        --strict  a warning is as bad as an error
        -q        errors alone
        --json    one JSON object on stdout: valid, errors, warnings, and findings with file, line, column,
                  severity, message and hint

        Exit codes: 0 the configuration is valid, 2 usage, 78 it is not.
        """
}
