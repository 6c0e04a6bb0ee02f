// Help for a terminal, made from the table of verbs: the list of commands, and all about one of them.

import Configuration
import Primitives

/// What help prints.
enum HelpText {
    /// The list of commands.
    static var synopsis: String {
        let width = VerbTable.verbs.map { $0.name.count }.max() ?? 0
        var lines = ["usage: auth-gateway COMMAND …", ""]
        for verb in VerbTable.verbs { lines += row(verb.name, verb.summary, width: width) }
        lines.append("")
        lines += wrapped(
            "'auth-gateway help COMMAND' says all about one of them, 'auth-gateway help directives' about "
                + "the configuration, which is \(VerbTable.configurationPath) unless -c names another.")
        lines += wrapped(
            "Exit codes: " + exits.map { "\($0.code.rawValue) \($0.meaning)" }.joined(separator: ", "))
        return lines.joined(separator: "\n")
    }

    /// What the codes mean in all commands.
    static let exits = [
        Verb.Exit(.success, "success"), Verb.Exit(.failure, "failure while running"),
        Verb.Exit(.usage, "wrong usage"), Verb.Exit(.configuration, "bad configuration"),
    ]

    static func text(of verb: Verb) -> String {
        var lines = usage(verb, "usage: ")
        if !verb.aliases.isEmpty { lines.append("also:  \(verb.aliases.joined(separator: ", "))") }
        for paragraph in verb.description { lines += [""] + wrapped(paragraph) }
        let options = verb.allOptions.map { option in
            (
                option.names.joined(separator: ", ") + (option.value.map { " \($0.name)" } ?? ""),
                option.summary
            )
        }
        lines += section("Options:", options)
        if !verb.output.isEmpty { lines += ["", "With --json:"] + verb.output.map { "  " + $0 } }
        let exits = allExits(of: verb).map { (String($0.code.rawValue), $0.meaning) }
        lines += section("Exit codes:", exits)
        lines += ["", "Examples:"]
        for example in verb.examples { lines += ["  \(example.command)", "      \(example.summary)"] }
        return lines.joined(separator: "\n")
    }

    static func text(of group: VerbGroup) -> String {
        var lines: [String] = []
        for verb in group.verbs { lines += usage(verb, lines.isEmpty ? "usage: " : "       ") }
        for paragraph in group.description { lines += [""] + wrapped(paragraph) }
        lines += section(nil, group.verbs.map { ($0.name, $0.summary) })
        lines += ["", "'auth-gateway help \(group.name) \(group.words[0])' says all about one of them."]
        return lines.joined(separator: "\n")
    }

    /// What `auth-gateway help` prints.
    static func text(on arguments: Arguments) throws(UsageError) -> String {
        let words = arguments.words
        if arguments.has("--man") {
            if words.isEmpty { return ManualPage.ofProgram }
            if words == [directives] { return ManualPage.ofConfiguration }
            throw arguments.problem("there are manual pages of all commands and of 'directives'")
        }
        guard let first = words.first else { return synopsis + "\n\n" + DirectiveReference.text }
        if first == directives { return try reference(words.dropFirst().first) }
        if let group = VerbTable.group(first), words.count == 1 { return text(of: group) }
        if let verb = VerbTable.verb(words.joined(separator: " ")) { return text(of: verb) }
        let (word, known) =
            VerbTable.group(first).map { (words[1], $0.words) } ?? (
                first, VerbTable.firstWords + [directives]
            )
        let name = words.joined(separator: " ").withoutControls
        throw UsageError("there is no command '\(name)'\(UsageError.hint(word, in: known))", see: "")
    }

    /// With the code of wrong usage, which all have.
    static func allExits(of verb: Verb) -> [Verb.Exit] {
        let usage = Verb.Exit(.usage, "the command line is wrong")
        return (verb.exits + [usage]).sorted { $0.code.rawValue < $1.code.rawValue }
    }

    /// The word for what is not a command, but the configuration.
    static let directives = "directives"

    private static func reference(_ name: String?) throws(UsageError) -> String {
        guard let name else { return DirectiveReference.text }
        if let text = DirectiveReference.text(of: name) { return text }
        let hint = UsageError.hint(name, in: DirectiveTable.names.sorted())
        throw UsageError("there is no directive '\(name.withoutControls)'\(hint)", see: directives)
    }

    private static func usage(_ verb: Verb, _ indent: String) -> [String] {
        let hanging = String(repeating: " ", count: 7 + 4)
        return TextWrapping.lines(joining: verb.form, by: " ", width: width, indent: indent, hanging: hanging)
    }

    private static func section(_ title: String?, _ rows: [(String, String)]) -> [String] {
        let width = min(rows.map { $0.0.count }.max() ?? 0, Self.columnMax)
        return [""] + (title.map { [$0] } ?? []) + rows.flatMap { row($0, $1, width: width) }
    }

    private static func row(_ name: String, _ text: String, width column: Int) -> [String] {
        let blanks = String(repeating: " ", count: max(0, column - name.count) + 2)
        let hanging = String(repeating: " ", count: column + 4)
        return TextWrapping.lines(of: text, width: width, indent: "  " + name + blanks, hanging: hanging)
    }

    private static func wrapped(_ text: String) -> [String] { TextWrapping.lines(of: text, width: width) }

    private static let width = 100
    private static let columnMax = 30
}
