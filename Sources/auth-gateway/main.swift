// The auth-gateway program: reads its command line and runs the command. Exit codes are a contract with
// service managers: 0, 1 failure while running, 2 usage, 78 bad configuration (EX_CONFIG, so that a restart
// is not tried).

import Glibc

let command: Command
do throws(UsageError) {
    command = try CommandLineParser.parse(Array(CommandLine.arguments.dropFirst()))
} catch {
    Console.error(error.message)
    ExitCode.usage.end()
}

switch command {
case .text(let text):
    Console.print(text)
case .keys(let request, let path):
    umask(0o077)
    KeysCommand.run(request, configuration: path).end()
case .token(let request, let path):
    signal(SIGPIPE, SIG_IGN)
    TokenCommand.run(request, configuration: path).end()
case .sessions(let request, let path):
    umask(0o077)
    signal(SIGPIPE, SIG_IGN)
    SessionsCommand.run(request, configuration: path).end()
case .version(let isJSON):
    Console.print(isJSON ? Version.json : Version.text)
case .check(let request, let path):
    CheckCommand.run(request, path: path).end()
case .explain(let request, let path):
    signal(SIGPIPE, SIG_IGN)
    ExplainCommand.run(request, configuration: path).end()
case .reload(let path, let isJSON):
    signal(SIGPIPE, SIG_IGN)
    ReloadCommand.run(configuration: path, isJSON: isJSON).end()
case .healthcheck(let request, let path):
    signal(SIGPIPE, SIG_IGN)
    HealthcheckCommand.run(request, configuration: path).end()
case .run(let path, let takesOver):
    // Keys and sessions are nobody else's business, whatever the umask of the caller.
    umask(0o077)
    // A peer that has gone is an error of one write, never the end of the process.
    signal(SIGPIPE, SIG_IGN)
    RunCommand(path: path, takesOver: takesOver).start()
}
