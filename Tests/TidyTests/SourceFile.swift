// A Swift file in the forms that rules look at: its lines as written, its code alone, and the words of that
// code.

/// One source file. Its path counts from the root of the repository.
struct SourceFile: Sendable {
    let path: String
    let lines: [String]
    /// Without comments and without what strings say.
    let code: [UInt8]
    /// Without comments.
    let uncommented: [UInt8]
    /// The identifiers and keywords of the code, in order.
    let words: [Word]

    init(path: String, text: String) {
        let scanned = SwiftScanner(text)
        self.path = path
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        self.lines = lines
        code = scanned.code
        uncommented = scanned.uncommented
        words = Word.all(in: scanned.code)
    }

    /// `Proxy` of `Sources/Proxy/Server.swift`: the target that the file belongs to; nil for the manifest.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : nil
    }

    var isInSources: Bool { path.hasPrefix("Sources/") }

    /// The modules that it imports.
    var imports: [(module: String, line: Int)] {
        let kinds: Set = ["struct", "class", "enum", "protocol", "typealias", "func", "var", "let"]
        return words.indices.compactMap { index in
            guard words[index].text == "import" else { return nil }
            let names = words[(index + 1)...].prefix { $0.line == words[index].line }
            guard let module = names.first(where: { !kinds.contains($0.text) }) else { return nil }
            return (module.text, words[index].line)
        }
    }

    /// The comments that open the file and its first type.
    var openingComments: String {
        let lineOfFirstBrace = code.prefix { $0 != UInt8(ascii: "{") }.count { $0 == UInt8(ascii: "\n") }
        return lines.prefix(lineOfFirstBrace)
            .map { String($0.drop { $0 == " " }) }
            .filter { $0.hasPrefix("//") }
            .joined(separator: "\n")
    }

    func violation(_ line: Int, _ message: String) -> Violation {
        Violation(path: path, line: line, message: message)
    }
}

/// An identifier, a keyword or a number, and what stands around it.
struct Word: Sendable {
    let text: String
    /// Counts from one.
    let line: Int
    /// Where it begins and ends in the code.
    let range: Range<Int>
    /// The nearest characters that are no space: before it, and after it on its line.
    let before: UInt8?
    let after: UInt8?
    /// The character directly behind it.
    let next: UInt8?

    static func isPart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...0xFF:
            true
        default: false
        }
    }

    static func all(in code: [UInt8]) -> [Word] {
        var words: [Word] = []
        var line = 1
        var before: UInt8?
        var position = 0
        while position < code.count {
            let start = position
            while position < code.count, isPart(code[position]) { position += 1 }
            if position > start {
                let after = code[position...].first { $0 != UInt8(ascii: " ") }
                let text = String(decoding: code[start..<position], as: UTF8.self)
                words.append(
                    Word(
                        text: text, line: line, range: start..<position, before: before, after: after,
                        next: position < code.count ? code[position] : nil))
                before = code[position - 1]
            } else {
                if code[position] == UInt8(ascii: "\n") { line += 1 }
                if code[position] > UInt8(ascii: " ") { before = code[position] }
                position += 1
            }
        }
        return words
    }
}
