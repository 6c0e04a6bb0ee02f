// The auth-gateway program: reads its command line and runs the command. Exit codes are a contract with
// service managers: 0, 1 failure while running, 2 usage, 78 bad configuration (EX_CONFIG, so that a restart
// is not tried).

import Glibc

let command: Command
switch CommandLineParser.parse(Array(CommandLine.arguments.dropFirst())) {
case .success(let parsed): command = parsed
case .failure(let usage):
    Console.error(usage.message)
    ExitCode.usage.end()
}

switch command {
case .help:
    Console.print(CommandLineParser.helpText)
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
case .version:
    Console.print("auth-gateway \(Version.number)")
case .check(let request, let path):
    CheckCommand.run(request, path: path).end()
case .explain(let request, let path):
    signal(SIGPIPE, SIG_IGN)
    ExplainCommand.run(request, configuration: path).end()
case .reload(let path, let isJSON):
    signal(SIGPIPE, SIG_IGN)
    ReloadCommand.run(configuration: path, isJSON: isJSON).end()
case .healthcheck(let path, let isLive):
    signal(SIGPIPE, SIG_IGN)
    HealthcheckCommand.run(configuration: path, isLive: isLive).end()
case .run(let path, let takesOver):
    // Keys and sessions are nobody else's business, whatever the umask of the caller.
    umask(0o077)
    // A peer that has gone is an error of one write, never the end of the process.
    signal(SIGPIPE, SIG_IGN)
    RunCommand(path: path, takesOver: takesOver).start()
}
