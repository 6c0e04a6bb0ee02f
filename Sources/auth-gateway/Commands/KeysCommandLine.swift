// The arguments of `auth-gateway keys`, and its help.

/// Parses the arguments of `keys`.
enum KeysCommandLine {
    private struct Options {
        var words: [String] = []
        var flags: Set<String> = []
        var configuration: String?
    }

    /// - Returns: the command, or the sentence that says what is wrong.
    static func parse(_ arguments: [String], defaultPath: String) -> Result<
        Command, CommandLineParser.UsageError
    > {
        if arguments.contains("-h") || arguments.contains("--help") {
            return .success(.text(help(of: arguments.first ?? "")))
        }
        return options(arguments).flatMap { options in
            request(options).map { .keys($0, configuration: options.configuration ?? defaultPath) }
        }
    }

    private static func options(_ arguments: [String]) -> Result<Options, CommandLineParser.UsageError> {
        var options = Options()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "-c" {
                guard let path = rest.popFirst() else { return problem("-c needs a file") }
                options.configuration = path
            } else if flags.contains(argument) {
                options.flags.insert(argument)
            } else {
                options.words.append(argument)
            }
        }
        return .success(options)
    }

    /// Any other word may be the name of a key: some begin with hyphens.
    private static let flags: Set<String> = ["--json", "--force", "--now"]

    private static func request(_ options: Options) -> Result<KeysRequest, CommandLineParser.UsageError> {
        let words = options.words
        let allowed: Set<String>
        let request: KeysRequest
        switch (words.first, words.count) {
        case ("list", 1): (allowed, request) = (["--json"], .list(isJSON: options.flags.contains("--json")))
        case ("rotate", 1):
            (allowed, request) = (["--force"], .rotate(force: options.flags.contains("--force")))
        case ("rotate", 2) where words[1] == "refresh":
            (allowed, request) = (["--force"], .rotateRefresh(force: options.flags.contains("--force")))
        case ("retire", 2):
            (allowed, request) = (["--now"], .retire(kid: words[1], isNow: options.flags.contains("--now")))
        case ("retire", 1): return problem("'keys retire' needs the name of a key")
        case (nil, _): return problem("'keys' needs a command")
        default: return problem("there is no 'keys \(words.joined(separator: " "))'")
        }
        if let flag = options.flags.subtracting(allowed).sorted().first {
            return problem("'keys \(words[0])' knows no '\(flag)'")
        }
        return .success(request)
    }

    private static func problem<Success>(_ text: String) -> Result<Success, CommandLineParser.UsageError> {
        .failure(CommandLineParser.UsageError(message: "auth-gateway: \(text)\n\n\(synopsis)"))
    }

    /// The help of one of the commands, or of all of them.
    private static func help(of command: String) -> String {
        switch command {
        case "list": listHelp
        case "rotate": rotateHelp
        case "retire": retireHelp
        default: "\(synopsis)\n\n\(listHelp)\n\n\(rotateHelp)\n\n\(retireHelp)"
        }
    }

    static let synopsis = """
        usage: auth-gateway keys list [--json] [-c FILE]
               auth-gateway keys rotate [--force] [-c FILE]
               auth-gateway keys rotate refresh [--force] [-c FILE]
               auth-gateway keys retire KID [--now] [-c FILE]
        """

    private static let listHelp = """
        keys list [--json]
            The keys of the state directory: the active one signs new tokens, the next one is published and
            will sign, retired ones verify what they have signed until the last of it has expired.
        """

    private static let rotateHelp = """
        keys rotate [--force]
            The next key signs from now on, the active one is retired, a new next key is made. Refused while
            the next key is younger than two minutes, because other gateways and their clients may not know
            it yet; --force does it nevertheless.
        keys rotate refresh [--force]
            A new key for refresh tokens, in use half a minute from now. No session notices; each changes
            over at its next refresh, and the old key goes when no token of it can come back.
        """

    private static let retireHelp = """
        keys retire KID [--now]
            Takes a key out of use; tokens that it has signed stay good until they expire. With --now, for a
            key that somebody else may have, whatever is signed with it is refused at once: clients refresh,
            and no session ends, unless refresh tokens are signed too. If it was the active one, the next key
            takes over.
        """
}
