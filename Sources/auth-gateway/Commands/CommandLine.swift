// The command line: verbs, options, and the words for everything that is wrong with them.

import Configuration
import Glibc
import Network
import Primitives

/// What the program was asked to do.
enum Command: Equatable {
    /// - Parameter takesOver: from the gateway that runs on the same state directory.
    case run(configuration: String, takesOver: Bool)
    case reload(configuration: String, isJSON: Bool)
    case healthcheck(configuration: String, isLive: Bool)
    case check(CheckRequest, configuration: String)
    case explain(ExplainRequest, configuration: String)
    case keys(KeysRequest, configuration: String)
    case token(TokenRequest, configuration: String)
    case sessions(SessionsRequest, configuration: String)
    case version
    case help
    /// The help of one command.
    case text(String)
}

/// The codes that the process ends with.
enum ExitCode: Int32 {
    case success = 0
    case failure = 1
    case usage = 2
    case configuration = 78

    /// Ends the process at once, and runs nothing of what libraries have registered for its end: OpenSSL's
    /// part would free what other threads are still using.
    func end() -> Never { _exit(rawValue) }
}

/// The version of the program.
enum Version {
    static let number = "0.1.0"
}

/// Writes to the standard streams: data to stdout, messages to stderr.
enum Console {
    static func print(_ text: String) { try? AppendFile.standardOutput.append(Array("\(text)\n".utf8).span) }
    static func error(_ text: String) { try? AppendFile.standardError.append(Array("\(text)\n".utf8).span) }

    /// What somebody else wrote must not command a terminal.
    static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map {
                    $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : $0
                }))
    }

    /// A line of standard input, without the blanks around it.
    static func line() -> String {
        var text = readLine() ?? ""
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

/// Parses the command line.
enum CommandLineParser {
    /// A command line that cannot be carried out.
    struct UsageError: Error {
        let message: String
    }

    static func parse(_ arguments: [String]) -> Result<Command, UsageError> {
        guard let verb = arguments.first else { return usage("a command is needed") }
        let rest = Array(arguments.dropFirst())
        switch verb {
        case "run":
            if rest.contains("-h") || rest.contains("--help") { return .success(.help) }
            let takesOver = rest.contains(RunCommand.takeOverOption)
            return configurationPath(rest.filter { $0 != RunCommand.takeOverOption }).map {
                .run(configuration: $0, takesOver: takesOver)
            }
        case "check", "-t": return CheckCommandLine.parse(rest, defaultPath: defaultPath)
        case "explain": return ExplainCommandLine.parse(rest, defaultPath: defaultPath)
        case "reload":
            if rest.contains("-h") || rest.contains("--help") { return .success(.text(ReloadCommand.help)) }
            let isJSON = rest.contains("--json")
            return configurationPath(rest.filter { $0 != "--json" }).map {
                .reload(configuration: $0, isJSON: isJSON)
            }
        case "healthcheck":
            if rest.contains("-h") || rest.contains("--help") {
                return .success(.text(HealthcheckCommand.help))
            }
            let isLive = rest.contains("--live")
            return configurationPath(rest.filter { $0 != "--live" }).map {
                .healthcheck(configuration: $0, isLive: isLive)
            }
        case "keys": return KeysCommandLine.parse(rest, defaultPath: defaultPath)
        case "token": return TokenCommandLine.parse(rest, defaultPath: defaultPath)
        case "sessions": return SessionsCommandLine.parse(rest, defaultPath: defaultPath)
        case "version", "-v", "--version": return .success(.version)
        case "help", "-h", "--help": return .success(.help)
        default: return usage("unknown command '\(verb)'")
        }
    }

    private static func configurationPath(_ arguments: [String]) -> Result<String, UsageError> {
        var path = defaultPath
        var index = 0
        while index < arguments.count {
            guard arguments[index] == "-c", index + 1 < arguments.count else {
                return .failure(
                    UsageError(message: "auth-gateway: unexpected '\(arguments[index])'\n\n\(synopsis)"))
            }
            path = arguments[index + 1]
            index += 2
        }
        return .success(path)
    }

    private static func usage(_ problem: String) -> Result<Command, UsageError> {
        .failure(UsageError(message: "auth-gateway: \(problem)\n\n\(synopsis)"))
    }

    private static let defaultPath = "/etc/auth-gateway/gateway.conf"

    private static let synopsis = """
        usage: auth-gateway run [-c FILE]      serve; with --take-over, from where a running gateway stands
               auth-gateway reload [-c FILE]   have the running gateway take up its configuration
               auth-gateway healthcheck        say whether it is ready: see healthcheck --help
               auth-gateway check [-c FILE]    check a configuration and say everything that is wrong with it
               auth-gateway explain …          say what becomes of a request, and why: see explain --help
               auth-gateway keys …             show, change and take back keys: see keys --help
               auth-gateway token …            issue a token, or say why one is refused: see token --help
               auth-gateway sessions …         list, explain, end, back up, check: see sessions --help
               auth-gateway version            print the version
               auth-gateway help               print this, and every directive of the configuration

        The configuration is \(defaultPath) unless -c names another.
        Exit codes: 0 success, 1 failure while running, 2 usage, 78 bad configuration.
        """

    static var helpText: String { synopsis + "\n\n" + DirectiveReference.text }
}
