// Arguments as a command's row of the table has them: options with their values, and words. Nothing that is
// not in the row is taken.

import Configuration
import Primitives

/// A command line that cannot be carried out.
struct UsageError: Error {
    let message: String

    init(message: String) { self.message = message }

    /// - Parameters:
    ///   - problem: what is wrong, in a line.
    ///   - topic: where help says what is right; empty for the list of commands.
    init(_ problem: String, see topic: String) {
        let blank = topic.isEmpty ? "" : " "
        message = "auth-gateway: \(problem)\nsee 'auth-gateway help\(blank)\(topic)'"
    }

    /// As in "; did you mean 'list'?"; nothing where no word is near.
    static func hint(_ word: String, in words: some Sequence<String>) -> String {
        EditDistance.nearest(to: word, in: words).map { "; did you mean '\($0)'?" } ?? ""
    }
}

/// What stands behind a command.
struct Arguments {
    private let verb: Verb
    private(set) var words: [String] = []
    /// The options that have a value, by their first names and in their order.
    private(set) var values: [(name: String, value: String)] = []
    private var flags: Set<String> = []

    /// nil: help is asked for.
    init?(_ arguments: [String], of verb: Verb) throws(UsageError) {
        self.verb = verb
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                words += rest
                break
            }
            if Verb.help.names.contains(argument) { return nil }
            if let option = verb.options.first(where: { $0.names.contains(argument) }) {
                guard let (name, _) = option.value else {
                    flags.insert(option.names[0])
                    continue
                }
                guard let value = rest.popFirst() else { throw problem("\(argument) needs a value: \(name)") }
                values.append((option.names[0], value))
            } else if argument.hasPrefix("-"), argument != "-", !isMadeByChance(argument) {
                let known = verb.allOptions.flatMap(\.names)
                let hint = UsageError.hint(argument, in: known.filter { $0.hasPrefix("--") })
                throw problem("'\(verb.name)' knows no '\(argument.withoutControls)'\(hint)")
            } else {
                words.append(argument)
            }
        }
        try checkWords()
    }

    func has(_ flag: String) -> Bool { flags.contains(flag) }

    /// The last value that is given.
    func value(_ name: String) -> String? { values.last { $0.name == name }?.value }

    var configuration: String { value("-c") ?? VerbTable.configurationPath }
    var isJSON: Bool { has("--json") }

    func problem(_ text: String) -> UsageError { UsageError(text, see: verb.name) }

    private func checkWords() throws(UsageError) {
        let needed = verb.operands.filter { !$0.isOptional }
        if words.count < needed.count {
            throw problem("'\(verb.name)' needs \(needed[words.count].phrase)")
        }
        if words.count > verb.operands.count {
            throw problem("'\(verb.name)' takes no '\(words[verb.operands.count].withoutControls)'")
        }
        // Which of several words is meant is for the command to say.
        if verb.operands.count == 1, let word = words.first,
            case .choice(let choices) = verb.operands[0].value,
            !choices.contains(word)
        {
            let hint = UsageError.hint(word, in: choices)
            throw problem("'\(verb.name)' takes no '\(word.withoutControls)'\(hint)")
        }
    }

    /// Whether it is a name that begins with a hyphen, and no option that is spelt badly.
    private func isMadeByChance(_ argument: String) -> Bool {
        verb.operands.contains(where: \.isMadeByChance) && argument.utf8.count >= Self.chanceBytesMin
    }

    /// A session id has so many characters, the name of a key more.
    private static let chanceBytesMin = 22
}
