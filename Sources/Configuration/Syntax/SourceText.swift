// The text of one configuration file: turns a byte offset into a line and column, and quotes lines for people
// to read.
//
// Owns which bytes are concealed: what the lexer took for a secret never leaves this file as text. Knows
// nothing of directives. Columns count characters (Unicode scalars) from 1, so that they agree with what an
// editor shows.

package import Primitives

/// A place in one of the files of a configuration.
package struct SourceLocation: Sendable, Equatable {
    /// Index of the file, in the order in which the files were read.
    package var file: Int
    /// The bytes meant.
    package var range: ByteRange

    package init(file: Int, range: ByteRange) {
        self.file = file
        self.range = range
    }

    /// The empty place right behind this one: where something is missing.
    package var end: SourceLocation { SourceLocation(file: file, range: ByteRange(range.end, range.end)) }
}

/// One file of a configuration.
package struct SourceText: Sendable {
    /// The path, as diagnostics print it.
    package let name: String
    /// Never printed directly: `excerpt` and `quoted` leave out what is concealed.
    package let bytes: [UInt8]
    private let lineStarts: [Int]
    /// In the order of the file, not overlapping.
    private var concealed: [ByteRange] = []

    /// How many bytes of a line an excerpt shows on each side of its caret.
    private static let excerptReach = 120
    /// How many bytes of an argument a message quotes.
    private static let quotedMax = 60
    /// What stands in for a secret: always as long, so that it tells nothing of the secret's length.
    static let mask = "••••"

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        var starts = [0]
        for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            starts.append(offset + 1)
        }
        lineStarts = starts
    }

    package var hasSecrets: Bool { !concealed.isEmpty }

    /// From now on the bytes of `range` are shown as dots.
    package mutating func conceal(_ range: ByteRange) {
        if !range.isEmpty { concealed.append(range) }
    }

    /// Whether any byte of `range` is shown as dots.
    func isConcealed(_ range: ByteRange) -> Bool {
        concealed.contains { $0.start < range.end && $0.end > range.start }
    }

    /// The line and column of a byte offset, both from 1. Offsets behind the end mean the end.
    package func position(at offset: Int) -> (line: Int, column: Int) {
        let offset = min(max(offset, 0), bytes.count)
        let line = lineIndex(of: offset)
        let before = bytes[lineStarts[line]..<offset]
        return (line + 1, 1 + before.count { !isContinuation($0) })
    }

    /// The line around `offset`, cut to what fits a screen, and a line with a caret below the offset.
    package func excerpt(at offset: Int) -> (line: String, caret: String) {
        let offset = min(max(offset, 0), bytes.count)
        let line = lineIndex(of: offset)
        let start = lineStarts[line]
        var end = line + 1 < lineStarts.count ? lineStarts[line + 1] - 1 : bytes.count
        if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }

        var from = max(start, offset - Self.excerptReach)
        while from < end, from > start, isContinuation(bytes[from]) { from += 1 }
        var to = min(end, max(offset, from) + Self.excerptReach)
        while to < end, isContinuation(bytes[to]) { to += 1 }

        var text = from > start ? "…" : ""
        var caret = from > start ? " " : ""
        for cell in cells(from: min(from, to), to: to) {
            text += cell.text
            if cell.end <= offset { caret += cell.text == "\t" ? "\t" : cell.blank }
        }
        return (to < end ? text + "…" : text, caret + "^")
    }

    /// The bytes of `range` as a message quotes them: without surrounding quotation marks, cut, secrets as
    /// dots.
    package func quoted(_ range: ByteRange) -> String {
        var start = min(range.start, bytes.count)
        var end = min(range.end, bytes.count)
        let quote = UInt8(ascii: "\"")
        if end - start >= 2, bytes[start] == quote, bytes[end - 1] == quote {
            start += 1
            end -= 1
        }
        var cut = min(end, start + Self.quotedMax)
        while cut < end, isContinuation(bytes[cut]) { cut += 1 }
        let text = cells(from: start, to: cut).reduce(into: "") { $0 += $1.text }
        return "'" + text + (cut < end ? "…'" : "'")
    }

    private func lineIndex(of offset: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low
    }
}

extension SourceText {
    /// One printed unit: a character, or the mask of a whole secret.
    private struct Cell {
        var text: String
        var blank: String
        var end: Int
    }

    /// The bytes as characters that are safe to print: controls and broken UTF-8 replaced, secrets masked.
    private func cells(from: Int, to: Int) -> [Cell] {
        let hidden = concealed.filter { $0.start < to && $0.end > from }
        var cells: [Cell] = []
        var offset = from
        while offset < to {
            if let range = hidden.first(where: { $0.offsets.contains(offset) }) {
                cells.append(Cell(text: Self.mask, blank: "    ", end: range.end))
                offset = range.end
                continue
            }
            var next = offset + 1
            while next < to, isContinuation(bytes[next]) { next += 1 }
            let isControl =
                bytes[offset] < 0x20 && bytes[offset] != UInt8(ascii: "\t") || bytes[offset] == 0x7F
            let text = isControl ? "\u{FFFD}" : String(decoding: bytes[offset..<next], as: UTF8.self)
            cells.append(Cell(text: text, blank: " ", end: next))
            offset = next
        }
        return cells
    }

    private func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
}
