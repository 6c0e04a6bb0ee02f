// The arguments of `auth-gateway sessions`, and its help.

import Primitives

/// A request of `auth-gateway sessions`.
enum SessionsRequest: Equatable {
    case list(subject: String?, isJSON: Bool)
    case explain(SessionID, isJSON: Bool)
    case end(SessionID)
    case backup(file: String)
    case check
}

/// Parses the arguments of `sessions`.
enum SessionsCommandLine {
    /// - Returns: the command, or the sentence that says what is wrong.
    static func parse(_ arguments: [String], defaultPath: String) -> Result<
        Command, CommandLineParser.UsageError
    > {
        if arguments.contains("-h") || arguments.contains("--help") { return .success(.text(help)) }
        var (words, isJSON, path) = ([String](), false, defaultPath)
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-c":
                guard let file = rest.popFirst() else { return problem("-c needs a file") }
                path = file
            case "--json": isJSON = true
            default: words.append(argument)
            }
        }
        return request(words, isJSON: isJSON).map { .sessions($0, configuration: path) }
    }

    private static func request(
        _ words: [String], isJSON: Bool
    ) -> Result<SessionsRequest, CommandLineParser.UsageError> {
        if isJSON && !["list", "explain"].contains(words.first) {
            return problem("only 'sessions list' and 'sessions explain' know '--json'")
        }
        switch (words.first, words.count) {
        case ("list", 1): return .success(.list(subject: nil, isJSON: isJSON))
        case ("list", 2): return .success(.list(subject: words[1], isJSON: isJSON))
        case ("backup", 2): return .success(.backup(file: words[1]))
        case ("backup", 1): return problem("'sessions backup' needs a file")
        case ("check", 1): return .success(.check)
        case ("explain", 2), ("end", 2):
            guard let sid = SessionID(text: words[1]) else {
                return problem("'\(words[1])' is no session id; 'sessions list' shows them")
            }
            return .success(words[0] == "end" ? .end(sid) : .explain(sid, isJSON: isJSON))
        case ("explain", 1), ("end", 1): return problem("'sessions \(words[0])' needs a session id")
        case (nil, _): return problem("'sessions' needs a command")
        default: return problem("there is no 'sessions \(words.joined(separator: " "))'")
        }
    }

    private static func problem<Success>(_ text: String) -> Result<Success, CommandLineParser.UsageError> {
        .failure(CommandLineParser.UsageError(message: "auth-gateway: \(text)\n\n\(synopsis)"))
    }

    private static let synopsis = """
        usage: auth-gateway sessions list [SUBJECT] [--json] [-c FILE]
               auth-gateway sessions explain SID [--json] [-c FILE]
               auth-gateway sessions end SID [-c FILE]
               auth-gateway sessions backup FILE [-c FILE]
               auth-gateway sessions check [-c FILE]
        """

    private static let help =
        synopsis + "\n\n" + """
            sessions list [SUBJECT] [--json]
                The sessions of a subject, or of all of them: the newest thousand.
            sessions explain SID [--json]
                What has become of a session, and why: ended ones are known for a week.
            sessions end SID
                Ends a session; its tokens are refused from the next request on.
            sessions backup FILE
                A whole copy of the sessions, made while the gateway goes on. To restore it, stop the gateway,
                put the copy in the place of sessions.db, and remove sessions.db-wal. Nobody is logged out by
                it: tokens that are ahead of the copy are honoured.
            sessions check
                Reads the database from end to end for damage; of a running gateway, a copy of it.

            A running gateway is asked by its control listener. When none runs, the file is read, and never
            changed but by `end`.
            """
}
