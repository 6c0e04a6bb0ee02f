// What one row of the table of verbs says: how a command is written, what it is for, what it prints and how
// it ends. Help, the manual page, the completions and the parser of arguments all come from these rows
// (`VerbTable`) and so cannot disagree.

/// A command, such as `check` or `keys list`.
struct Verb: Sendable {
    /// What stands for a value, and what a shell completes it with.
    enum Value: Sendable {
        case file
        /// One of these words.
        case choice([String])
        case text
        /// A command, or `directives`, and what belongs to it.
        case topic
    }

    /// What stands without a hyphen.
    struct Operand: Sendable {
        let name: String
        let value: Value
        /// As in "needs a subject".
        let phrase: String
        var isOptional = false
        /// Names that begin with a hyphen now and then, because chance made them. They are as long as no
        /// option.
        var isMadeByChance = false
    }

    struct Option: Sendable {
        /// The first one is what the program calls it.
        let names: [String]
        /// What stands for its value, and of what kind that is; nil for a flag.
        var value: (name: String, kind: Value)?
        var mayRepeat = false
        let summary: String

        /// As in `-c FILE`.
        var form: String { names[0] + (value.map { " \($0.name)" } ?? "") }
    }

    struct Example: Sendable {
        let command: String
        let summary: String

        init(_ command: String, _ summary: String) {
            self.command = command
            self.summary = summary
        }
    }

    struct Exit: Sendable {
        let code: ExitCode
        let meaning: String

        init(_ code: ExitCode, _ meaning: String) {
            self.code = code
            self.meaning = meaning
        }
    }

    /// The words that it begins with.
    let name: String
    /// Other words for it.
    var aliases: [String] = []
    var operands: [Operand] = []
    var options: [Option] = []
    /// What it does, in a line.
    let summary: String
    /// The same at length, by paragraphs.
    let description: [String]
    /// What `--json` prints, line by line.
    var output: [String] = []
    /// What the codes other than that of wrong usage mean.
    let exits: [Exit]
    let examples: [Example]

    /// How it is written, part by part.
    var form: [String] {
        let options = options.map { "[\($0.form)]\($0.mayRepeat ? "…" : "")" }
        return ["auth-gateway \(name)"] + operands.map { $0.isOptional ? "[\($0.name)]" : $0.name } + options
    }

    /// What every command knows.
    static let help = Option(names: ["-h", "--help"], summary: "print this")

    var allOptions: [Option] { options + [Self.help] }
}

/// A word that only says something together with another one.
struct VerbGroup: Sendable {
    let name: String
    let summary: String
    let description: [String]

    var verbs: [Verb] { VerbTable.verbs.filter { $0.name.hasPrefix(name + " ") } }
    /// The words that may follow it.
    var words: [String] { verbs.map { String($0.name.dropFirst(name.count + 1)) } }
}
