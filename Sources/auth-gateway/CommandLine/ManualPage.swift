// The manual pages auth-gateway(1) and gateway.conf(5), made from the tables of verbs and of directives, so
// that they say what the program does.

import Configuration

/// The manual pages, in roff.
enum ManualPage {
    static var ofProgram: String {
        var page = Roff("AUTH-GATEWAY", section: 1, of: "User Commands")
        page.name("auth-gateway", "reverse proxy that validates access tokens and refreshes them")
        page.section("SYNOPSIS")
        for verb in VerbTable.verbs { page.form(verb.form) }
        page.section("DESCRIPTION")
        for paragraph in description { page.paragraph(paragraph) }
        page.section("COMMANDS")
        for verb in VerbTable.verbs { write(verb, to: &page) }
        page.section("OPTIONS")
        for option in [VerbTable.configuration, VerbTable.json, Verb.help] {
            let names = option.names.joined(separator: ", ")
            page.item(names + (option.value.map { " \($0.name)" } ?? ""), [option.summary])
        }
        page.item("--", ["What follows is no option."])
        write("SIGNALS", signals, to: &page)
        write("EXIT STATUS", HelpText.exits.map { (String($0.code.rawValue), $0.meaning + ".") }, to: &page)
        write("FILES", files, to: &page)
        write("ENVIRONMENT", environment, to: &page)
        page.section("EXAMPLES")
        for verb in VerbTable.verbs {
            for example in verb.examples { page.item(example.command, [example.summary]) }
        }
        page.section("SEE ALSO")
        page.paragraph("gateway.conf(5), systemd.service(5), systemd.socket(5), logrotate(8)")
        return page.text
    }

    static var ofConfiguration: String {
        var page = Roff("GATEWAY.CONF", section: 5, of: "File Formats")
        page.name("gateway.conf", "configuration of auth-gateway")
        page.section("SYNOPSIS")
        page.paragraph(VerbTable.configurationPath)
        page.section("DESCRIPTION")
        for paragraph in syntax { page.paragraph(paragraph) }
        page.section("DIRECTIVES")
        for (block, rows) in DirectiveReference.sections {
            page.subsection(DirectiveReference.title(of: block))
            for row in rows {
                page.item(
                    row.form, [row.summary, DirectiveReference.facts(of: row).joined(separator: "; ")])
            }
        }
        page.section("EXAMPLES")
        page.literal(example)
        page.section("SEE ALSO")
        page.paragraph("auth-gateway(1)")
        return page.text
    }

    private static func write(_ verb: Verb, to page: inout Roff) {
        page.subsection("auth-gateway " + verb.name)
        for paragraph in verb.description { page.paragraph(paragraph) }
        if !verb.aliases.isEmpty { page.paragraph("Also \(verb.aliases.joined(separator: ", ")).") }
        for option in verb.options where ![VerbTable.configuration.names, ["--json"]].contains(option.names) {
            let names = option.names.joined(separator: ", ")
            page.item(names + (option.value.map { " \($0.name)" } ?? ""), [option.summary])
        }
        if !verb.output.isEmpty {
            page.paragraph("With --json it prints:")
            page.literal(verb.output)
        }
        let exits = HelpText.allExits(of: verb).map { "\($0.code.rawValue) \($0.meaning)" }
        page.paragraph("Exit status: \(exits.joined(separator: "; ")).")
    }

    private static func write(_ title: String, _ items: [(String, String)], to page: inout Roff) {
        page.section(title)
        for (term, words) in items { page.item(term, [words]) }
    }

    private static let description = [
        "auth-gateway stands in front of existing HTTP APIs. It validates a short-lived access token (JWT) "
            + "on every request without asking anybody and forwards the request; calls of its refresh "
            + "endpoint go to an embedded service with a table of revocations.",
        "Its configuration is \(VerbTable.configurationPath) unless -c names another; gateway.conf(5) has "
            + "its directives. Results go to standard output, messages to standard error.",
    ]

    private static let signals = [
        (
            "SIGHUP",
            "Reads the configuration again and changes over to it whole, or stays as it was and says why."
        ),
        (
            "SIGTERM, SIGINT",
            "Ends in good order: no new connections, and the others end with their exchange, as long as "
                + "drain_delay and drain_timeout give them. A second one does not wait."
        ),
        ("SIGUSR1", "Opens its logs anew, after they have been moved away."),
        (
            "SIGUSR2",
            "Starts the program that is in its place now, hands its sockets over to it, and ends; no client "
                + "notices."
        ),
    ]

    private static let files = [
        (
            VerbTable.configurationPath,
            "The configuration; it may hold secrets, and is for root and the gateway alone."
        ),
        ("/var/lib/auth-gateway", "The state directory: keys, and sessions in sessions.db."),
        ("/var/log/auth-gateway", "Where logs are rotated, if the configuration writes them there."),
    ]

    private static let environment = [
        (
            "NOTIFY_SOCKET",
            "Where a supervisor is told that the gateway serves, reloads or stops: sd_notify(3)."
        ),
        ("WATCHDOG_USEC", "How often it wants to be told that every worker lives: sd_watchdog_enabled(3)."),
        ("LISTEN_FDS, LISTEN_PID", "The listening sockets that it hands over: sd_listen_fds(3)."),
    ]

    private static let syntax = [
        "One directive after another: a name, its arguments and a semicolon, or a name, its arguments and "
            + "a block in braces. What follows a # is a comment until the end of the line.",
        "Durations are written 500ms, 30s, 15m, 7d; sizes 512b, 8k, 10m, 1g. An argument with blanks in it "
            + "stands in quotation marks. ${VARIABLE} is a variable of the environment, and "
            + "${VARIABLE:-TEXT} has a default. A secret may be written env:NAME or file:PATH.",
        "A word that is not known is an error. 'auth-gateway check' says everything that is wrong, with "
            + "its line.",
    ]

    private static let example = [
        "listen 127.0.0.1:8080;",
        "public_url http://localhost:8080;",
        "access_token { audience shop; }",
        "upstream api { server http://127.0.0.1:9000; }",
        "route /login { upstream api; access anonymous; login; }",
        "route / { upstream api; }",
    ]
}
