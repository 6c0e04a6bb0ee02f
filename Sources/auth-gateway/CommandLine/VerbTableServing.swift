// The commands that serve, and those that ask how a gateway does or what a configuration says.

extension VerbTable {
    static let serving = [
        Verb(
            name: "run",
            options: [
                Verb.Option(
                    names: ["--take-over"],
                    summary:
                        "take the place of the gateway that runs on the same state directory: its sockets, "
                        + "and no client notices"),
                configuration,
            ],
            summary: "serve",
            description: [
                "Serves by a configuration until it is told to end. Whatever is wrong with the "
                    + "configuration is said with its line, and nothing is served then.",
                "It tells a supervisor by NOTIFY_SOCKET when it is ready, reloads and stops, and takes "
                    + "listening sockets from it by LISTEN_FDS.",
            ],
            exits: [
                Verb.Exit(.success, "it was told to end, and has"),
                Verb.Exit(.failure, "it could not start: a port was taken, a file could not be had"),
                badConfiguration,
            ],
            examples: [
                Verb.Example("auth-gateway run -c gateway.conf", "serve by the file in this directory"),
                Verb.Example(
                    "auth-gateway run --take-over", "put a new program in the place of the running one"),
            ]),
        Verb(
            name: "reload",
            options: [json, configuration],
            summary: "have the running gateway take up its configuration",
            description: [
                "Has the gateway that runs on the state directory of this configuration read its own one "
                    + "again: it changes over whole, or stays as it was and says why. Ends when every "
                    + "worker goes by it."
            ],
            output: [
                #"{"reloaded": BOOL, "reason": TEXT, "findings": [TEXT, …]}"#,
                "reason and findings only where it is refused, or no gateway runs.",
            ],
            exits: [
                Verb.Exit(.success, "the new configuration is in force"),
                Verb.Exit(.failure, "it is refused and the old one stays, or no gateway runs"),
                badConfiguration,
            ],
            examples: [
                Verb.Example("auth-gateway reload", "take up what has been edited"),
                Verb.Example(
                    "auth-gateway check && auth-gateway reload", "only where nothing is wrong with it"),
            ]),
        Verb(
            name: "healthcheck",
            options: [
                Verb.Option(names: ["--live"], summary: "ask only whether it answers at all"), json,
                configuration,
            ],
            summary: "say whether the running gateway is ready",
            description: [
                "Asks the control listener of the gateway that this configuration describes whether it is "
                    + "ready for clients. Meant for containers that have no curl.",
                "With --live it is asked on its own socket, in the state directory, and answers by way of "
                    + "every worker. A mistake in the file says nothing of the gateway that runs by an "
                    + "earlier version of it.",
            ],
            output: [
                #"{"healthy": BOOL, "status": NUMBER, "answer": OBJECT, "reason": TEXT}"#,
                "status and answer are those of the control listener; reason says why there are none.",
            ],
            exits: [
                Verb.Exit(.success, "it is"), Verb.Exit(.failure, "it is not, or nobody answers"),
            ],
            examples: [
                Verb.Example("auth-gateway healthcheck", "is it ready for clients?"),
                Verb.Example("auth-gateway healthcheck --live --json", "does it answer? For a program"),
            ]),
    ]

    static let questions = [
        Verb(
            name: "check", aliases: ["-t"],
            options: [
                Verb.Option(names: ["--strict"], summary: "a warning is as bad as an error"),
                Verb.Option(names: ["-q", "--quiet"], summary: "print errors alone"),
                Verb.Option(
                    names: ["--dump"],
                    summary: "print what is read, where it is valid: includes and variables replaced"),
                json, configuration,
            ],
            summary: "check a configuration and say everything that is wrong with it",
            description: [
                "Says everything that is wrong with a configuration, each with its line and what would be "
                    + "right, and holds its 'expect' directives against its routes. Needs no network and "
                    + "no state; of files only those that the configuration names.",
                "What --dump prints shows dots for secrets; a file that is named in an included file is "
                    + "still meant from there.",
            ],
            output: [
                #"{"valid": BOOL, "errors": NUMBER, "warnings": NUMBER, "findings": [FINDING, …]}"#,
                #"FINDING: {"file", "line", "column", "severity", "message", "hint"}; severity is error"#,
                "or warning; line, column and hint only where there are any.",
            ],
            exits: [Verb.Exit(.success, "the configuration is valid"), badConfiguration],
            examples: [
                Verb.Example("auth-gateway check -c gateway.conf", "before it is put in place"),
                Verb.Example("auth-gateway check --strict -q", "for a script: no word where all is well"),
                Verb.Example("auth-gateway check --dump", "what the includes and variables come to"),
            ]),
        explain,
    ]

    private static let explain = Verb(
        name: "explain",
        operands: [
            Verb.Operand(name: "METHOD", value: .choice(methods), phrase: "a method", isOptional: true),
            Verb.Operand(name: "TARGET", value: .text, phrase: "a target, such as: explain GET /admin/users"),
        ],
        options: [
            described("--claim", "NAME=VALUE", "it carries a token with this claim", mayRepeat: true),
            described("--scope", "SCOPE", "a scope of that token", mayRepeat: true),
            described("--subject", "SUBJECT", "whose that token is"),
            described("--issuer", "ISSUER", "one of the 'issuer' blocks; the gateway where none is named"),
            Verb.Option(names: ["--expired"], summary: "that token has expired"),
            Verb.Option(
                names: ["--cookie"], summary: "its token comes in the access cookie, as a browser's does"),
            described(
                "--token", "TOKEN", "it carries this token, which the running gateway judges; - is stdin"),
            Verb.Option(
                names: ["--token-file"], value: ("FILE", .file), summary: "the same, from a file"),
            described("--header", "FIELD", "a field of it: 'Sec-Fetch-Site: same-origin'", mayRepeat: true),
            described("--host", "HOST", "the host that it is for; TARGET may be a whole URL as well"),
            json, configuration,
        ],
        summary: "say what becomes of a request, and by which rule",
        description: [
            "Says what becomes of a request, by the configuration as it stands in the file: which route "
                + "takes it, each rule with what came of it, and where the request goes, as what, with "
                + "whose name. Without METHOD it is GET; without anything about a token it has none. A "
                + "token that is described is good in all else. Nothing is sent anywhere, but for --token "
                + "and --token-file.",
            "Rates, revocations and the answers of upstreams are not looked at.",
        ],
        output: [
            #"{"method", "target", "route": {"name", "file", "line"}, "rules": [RULE, …],"#,
            #" "status": NUMBER, "outcome": TEXT, …}"#,
            #"RULE: {"rule", "result", "text"}; result is passed, refused, observed or note."#,
            "outcome is forwarded (with upstream, upstream_target, identity, token_forwarded), answered,",
            "redirected (with location, code), refused (with code) or own.",
        ],
        exits: [
            Verb.Exit(.success, "it gets an answer that is no refusal"),
            Verb.Exit(.failure, "it is refused, or sent to a login"), badConfiguration,
        ],
        examples: [
            Verb.Example("auth-gateway explain /", "without a token"),
            Verb.Example(
                "auth-gateway explain POST /items --subject ann --scope items:read",
                "by somebody with a token"),
        ])

    private static let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    private static func described(
        _ name: String, _ value: String, _ summary: String, mayRepeat: Bool = false
    ) -> Verb.Option {
        Verb.Option(names: [name], value: (value, .text), mayRepeat: mayRepeat, summary: summary)
    }
}
