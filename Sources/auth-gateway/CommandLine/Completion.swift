// What a shell can complete, made from the table of verbs: a tree of words, and what each place in it takes.
// The scripts that are made of it are in the files beside this one.

import Configuration

/// The shells that there are completions for.
enum CompletionShell: String, CaseIterable {
    case bash, zsh, fish

    var script: String {
        switch self {
        case .bash: BashCompletion.script
        case .zsh: ZshCompletion.script
        case .fish: FishCompletion.script
        }
    }
}

/// A place that a command line has come to.
struct CompletionPlace {
    /// What stands there, in place of a word.
    enum Operand {
        case words([(word: String, summary: String)])
        case file
        case text
    }

    /// The words that lead to it, such as "keys list".
    let path: String
    /// Whether another word leads on to another place.
    var leadsOn = false
    var options: [Verb.Option] = []
    /// What may follow, one after the other.
    let operands: [Operand]

    /// Each place that there is.
    static let all: [CompletionPlace] = {
        let roots = CompletionPlace(
            path: "", leadsOn: true, options: [Verb.help], operands: [.words(firstWords)])
        let groups = VerbTable.groups.map {
            CompletionPlace(
                path: $0.name, leadsOn: true, options: [VerbTable.configuration, Verb.help],
                operands: [.words(words(of: $0))])
        }
        let verbs = VerbTable.verbs.filter { $0.name != "help" }.map { verb in
            CompletionPlace(path: verb.name, options: verb.allOptions, operands: verb.operands.map(operand))
        }
        return [roots] + groups + verbs + help
    }()

    /// The options that have a value, here and everywhere, with what it is.
    static let valued: [(name: String, isFile: Bool)] = {
        var found: [(name: String, isFile: Bool)] = []
        for option in VerbTable.verbs.flatMap(\.options) {
            guard let (_, kind) = option.value else { continue }
            let isFile = if case .file = kind { true } else { false }
            for name in option.names where !found.contains(where: { $0.name == name }) {
                found.append((name, isFile))
            }
        }
        return found
    }()

    private static var help: [CompletionPlace] {
        let options = (VerbTable.verb("help")?.options ?? []) + [Verb.help]
        let topics = firstWords + [(HelpText.directives, "every directive of the configuration")]
        let names = DirectiveTable.names.sorted().map { (word: $0, summary: "a directive") }
        return [
            CompletionPlace(path: "help", leadsOn: true, options: options, operands: [.words(topics)]),
            CompletionPlace(path: "help \(HelpText.directives)", options: options, operands: [.words(names)]),
        ]
            + VerbTable.groups.map {
                CompletionPlace(
                    path: "help \($0.name)", options: [Verb.help], operands: [.words(words(of: $0))])
            }
    }

    private static let firstWords = VerbTable.firstWords.map { word in
        let summary = VerbTable.group(word)?.summary ?? VerbTable.verb(word)?.summary
        return (word: word, summary: summary ?? "")
    }

    private static func words(of group: VerbGroup) -> [(word: String, summary: String)] {
        zip(group.words, group.verbs).map { (word: $0, summary: $1.summary) }
    }

    private static func operand(_ operand: Verb.Operand) -> Operand {
        switch operand.value {
        case .file: .file
        case .choice(let words): .words(words.map { (word: $0, summary: operand.name) })
        case .text, .topic: .text
        }
    }
}

/// A word as bash and zsh take it literally.
enum ShellWord {
    static func quoted(_ word: String) -> String {
        "'" + word.map { $0 == "'" ? "'\\''" : String($0) }.joined() + "'"
    }
}
