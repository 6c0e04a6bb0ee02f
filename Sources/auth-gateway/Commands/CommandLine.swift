// The command line: from the words of a caller to a command. What may be written is in `VerbTable`; what the
// words of a command mean is beside each command.

import Glibc
import Network
import Primitives

/// What the program was asked to do.
enum Command: Equatable {
    /// - Parameter takesOver: from the gateway that runs on the same state directory.
    case run(configuration: String, takesOver: Bool)
    case reload(configuration: String, isJSON: Bool)
    case healthcheck(HealthcheckRequest, configuration: String)
    case check(CheckRequest, configuration: String)
    case explain(ExplainRequest, configuration: String)
    case keys(KeysRequest, configuration: String)
    case token(TokenRequest, configuration: String)
    case sessions(SessionsRequest, configuration: String)
    case version(isJSON: Bool)
    /// Help, a manual page or a completion.
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

/// Parses the command line.
enum CommandLineParser {
    static func parse(_ arguments: [String]) throws(UsageError) -> Command {
        guard let first = arguments.first else { throw UsageError(message: HelpText.synopsis) }
        let rest = Array(arguments.dropFirst())
        // Alone it is a question for the commands; 'help' tells of the configuration as well.
        if Verb.help.names.contains(first) && rest.isEmpty { return .text(HelpText.synopsis) }
        // A word with a blank in it is not two.
        if !first.contains(" "), let verb = VerbTable.verb(first) { return try command(verb, rest) }
        guard let group = VerbTable.group(first) else {
            let hint = UsageError.hint(first, in: VerbTable.firstWords)
            throw UsageError("unknown command '\(first.withoutControls)'\(hint)", see: "")
        }
        return try command(group, rest)
    }

    private static func command(_ group: VerbGroup, _ arguments: [String]) throws(UsageError) -> Command {
        // The configuration may be named before the command is.
        var index = 0
        while index < arguments.count, arguments[index] == "-c" { index += 2 }
        guard index < arguments.count else {
            let words = group.words.joined(separator: ", ")
            throw UsageError("'\(group.name)' needs a command: \(words)", see: group.name)
        }
        if Verb.help.names.contains(arguments[index]) { return .text(HelpText.text(of: group)) }
        let word = arguments[index]
        guard let verb = VerbTable.verb("\(group.name) \(word)") else {
            let hint = UsageError.hint(word, in: group.words)
            throw UsageError("there is no '\(group.name) \(word.withoutControls)'\(hint)", see: group.name)
        }
        return try command(verb, Array(arguments[..<index] + arguments[(index + 1)...]))
    }

    private static func command(_ verb: Verb, _ rest: [String]) throws(UsageError) -> Command {
        guard let arguments = try Arguments(rest, of: verb) else { return .text(HelpText.text(of: verb)) }
        let path = arguments.configuration
        switch verb.name {
        case "run":
            return .run(configuration: path, takesOver: arguments.has(RunCommand.takeOverOption))
        case "reload": return .reload(configuration: path, isJSON: arguments.isJSON)
        case "healthcheck":
            return .healthcheck(
                HealthcheckRequest(isLive: arguments.has("--live"), isJSON: arguments.isJSON),
                configuration: path)
        case "check": return .check(try CheckRequest(arguments), configuration: path)
        case "explain": return .explain(try ExplainRequest(arguments), configuration: path)
        case "keys list": return .keys(.list(isJSON: arguments.isJSON), configuration: path)
        case "keys rotate":
            let force = arguments.has("--force")
            return .keys(
                arguments.words.isEmpty ? .rotate(force: force) : .rotateRefresh(force: force),
                configuration: path)
        case "keys retire":
            return .keys(
                .retire(kid: arguments.words[0], isNow: arguments.has("--now")), configuration: path)
        case "token issue", "token inspect":
            return .token(TokenRequest(verb, arguments), configuration: path)
        case "version": return .version(isJSON: arguments.isJSON)
        case "completion":
            guard let shell = CompletionShell(rawValue: arguments.words[0]) else {
                preconditionFailure("the table has the shells that there are")
            }
            return .text(shell.script)
        case "help": return .text(try HelpText.text(on: arguments))
        default: return .sessions(try SessionsRequest(verb, arguments), configuration: path)
        }
    }
}
