// A configuration as it is read, in one piece: includes in their places, variables replaced, comments gone,
// secrets as dots. What `check --dump` prints; where no secret stands in it, it is a configuration itself.
//
// What counts as a secret is decided by the lexer, for what stands in a file. What comes from the environment
// is judged by the variable's name and by its looks, because there is no line that could show it.

import Primitives

/// Statements to text.
struct EffectiveText {
    private let report: DiagnosticReport
    private var lines: [String] = []
    /// The file that the last line is from.
    private var file: Int?

    private init(_ report: DiagnosticReport) { self.report = report }

    /// - Parameter statements: without mistakes.
    static func of(_ statements: [Statement], _ report: DiagnosticReport) -> String {
        var text = EffectiveText(report)
        text.write(statements, depth: 0)
        return text.lines.joined(separator: "\n")
    }

    private mutating func write(_ statements: [Statement], depth: Int) {
        let indentation = String(repeating: "    ", count: depth)
        for statement in statements {
            if statement.nameLocation.file != file {
                file = statement.nameLocation.file
                lines.append("\(indentation)# \(report.fileName(statement.nameLocation).withoutControls)")
            }
            let words = [statement.name] + statement.arguments.map { word($0, of: statement) }
            let head = indentation + words.joined(separator: " ")
            guard let body = statement.body else {
                lines.append(head + ";")
                continue
            }
            lines.append(head + " {")
            write(body, depth: depth + 1)
            lines.append(indentation + "}")
        }
    }

    private func word(_ argument: Argument, of statement: Statement) -> String {
        // `secret HS256 env:NAME kid=a`: the lexer conceals the name of the key, for all it knows.
        let isKeyName =
            statement.name == "secret" && statement.arguments.count > 1 && argument.text.hasPrefix("kid=")
        let isSecret =
            argument.isCredential || report.isConcealed(argument.location) && !isKeyName
            || Lexer.holdsSecret(argument.text.utf8) || Self.isFieldOfCredential(argument, statement)
        if isSecret { return SourceText.mask }
        // `https://idp.example/keys?subscription-key=…`
        if let question = argument.text.firstIndex(of: "?"),
            Lexer.namesCredential(argument.text[question...].utf8)
        {
            return Self.quoted(argument.text[...question] + SourceText.mask)
        }
        return Self.quoted(argument.text)
    }

    /// `set_header X-Upstream-Pass …`, and any value of a field that comes from the environment: what is no
    /// secret stands in the file.
    private static func isFieldOfCredential(_ argument: Argument, _ statement: Statement) -> Bool {
        guard statement.name == "set_header", let field = statement.arguments.first,
            argument.location != field.location
        else { return false }
        let name = field.text.lowercased()
        return argument.hasVariable || Lexer.namesCredential(name.utf8)
            || ["auth", "pass", "pwd"].contains(where: name.contains)
    }

    /// An argument as the lexer reads it back.
    private static func quoted(_ text: String) -> String {
        let isBare =
            !text.isEmpty && text.first != "#" && !text.contains("${")
            && text.unicodeScalars.allSatisfy { $0.value > 0x20 && !"\";{}".unicodeScalars.contains($0) }
        if isBare { return text.withoutControls }
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("${", with: "\\${").replacing("\n", with: "\\n").replacing("\t", with: "\\t")
        return "\"\(escaped.withoutControls)\""
    }
}
