// Tells code, comments and string literals of Swift apart, so that a rule about code is not broken by a
// sentence and a rule about braces is not misled by a string.
//
// It knows comments (nested too), strings of every form with the code inside of their interpolations, and
// regex literals between `#/` and `/#`. It does not know regex literals between bare slashes: nobody here
// writes them.

/// One pass over the bytes of a source file. What it blanks becomes spaces, so lines and columns stay.
struct SwiftScanner {
    private enum Mode {
        /// Code; inside of an interpolation it ends with the parenthesis that nobody in it opened.
        case code(openParentheses: Int)
        case string(pounds: Int, isMultiline: Bool)
    }

    /// The bytes with comments and the contents of strings blanked.
    private(set) var code: [UInt8]
    /// The bytes with comments blanked.
    private(set) var uncommented: [UInt8]

    private let bytes: [UInt8]
    private var position = 0
    private var modes: [Mode] = [.code(openParentheses: 0)]

    init(_ text: String) {
        bytes = Array(text.utf8)
        code = bytes
        uncommented = bytes
        while position < bytes.count {
            switch modes.last {
            case .string(let pounds, let isMultiline):
                stepInString(pounds: pounds, isMultiline: isMultiline)
            case .code(let open): stepInCode(openParentheses: open)
            case nil: preconditionFailure("the outermost mode is never left")
            }
        }
    }

    private mutating func stepInCode(openParentheses open: Int) {
        switch bytes[position] {
        case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
            skipComment(to: endOfLine)
        case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"):
            skipComment(to: endOfBlockComment)
        case UInt8(ascii: "\""), UInt8(ascii: "#"):
            stepAtPossibleLiteral()
        case UInt8(ascii: "("):
            modes[modes.count - 1] = .code(openParentheses: open + 1)
            position += 1
        case UInt8(ascii: ")"):
            if open > 0 {
                modes[modes.count - 1] = .code(openParentheses: open - 1)
            } else if modes.count > 1 {
                modes.removeLast()
                code[position] = UInt8(ascii: " ")
            }
            position += 1
        default:
            position += 1
        }
    }

    private mutating func stepAtPossibleLiteral() {
        let pounds = bytes[position...].prefix { $0 == UInt8(ascii: "#") }.count
        switch peek(pounds) {
        case UInt8(ascii: "\""):
            let isMultiline =
                peek(pounds + 1) == UInt8(ascii: "\"") && peek(pounds + 2) == UInt8(ascii: "\"")
            modes.append(.string(pounds: pounds, isMultiline: isMultiline))
            blankCode(pounds + (isMultiline ? 3 : 1))
        case UInt8(ascii: "/") where pounds > 0:
            blankCode(pounds + 1)
            while position < bytes.count, !(peek(0) == UInt8(ascii: "/") && hasPounds(pounds, at: 1)) {
                blankCode(1)
            }
            blankCode(1 + pounds)
        default:
            position += max(pounds, 1)
        }
    }

    private mutating func stepInString(pounds: Int, isMultiline: Bool) {
        let byte = bytes[position]
        if byte == UInt8(ascii: "\\"), hasPounds(pounds, at: 1) {
            if peek(1 + pounds) == UInt8(ascii: "(") { modes.append(.code(openParentheses: 0)) }
            blankCode(2 + pounds)
        } else if byte == UInt8(ascii: "\""), !isMultiline, hasPounds(pounds, at: 1) {
            modes.removeLast()
            blankCode(1 + pounds)
        } else if byte == UInt8(ascii: "\""), isMultiline, peek(1) == byte, peek(2) == byte,
            hasPounds(pounds, at: 3)
        {
            modes.removeLast()
            blankCode(3 + pounds)
        } else {
            // A string that its line does not end would not compile; what follows is read as code again.
            if byte == UInt8(ascii: "\n"), !isMultiline { modes.removeLast() }
            blankCode(1)
        }
    }

    // MARK: Looking ahead

    private func peek(_ distance: Int) -> UInt8? {
        position + distance < bytes.count ? bytes[position + distance] : nil
    }

    private func hasPounds(_ count: Int, at distance: Int) -> Bool {
        (0..<count).allSatisfy { peek(distance + $0) == UInt8(ascii: "#") }
    }

    private var endOfLine: Int { bytes[position...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count }

    private var endOfBlockComment: Int {
        var depth = 0
        var index = position
        while index + 1 < bytes.count {
            switch (bytes[index], bytes[index + 1]) {
            case (UInt8(ascii: "/"), UInt8(ascii: "*")): depth += 1
            case (UInt8(ascii: "*"), UInt8(ascii: "/")): depth -= 1
            default:
                index += 1
                continue
            }
            index += 2
            if depth == 0 { return index }
        }
        return bytes.count
    }

    // MARK: Blanking

    private mutating func blankCode(_ count: Int) {
        let end = min(position + count, bytes.count)
        for index in position..<end where bytes[index] != UInt8(ascii: "\n") {
            code[index] = UInt8(ascii: " ")
        }
        position = end
    }

    private mutating func skipComment(to end: Int) {
        for index in position..<end where bytes[index] != UInt8(ascii: "\n") {
            code[index] = UInt8(ascii: " ")
            uncommented[index] = UInt8(ascii: " ")
        }
        position = end
    }
}
