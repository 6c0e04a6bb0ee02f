// The commands that look after keys, tokens and sessions.

extension VerbTable {
    static let keyGroup = VerbGroup(
        name: "keys", summary: "show, change and take back keys",
        description: [
            "Works on the state directory of the configuration, whether a gateway runs on it or not. One "
                + "that does takes a change up within 10 seconds, at once by SIGHUP. Names and times are "
                + "printed, never a key."
        ])

    static let keys = [
        Verb(
            name: "keys list", options: [json, configuration],
            summary: "show the keys and what each is for",
            description: [
                "The keys of the state directory: the active one signs new tokens, the next one is "
                    + "published and will sign, retired ones verify what they have signed until the last "
                    + "of it has expired."
            ],
            output: [
                #"{"signing_keys": [{"kid", "algorithm", "state", "created", "since", "until"}, …],"#,
                #" "refresh_keys": [{"number", "state", "since"}, …]}"#,
                "A key of the configuration's own files has kid, algorithm, state and file.",
            ],
            exits: [done, Verb.Exit(.failure, "the keys cannot be read"), badConfiguration],
            examples: [
                Verb.Example("auth-gateway keys list", "a line for each key"),
                Verb.Example("auth-gateway keys list --json", "the same for a program"),
            ]),
        Verb(
            name: "keys rotate",
            operands: [
                Verb.Operand(
                    name: "refresh", value: .choice(["refresh"]), phrase: "'refresh'", isOptional: true)
            ],
            options: [
                Verb.Option(names: ["--force"], summary: "even if the newest key was made lately"),
                configuration,
            ],
            summary: "have the next key sign from now on",
            description: [
                "The next key signs from now on, the active one is retired, a new next key is made. "
                    + "Refused while the next key is younger than two minutes, because other gateways and "
                    + "their clients may not know it yet; --force does it nevertheless.",
                "With 'refresh' a new key for refresh tokens, in use half a minute from now. No session "
                    + "notices; each changes over at its next refresh, and the old key goes when no token "
                    + "of it can come back.",
            ],
            exits: [done, Verb.Exit(.failure, "refused, and nothing has changed"), badConfiguration],
            examples: [
                Verb.Example("auth-gateway keys rotate --force", "change over at once"),
                Verb.Example("auth-gateway keys rotate refresh --force", "the key of refresh tokens"),
            ]),
        Verb(
            name: "keys retire",
            operands: [
                Verb.Operand(name: "KID", value: .text, phrase: "the name of a key", isMadeByChance: true)
            ],
            options: [
                Verb.Option(names: ["--now"], summary: "refuse at once what it has signed"), configuration,
            ],
            summary: "take a key out of use",
            description: [
                "Takes a key out of use; tokens that it has signed stay good until they expire. If it was "
                    + "the active one, the next key takes over.",
                "With --now, for a key that somebody else may have, whatever is signed with it is refused "
                    + "at once: clients refresh, and no session ends, unless refresh tokens are signed too.",
            ],
            exits: [done, Verb.Exit(.failure, "refused, and nothing has changed"), badConfiguration],
            examples: [
                Verb.Example(
                    "auth-gateway keys retire --now \(exampleKid)", "somebody else may have this key")
            ]),
    ]

    static let tokenGroup = VerbGroup(
        name: "token", summary: "issue a token, or say why one is refused",
        description: ["Both ask the running gateway, by its control listener."])

    static let tokens = [
        Verb(
            name: "token issue",
            operands: [Verb.Operand(name: "SUBJECT", value: .text, phrase: "a subject")],
            options: [
                Verb.Option(
                    names: ["--claims"], value: ("JSON", .text), summary: "claims of the session, an object"),
                Verb.Option(
                    names: ["--label"], value: ("TEXT", .text), summary: "what lists of sessions call it"),
                json, configuration,
            ],
            summary: "begin a session and print an access token",
            description: [
                "Begins a session of the subject on the running gateway, and prints an access token; with "
                    + "--json the refresh token too. The session is in the lists and in the audit log, and "
                    + "can be ended like any other."
            ],
            output: [
                #"{"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}"#
            ],
            exits: [done, Verb.Exit(.failure, "no token is issued"), badConfiguration],
            examples: [
                Verb.Example("auth-gateway token issue ops", "a token of the subject 'ops'"),
                Verb.Example(
                    #"auth-gateway token issue ops --claims '{"role":"admin"}' --json"#,
                    "with a claim, and the pair"),
            ]),
        Verb(
            name: "token inspect",
            operands: [Verb.Operand(name: "TOKEN", value: .text, phrase: "a token", isOptional: true)],
            options: [json, configuration],
            summary: "take a token apart and say what would become of it",
            description: [
                "Takes a token apart and asks the running gateway what would become of it, and why. "
                    + "Without TOKEN, or with -, it is read from standard input, where no list of "
                    + "processes shows it. Nothing that is printed can be used as a token."
            ],
            output: [
                #"{"header": OBJECT, "claims": OBJECT, "kind": TEXT, "verdict": TEXT, …}"#,
                "kind is access_token or refresh_token; verdict is accepted (with issuer, own, subject,",
                "expires), refused (with code, reason) or undecided (with code, issuer, reason).",
            ],
            exits: [
                Verb.Exit(.success, "it would be accepted"),
                Verb.Exit(.failure, "it would not, or nobody can be asked"), badConfiguration,
            ],
            examples: [
                Verb.Example("auth-gateway token inspect <token.txt", "what is in this file"),
                Verb.Example(
                    "auth-gateway token issue ops | auth-gateway token inspect --json", "one of ours"),
            ]),
    ]

    static let sessionGroup = VerbGroup(
        name: "sessions", summary: "list, explain, end, back up and check sessions",
        description: [
            "A running gateway is asked by its control listener. When none runs, the file is read, and never "
                + "changed but by 'sessions end'."
        ])

    static let sessions = [
        Verb(
            name: "sessions list",
            operands: [Verb.Operand(name: "SUBJECT", value: .text, phrase: "a subject", isOptional: true)],
            options: [json, configuration],
            summary: "list the sessions of a subject, or of all",
            description: ["The sessions of a subject, or of all of them: the newest thousand."],
            output: [#"{"sessions": [SESSION, …]}"#, "SESSION as 'sessions explain --json' prints one."],
            exits: [done, Verb.Exit(.failure, "they cannot be read"), badConfiguration],
            examples: [
                Verb.Example("auth-gateway sessions list ann", "where is she logged in?"),
                Verb.Example("auth-gateway sessions list --json", "all of them for a program"),
            ]),
        Verb(
            name: "sessions explain", operands: [sessionID], options: [json, configuration],
            summary: "say what has become of a session, and why",
            description: ["What has become of a session, and why: ended ones are known for a week."],
            output: [
                #"{"sid", "subject", "claims": OBJECT, "user_agent", "address", "label", "created","#,
                #" "refreshed", "idle_deadline", "final_deadline", "generation": NUMBER, "confirmed": BOOL,"#,
                #" "state", "end_reason", "ended_by", "ended", "events": [{"at", "event", …}, …]}"#,
                "state is live or ended; end_reason, ended_by and ended only of one that has ended.",
            ],
            exits: [done, Verb.Exit(.failure, "there is no such session"), badConfiguration],
            examples: [
                Verb.Example("auth-gateway sessions explain \(exampleSID)", "why was I logged out?")
            ]),
        Verb(
            name: "sessions end", operands: [sessionID], options: [configuration],
            summary: "end a session",
            description: [
                "Ends a session; its tokens are refused from the next request on. All of a subject's are "
                    + "ended by the control listener: DELETE /subjects/SUBJECT/sessions."
            ],
            exits: [done, Verb.Exit(.failure, "there is no such session"), badConfiguration],
            examples: [Verb.Example("auth-gateway sessions end \(exampleSID)", "log this client out")]),
        Verb(
            name: "sessions backup",
            operands: [Verb.Operand(name: "FILE", value: .file, phrase: "a file")], options: [configuration],
            summary: "copy the sessions while the gateway goes on",
            description: [
                "A whole copy of the sessions, made while the gateway goes on. To restore it, stop the "
                    + "gateway, put the copy in the place of sessions.db, and remove sessions.db-wal. "
                    + "Nobody is logged out by it: tokens that are ahead of the copy are honoured."
            ],
            exits: [done, Verb.Exit(.failure, "there is no copy"), badConfiguration],
            examples: [Verb.Example("auth-gateway sessions backup sessions.backup", "into this directory")]),
        Verb(
            name: "sessions check", options: [configuration],
            summary: "look for damage in the database",
            description: [
                "Reads the database from end to end for damage; of a running gateway, a copy of it."
            ],
            exits: [
                Verb.Exit(.success, "it is whole"), Verb.Exit(.failure, "it is damaged, or cannot be read"),
                badConfiguration,
            ],
            examples: [Verb.Example("auth-gateway sessions check", "after a disk has failed")]),
    ]

    private static let sessionID = Verb.Operand(
        name: "SID", value: .text, phrase: "a session id", isMadeByChance: true)

    /// As they look.
    private static let exampleKid = "dxmFofoBa6OhByepmuBFmEEECLXr3W9oLHvkOXLeoow"
    private static let exampleSID = "uo9RGDHK-7kfyUYlN3vd0A"
}
