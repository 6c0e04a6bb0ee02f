// Manual pages are roff: requests at the beginnings of lines, and text in which some characters mean
// something.

import Primitives

/// A page that grows.
struct Roff {
    private var lines: [String]

    var text: String { lines.joined(separator: "\n") }

    /// - Parameter manual: the part of the manual that it belongs to.
    init(_ title: String, section: Int, of manual: String) {
        lines = [
            ".TH \(Self.escaped(title)) \(section) \(Version.date) \"\(Version.text)\" \"\(manual)\"",
            // Lines of commands are not broken within words, nor filled to the margin.
            ".nh", ".ad l",
        ]
    }

    mutating func section(_ title: String) { lines.append(".SH \(title)") }

    mutating func subsection(_ title: String) { lines.append(".SS \(Self.escaped(title))") }

    /// The line by which whatis(1) knows a page.
    mutating func name(_ name: String, _ summary: String) {
        section("NAME")
        lines.append("\(Self.escaped(name)) \\- \(Self.escaped(summary))")
    }

    mutating func paragraph(_ words: String) { lines += beginning + Self.filled(words) }

    /// A term, and what there is to say of it.
    mutating func item(_ term: String, _ paragraphs: [String]) {
        lines += [".TP", Self.bold(term)]
        for (index, words) in paragraphs.enumerated() {
            if index > 0 { lines.append(".IP") }
            lines += Self.filled(words)
        }
    }

    /// Lines that stay as they are.
    mutating func literal(_ literal: [String]) {
        lines += beginning + [".nf"] + literal.map(Self.line) + [".fi"]
    }

    /// How a command is written: it is broken where it is too long.
    mutating func form(_ parts: [String]) {
        lines += [".HP", Self.bold(parts[0])]
        lines += parts.dropFirst().map { Self.line($0.split(separator: " ").joined(separator: "\u{A0}")) }
    }

    /// A section begins a paragraph by itself.
    private var beginning: [String] { lines.last?.hasPrefix(".S") == true ? [] : [".PP"] }

    /// Each sentence begins a line, so that the blank behind it is as wide as it should be.
    private static func filled(_ words: String) -> [String] {
        var sentences = [""]
        for word in words.split(separator: " ") {
            sentences[sentences.count - 1] += (sentences.last == "" ? "" : " ") + word
            if word.last == "." { sentences.append("") }
        }
        return sentences.filter { !$0.isEmpty }.flatMap { sentence in
            TextWrapping.lines(of: sentence, width: sourceWidth).map(line)
        }
    }

    /// So that no line of the source is long, once some characters have become several.
    private static let sourceWidth = 66

    private static func bold(_ words: String) -> String { "\\fB\(escaped(words))\\fR" }

    private static func line(_ words: String) -> String {
        // A dot or an apostrophe at the beginning would make it a request.
        (words.first == "." || words.first == "'" ? "\\&" : "") + escaped(words)
    }

    private static func escaped(_ words: String) -> String {
        var text = ""
        for scalar in words.unicodeScalars {
            switch scalar {
            case "\\": text += "\\e"
            // Otherwise it becomes a hyphen or a quotation mark, which no shell takes back.
            case "-": text += "\\-"
            case "'": text += "\\(aq"
            case "`": text += "\\(ga"
            case "^": text += "\\(ha"
            case "~": text += "\\(ti"
            case "\"": text += "\\(dq"
            // Three dots are not the end of a sentence.
            case "…": text += "...\\&"
            case "\u{A0}": text += "\\ "
            // Long forms are broken here.
            case "|": text += "|\\:"
            case _ where scalar.value > 0x7E:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                text += "\\[u\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)]"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
