// Tokens to statements: `name argument…;` and `name argument… { … }`.
//
// Owns the recovery from mistakes of form, so that one mistake gives one diagnostic and the rest of the file
// is still read, and the replacement of variables. Whether a directive exists is not asked here, with one
// exception: how many arguments it takes tells a forgotten semicolon from an argument on the next line.
// Nesting is bounded: the depth of recursion never depends on the input. An argument keeps its place beside
// its text, because the text may come from the environment while diagnostics only ever quote the file.

package struct Parser {
    /// Far more than the language needs.
    static let depthMax = 16

    private var lexer: Lexer
    private var token: Token
    private let report: DiagnosticReport
    private let environment: (String) -> String?

    package init(
        bytes: [UInt8], file: Int, report: DiagnosticReport, environment: @escaping (String) -> String?
    ) {
        lexer = Lexer(bytes: bytes, file: file, report: report)
        token = lexer.next()
        self.report = report
        self.environment = environment
    }

    /// Every statement of the file.
    package mutating func statements() -> [Statement] {
        var all: [Statement] = []
        while true {
            all += block(depth: 0)
            guard case .close(let location) = token else { return all }
            report.error(
                "this '}' closes nothing", at: location, help: "remove it, or look for a '{' that is missing")
            advance()
        }
    }

    private mutating func advance() { token = lexer.next() }

    /// Statements up to a `}` or the end, which stay unread.
    private mutating func block(depth: Int) -> [Statement] {
        var statements: [Statement] = []
        while true {
            switch token {
            case .word(let name):
                statements.append(statement(name, depth: depth))
            case .semicolon(let location):
                let endsBlock = statements.last?.body != nil
                report.error(
                    "unexpected ';'", at: location,
                    help: endsBlock
                        ? "a block ends with '}' alone" : "a directive's name is missing before it")
                advance()
            case .open(let location):
                report.error(
                    "this block has no name", at: location, help: "write the directive's name before the '{'")
                _ = body(openedAt: location, depth: depth)
            case .close, .end:
                return statements
            }
        }
    }

    private mutating func statement(_ name: Word, depth: Int) -> Statement {
        advance()
        var statement = Statement(name: nameText(of: name), nameLocation: name.location, arguments: [])
        statement.isBroken = name.isBroken
        let argumentsEnough = DirectiveTable.rows(named: statement.name).map(\.argumentsEnough).min()
        while true {
            switch token {
            case .word(let word):
                let hasEnough = argumentsEnough.map { statement.arguments.count >= $0 } ?? false
                if hasEnough, word.startsLine, !word.isQuoted,
                    DirectiveTable.names.contains(nameText(of: word))
                {
                    reportMissingSemicolon(after: statement)
                    return statement
                }
                if let text = text(of: word) {
                    statement.arguments.append(
                        Argument(
                            text: text, location: word.location, hasVariable: word.hasVariable,
                            isCredential: word.isCredential))
                } else {
                    statement.arguments.append(Argument(text: "", location: word.location))
                    statement.isBroken = true
                }
                advance()
                if word.isUnclosed { return statement }
            case .semicolon:
                advance()
                return statement
            case .open(let location):
                statement.body = body(openedAt: location, depth: depth)
                return statement
            case .close, .end:
                reportMissingSemicolon(after: statement)
                return statement
            }
        }
    }

    private func reportMissingSemicolon(after statement: Statement) {
        report.error(
            "';' is missing behind '\(statement.nameForMessages(report))'", at: statement.end,
            help: "every directive ends with ';' or with a block in braces")
    }

    /// A block from its `{` to behind its `}`.
    private mutating func body(openedAt location: SourceLocation, depth: Int) -> [Statement] {
        if depth + 1 >= Self.depthMax {
            report.error(
                "blocks are nested too deeply", at: location, help: "at most \(Self.depthMax) levels")
            skipBlock()
            return []
        }
        advance()
        let statements = block(depth: depth + 1)
        if case .close = token {
            advance()
        } else {
            report.error("this '{' is not closed", at: location, help: "add the '}' that ends its block")
        }
        return statements
    }

    /// Passes over a block of any depth without recursion.
    private mutating func skipBlock() {
        var depth = 0
        while true {
            switch token {
            case .open: depth += 1
            case .close: depth -= 1
            case .end: return
            case .word, .semicolon: break
            }
            advance()
            if depth == 0 { return }
        }
    }
}

// MARK: - Words to text

extension Parser {
    /// A name takes no variables: an unset one must not make a directive vanish.
    private func nameText(of word: Word) -> String {
        guard word.parts.count == 1, case .text(let bytes) = word.parts[0] else {
            return String(decoding: word.parts.isEmpty ? [] : "${…}".utf8.map { $0 }, as: UTF8.self)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text of an argument; nil, reported, if a variable of it is unset.
    private func text(of word: Word) -> String? {
        var text = ""
        var isWhole = !word.isBroken
        for part in word.parts {
            switch part {
            case .text(let bytes):
                text += String(decoding: bytes, as: UTF8.self)
            case .variable(let name, let fallback):
                let value = environment(name)
                // As in a shell, `:-` stands in for an empty value too.
                if let fallback, value?.isEmpty ?? true {
                    text += String(decoding: fallback, as: UTF8.self)
                } else if let value {
                    text += value
                } else {
                    report.error(
                        "the environment variable \(name) is not set", at: word.location,
                        help: "set it, or give a default: ${\(name):-…}")
                    isWhole = false
                }
            }
        }
        return isWhole ? text : nil
    }
}

extension Word {
    fileprivate var hasVariable: Bool {
        parts.contains { if case .variable = $0 { true } else { false } }
    }

    fileprivate var isCredential: Bool {
        parts.contains {
            guard case .variable(let name, _) = $0 else { return false }
            return Lexer.namesCredential(name.utf8) || Lexer.holdsSecret(name.utf8)
        }
    }
}

extension Statement {
    /// The name as messages may show it.
    func nameForMessages(_ report: DiagnosticReport) -> String {
        let quoted = report.quoted(nameLocation)
        return String(quoted.dropFirst().dropLast())
    }
}

// MARK: - The syntax tree

/// One directive as it was written.
package struct Statement {
    package var name: String
    package var nameLocation: SourceLocation
    package var arguments: [Argument]
    /// What stands between its braces; nil where it ended with `;`.
    package var body: [Statement]?
    /// A word of it is faulty: already reported, and not to be judged further.
    package var isBroken = false

    /// Where the statement's last word ends.
    package var end: SourceLocation { (arguments.last?.location ?? nameLocation).end }
}

/// One argument, its variables replaced.
package struct Argument {
    /// May be a secret: never part of a message.
    package var text: String
    package var location: SourceLocation
    /// A part of it comes from the environment.
    package var hasVariable = false
    /// It comes from a variable whose name is that of a secret.
    package var isCredential = false
}
