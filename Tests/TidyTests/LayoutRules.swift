// Rules about the shape of a file: what it opens with, how long it and its functions are, how wide its lines.
//
// A file that says what it is for, and that ends before the reader has forgotten it, is the whole aim. That
// files should not be shorter than 80 lines is an aim too, but no rule: a closed enum is as short as it is.

/// The shape of files.
enum LayoutRules {
    static let fileLinesMax = 350
    static let functionLinesMax = 70
    static let columnsMax = 110

    static let all = [purpose, fileLength, functionLength, lineWidth]

    static let purpose = Rule(
        name: "a file opens with a comment that says what it is for",
        refused: [
            .init("import Primitives\n"),
            .init("\n// What this file is for, one line too late.\n"),
            .init("// placeholder\n"),
            .init("//\n//  Sample.swift\n//\n"),
            .init("/// A comment that documents the type below it, not the file.\nstruct Sample {}\n"),
        ],
        accepted: [
            .init("// What every sample is made of: one sentence.\n\nimport Primitives\n"),
            .init("Package.swift", "// swift-tools-version: 6.2\n//\n// The targets, ground floor to top.\n"),
        ]
    ) { file in
        var opening = file.lines.prefix { $0.hasPrefix("//") && !$0.hasPrefix("///") }
        // SwiftPM wants its own line first.
        if opening.first?.hasPrefix("// swift-tools-version:") == true { opening = opening.dropFirst() }
        let isManifest = file.path == "Package.swift"
        let first = opening.first { isManifest ? $0 != "//" : true } ?? ""
        guard first.hasPrefix("// "), first.split(separator: " ").count >= 5 else {
            return [file.violation(1, "does not open with a comment that says what the file is for")]
        }
        return []
    }

    static let fileLength = Rule(
        name: "a file has at most \(fileLinesMax) lines",
        refused: [.init(repeated("let line = 1\n", fileLinesMax + 1))],
        accepted: [.init(repeated("let line = 1\n", fileLinesMax))]
    ) { file in
        guard file.lines.count > fileLinesMax else { return [] }
        let message = "has \(file.lines.count) lines, \(fileLinesMax) is the most"
        return [file.violation(file.lines.count, message)]
    }

    static let functionLength = Rule(
        name: "a function has at most \(functionLinesMax) lines",
        refused: [
            .init("func long() {\n" + repeated("    step()\n", functionLinesMax - 1) + "}\n"),
            .init("struct Sample {\n    init() {\n" + repeated("\n", functionLinesMax) + "    }\n}\n"),
            .init("var long: Int {\n" + repeated("    step()\n", functionLinesMax - 1) + "}\n"),
            .init("func long() {\n    say(\"}\") // }\n" + repeated("\n", functionLinesMax) + "}\n"),
        ],
        accepted: [
            .init("func short() {\n" + repeated("    step()\n", functionLinesMax - 2) + "}\n"),
            .init("protocol Sample {\n    func one()\n}\n" + repeated("\n", functionLinesMax)),
            .init("struct Sample {\n" + repeated("    let x = 1\n", functionLinesMax) + "}\n"),
            .init("var table = [\n" + repeated("    step { 1 },\n", functionLinesMax) + "]\n"),
        ]
    ) { file in
        FunctionScan(file).functions.filter { $0.lineCount > functionLinesMax }.map { function in
            let length = "has \(function.lineCount) lines, \(functionLinesMax) is the most"
            return file.violation(function.firstLine, "'\(function.name)' \(length)")
        }
    }

    static let lineWidth = Rule(
        name: "a line has at most \(columnsMax) columns",
        refused: [
            .init("// " + repeated("x", columnsMax - 2) + "\n"),
            .init("let text = \"\"\"\n" + repeated("x", columnsMax + 1) + "\n\"\"\"\n"),
        ],
        accepted: [
            .init("// " + repeated("x", columnsMax - 3) + "\n"),
            .init("// " + repeated("→", columnsMax - 3) + "\n"),
        ]
    ) { file in
        file.lines.indices.filter { file.lines[$0].count > columnsMax }.map { index in
            let message = "has \(file.lines[index].count) columns, \(columnsMax) is the most"
            return file.violation(index + 1, message)
        }
    }

    private static func repeated(_ text: String, _ count: Int) -> String {
        String(repeating: text, count: count)
    }
}
