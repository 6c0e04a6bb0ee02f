// Words that are not written here: in names of types, because they say nothing about the type; in code,
// because they end the process or get around the type system; and marks of unfinished work.

/// What is not written.
enum WordRules {
    static let all = [typeNames, crashes, casts, printing, unfinished]

    private static let emptyWords: Set = [
        "Manager", "Managers", "Helper", "Helpers", "Util", "Utils", "Context", "Contexts", "Info", "Infos",
    ]

    static let typeNames = Rule(
        name: "the name of a type says what it is",
        refused: [
            .init("struct SessionManager {}\n"), .init("enum HelperFunctions {}\n"),
            .init("typealias RequestContext = Int\n"), .init("extension Sample { class TLSInfo {} }\n"),
            .init("struct TokenData {}\n"), .init("protocol StringUtils {}\n"),
        ],
        accepted: [
            .init("struct Information {}\n"), .init("struct DataSource {}\n"),
            .init("struct Contextual {}\n"),
            .init("struct Sample { class func helperInfo() {} }\n"), .init("// struct SessionManager\n"),
        ]
    ) { file in
        let kinds: Set = ["struct", "class", "enum", "actor", "protocol", "typealias", "associatedtype"]
        return zip(file.words, file.words.dropFirst()).compactMap { kind, name in
            guard kinds.contains(kind.text), kind.line == name.line, kind.before != UInt8(ascii: ".") else {
                return nil
            }
            let parts = words(ofTypeName: name.text)
            if let part = parts.first(where: emptyWords.contains) {
                return file.violation(name.line, "'\(part)' in '\(name.text)' says nothing")
            }
            if parts.last == "Data" {
                return file.violation(name.line, "'Data' at the end of '\(name.text)' says nothing")
            }
            return nil
        }
    }

    static let crashes = Rule(
        name: "a broken invariant is a precondition, with a sentence",
        refused: [
            .init("fatalError(\"no\")\n"), .init("let value = try! read()\n"),
            .init("Tests/HTTPTests/SampleTests.swift", "let value = try! read()\n"),
        ],
        accepted: [
            .init("precondition(isOpen, \"a closed store is not asked\")\n"), .init("// fatalError()\n"),
            .init("let value = try? read()\nlet isOther = a != b\nlet isNot = try !read()\n"),
        ]
    ) { file in
        file.words.compactMap { word in
            switch word.text {
            case "fatalError": file.violation(word.line, "'fatalError' is written 'preconditionFailure'")
            case "try" where word.next == UInt8(ascii: "!"):
                file.violation(word.line, "'try!' hides what may fail")
            default: nil
            }
        }
    }

    static let casts = Rule(
        name: "no cast is forced",
        refused: [.init("let store = any as! Store\n")],
        accepted: [.init("let store = any as? Store\n"), .init("let store = one as any Store // as!\n")]
    ) { file in
        file.words.filter { $0.text == "as" && $0.after == UInt8(ascii: "!") }.map {
            file.violation($0.line, "'as!' is forced")
        }
    }

    static let printing = Rule(
        name: "only the console prints",
        refused: [
            .init("print(\"here\")\n"), .init("debugPrint(value)\n"), .init("Swift.print(\"here\")\n"),
            .init("struct Sample { func print(_ text: String) {} }\n"),
        ],
        accepted: [
            .init("Console.print(\"ready\")\n"),
            .init("enum Console {\n    static func print(_ text: String) {}\n}\n"),
            .init("Tests/HTTPTests/SampleTests.swift", "print(\"a seed\")\n"),
            .init("let print = 1 // print(x)\n"),
        ]
    ) { file in
        guard file.isInSources else { return [] }
        let words = file.words
        let definesConsole = zip(words, words.dropFirst()).contains {
            $0.text == "enum" && $1.text == "Console"
        }
        return words.indices.compactMap { index in
            let previous = index > 0 ? words[index - 1].text : nil
            guard isPrinting(words[index], after: previous, definesConsole: definesConsole) else {
                return nil
            }
            return file.violation(words[index].line, "'\(words[index].text)' is left to the console")
        }
    }

    static let unfinished = Rule(
        name: "no mark of unfinished work",
        refused: marks.map { .init("// What a sample is for. \($0): the rest\n") },
        accepted: [
            .init("// What is to come stands in the plan.\n"), .init("// \(marks[0].lowercased())\n"),
            .init("// A\(marks[0])S\n"),
        ]
    ) { file in
        file.lines.indices.flatMap { index in
            Word.all(in: Array(file.lines[index].utf8)).filter { marks.contains($0.text) }.map {
                file.violation(index + 1, "'\($0.text)' is a mark of unfinished work")
            }
        }
    }

    /// In two parts, so that this file has none.
    private static let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]

    private static func isPrinting(_ word: Word, after previous: String?, definesConsole: Bool) -> Bool {
        guard ["print", "debugPrint", "dump"].contains(word.text), word.after == UInt8(ascii: "(") else {
            return false
        }
        if previous == "func" { return !definesConsole }
        return word.before != UInt8(ascii: ".") || previous == "Swift"
    }

    /// `TLS`, `Session` and `Data` of `TLSSessionData`.
    static func words(ofTypeName name: String) -> [String] {
        var words: [String] = []
        let letters = Array(name)
        for (index, letter) in letters.enumerated() {
            let nextIsLower = index + 1 < letters.count && letters[index + 1].isLowercase
            let previousIsUpper = index > 0 && letters[index - 1].isUppercase
            if index == 0 || (letter.isUppercase && (!previousIsUpper || nextIsLower)) { words.append("") }
            words[words.count - 1].append(letter)
        }
        return words
    }
}
