// Where functions begin and end: a scan for matching braces over code without comments and strings, which is
// all that a limit on their length needs.

/// A function, initializer, subscript or computed property with a body.
struct FunctionExtent: Sendable {
    let name: String
    let firstLine: Int
    let lastLine: Int

    var lineCount: Int { lastLine - firstLine + 1 }
}

/// Finds the functions of a file. Nested ones are found too, and count for the one around them.
struct FunctionScan {
    private let code: [UInt8]
    private let words: [Word]

    init(_ file: SourceFile) {
        code = file.code
        words = file.words
    }

    var functions: [FunctionExtent] {
        words.indices.compactMap { index in
            let word = words[index]
            guard Self.introducers.contains(word.text), isDeclaration(word),
                let opening = openingBrace(of: word), let closing = closingBrace(from: opening)
            else { return nil }
            let hasName = ["func", "var"].contains(word.text) && index + 1 < words.count
            return FunctionExtent(
                name: hasName ? words[index + 1].text : word.text, firstLine: word.line,
                lastLine: word.line + newlines(in: word.range.lowerBound..<closing))
        }
    }

    private static let introducers: Set = ["func", "init", "deinit", "subscript", "var"]

    /// What ends the search for a body: a requirement of a protocol has none.
    private static let nextDeclaration: Set = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "struct", "class", "enum", "actor",
        "extension", "protocol", "typealias", "associatedtype", "static", "mutating", "private", "package",
        "public", "internal", "override", "final",
    ]

    /// `self.init(…)` and `.init` call one.
    private func isDeclaration(_ word: Word) -> Bool {
        if word.before == UInt8(ascii: ".") || word.before == UInt8(ascii: "`") { return false }
        return word.text != "init" || word.after != UInt8(ascii: ":")
    }

    private func openingBrace(of introducer: Word) -> Int? {
        let isProperty = introducer.text == "var"
        var depth = 0
        var position = introducer.range.upperBound
        while position < code.count {
            let byte = code[position]
            switch byte {
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"):
                depth -= 1
                if depth < 0 { return nil }
            case UInt8(ascii: "{") where depth == 0: return position
            case UInt8(ascii: "}") where depth == 0: return nil
            // A property with a body has it on its own line, and no value.
            case UInt8(ascii: "\n") where depth == 0 && isProperty: return nil
            case UInt8(ascii: "=") where depth == 0 && isProperty: return nil
            default:
                guard Word.isPart(byte) else { break }
                let end = code[position...].firstIndex { !Word.isPart($0) } ?? code.count
                let text = String(decoding: code[position..<end], as: UTF8.self)
                if depth == 0, Self.nextDeclaration.contains(text) { return nil }
                position = end
                continue
            }
            position += 1
        }
        return nil
    }

    private func closingBrace(from opening: Int) -> Int? {
        var depth = 0
        for position in opening..<code.count {
            if code[position] == UInt8(ascii: "{") { depth += 1 }
            if code[position] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return position }
        }
        return nil
    }

    private func newlines(in range: Range<Int>) -> Int { code[range].count { $0 == UInt8(ascii: "\n") } }
}
