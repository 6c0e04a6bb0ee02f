// The commands about the program itself: its version, its help, and what a shell completes.

extension VerbTable {
    static let about = [
        Verb(
            name: "version", aliases: ["-v", "--version"], options: [json],
            summary: "print the version",
            description: [
                "Prints the version; with --json those of the libraries in use as well, which a report of "
                    + "a fault should have."
            ],
            output: [#"{"version", "openssl", "sqlite"}"#],
            exits: [done],
            examples: [
                Verb.Example("auth-gateway version", "the version alone"),
                Verb.Example("auth-gateway version --json", "for a report"),
            ]),
        Verb(
            name: "completion",
            operands: [
                Verb.Operand(
                    name: "SHELL", value: .choice(CompletionShell.allCases.map(\.rawValue)),
                    phrase: "a shell: bash, zsh or fish")
            ],
            summary: "print what a shell needs to complete commands",
            description: [
                "Prints a script for bash, zsh or fish that completes commands, options and files. The "
                    + "packages have put it in its place already."
            ],
            exits: [done],
            examples: [
                Verb.Example(
                    #"eval "$(auth-gateway completion bash)""#, "in this shell, and in ~/.bashrc in all"),
                Verb.Example(
                    "auth-gateway completion zsh >_auth-gateway",
                    "for zsh: a file in a directory of its $fpath"),
                Verb.Example(
                    "auth-gateway completion fish >auth-gateway.fish",
                    "for fish: in ~/.config/fish/completions"),
            ]),
        Verb(
            name: "help", aliases: ["-h", "--help"],
            operands: [
                Verb.Operand(name: "COMMAND", value: .topic, phrase: "a command", isOptional: true),
                Verb.Operand(name: "NAME", value: .topic, phrase: "a name", isOptional: true),
            ],
            options: [Verb.Option(names: ["--man"], summary: "print a manual page, in roff")],
            summary: "say more of a command, or of the configuration",
            description: [
                "Without anything, the list of commands and all directives of the configuration; -h alone, "
                    + "the list. With the name of a command, all about it. 'help directives' prints every "
                    + "directive, and 'help directives NAME' one of them.",
                "'help --man' prints auth-gateway(1), and 'help directives --man' gateway.conf(5).",
            ],
            exits: [done],
            examples: [
                Verb.Example("auth-gateway help keys rotate", "all about one command"),
                Verb.Example("auth-gateway help directives listen", "all about one directive"),
                Verb.Example("auth-gateway help --man | man -l -", "the manual page"),
            ]),
    ]
}
