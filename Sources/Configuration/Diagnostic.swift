// What is wrong with a configuration, or risky in it: one finding each, with its place and what would be
// right.
//
// `DiagnosticReport` collects the findings of one load, from every stage. It resolves places to lines only at
// the end, when every secret in the files is known and concealed; a `Diagnostic` is finished text and holds
// no file. `EditDistance` finds the word that was probably meant.

import Primitives

/// One finding, ready to print.
package struct Diagnostic: Sendable, Equatable, CustomStringConvertible {
    package enum Severity: String, Sendable {
        case error, warning
    }

    package var severity: Severity
    package var file: String
    package var line: Int
    package var column: Int
    package var message: String
    /// The source line and the caret line; empty where the finding is about the file as a whole.
    package var excerpt: [String]
    /// What would be right.
    package var help: String?

    /// `FILE:LINE:COL: error: message`, the source line, a caret, and the help.
    package var rendered: String {
        var lines = ["\(file):\(line):\(column): \(severity.rawValue): \(message)"]
        lines += excerpt
        if let help { lines.append("  = help: \(help)") }
        return lines.joined(separator: "\n")
    }

    /// The same in one line, for a log that has a severity of its own.
    package var inOneLine: String {
        "\(file):\(line):\(column): \(message)" + (help.map { "; \($0)" } ?? "")
    }

    package var description: String { rendered }
}

extension Diagnostic {
    /// A finding about something that the configuration has said, by whoever knows what it means.
    package init(_ severity: Severity, _ message: String, at place: SourcePlace, help: String?) {
        self.init(
            severity: severity, file: place.file, line: place.line, column: place.column, message: message,
            excerpt: place.excerpt, help: help)
    }
}

/// Where something stands, resolved: what a finding about it prints. Two places are always equal, because
/// where a thing stands is no part of what it means.
package struct SourcePlace: Sendable, Equatable, CustomStringConvertible {
    package var file = ""
    package var line = 1
    package var column = 1
    package var excerpt: [String] = []

    package init() {}

    /// `FILE:LINE`.
    package var description: String { "\(file):\(line)" }

    package static func == (_: SourcePlace, _: SourcePlace) -> Bool { true }
}

/// The findings of one load and the files that they are about. Belongs to one load and one thread.
package final class DiagnosticReport {
    private struct Finding {
        var severity: Diagnostic.Severity
        /// nil: about the configuration as a whole.
        var location: SourceLocation?
        var message: String
        var help: String?
        var order: Int
    }

    /// What is beyond this many is counted, not kept: a file of nothing but semicolons needs no novel.
    package static let diagnosticsMax = 200

    private var sources: [SourceText] = []
    private var findings: [Finding] = []
    private var leftOut = 0
    package private(set) var hasErrors = false
    /// Some text could not be read, so that the absence of a directive proves nothing.
    package private(set) var isIncomplete = false

    package init() {}

    /// Takes in a file; the result is its index in `SourceLocation`.
    package func add(_ source: SourceText) -> Int {
        sources.append(source)
        return sources.count - 1
    }

    package func conceal(_ location: SourceLocation) {
        if sources.indices.contains(location.file) { sources[location.file].conceal(location.range) }
    }

    package func error(_ message: String, at location: SourceLocation?, help: String? = nil) {
        hasErrors = true
        add(.error, message, location, help)
    }

    package func warning(_ message: String, at location: SourceLocation?, help: String? = nil) {
        add(.warning, message, location, help)
    }

    /// The files that a secret stands in, and not only the place where it is to be found.
    package var filesWithSecrets: [String] { sources.filter(\.hasSecrets).map(\.name) }

    package func markIncomplete() { isIncomplete = true }

    /// The text at a place as a message may quote it: as written, not as expanded, and never a secret.
    package func quoted(_ location: SourceLocation) -> String {
        sources.indices.contains(location.file) ? sources[location.file].quoted(location.range) : "''"
    }

    /// Whether a secret, or a part of one, stands at a place.
    func isConcealed(_ location: SourceLocation) -> Bool {
        sources.indices.contains(location.file) && sources[location.file].isConcealed(location.range)
    }

    /// The file of a place.
    func fileName(_ location: SourceLocation) -> String {
        sources.indices.contains(location.file) ? sources[location.file].name : ""
    }

    /// `FILE:LINE` of a place.
    package func place(_ location: SourceLocation) -> String {
        guard sources.indices.contains(location.file) else { return "" }
        let source = sources[location.file]
        return "\(source.name):\(source.position(at: location.range.start).line)"
    }

    /// A place, resolved: to be asked once all files are read, and so every secret in them is known.
    package func sourcePlace(_ location: SourceLocation) -> SourcePlace {
        var place = SourcePlace()
        guard sources.indices.contains(location.file) else { return place }
        let source = sources[location.file]
        place.file = source.name
        (place.line, place.column) = source.position(at: location.range.start)
        let excerpt = source.excerpt(at: location.range.start)
        place.excerpt = [excerpt.line, excerpt.caret]
        return place
    }

    /// All findings, in the order of the files and of the places in them; `mainFile` names what has no place.
    package func diagnostics(mainFile: String) -> [Diagnostic] {
        let sorted = findings.sorted { sortKey($0) < sortKey($1) }
        var all = sorted.map { diagnostic(of: $0, mainFile: mainFile) }
        if leftOut > 0 {
            all.append(
                Diagnostic(
                    severity: .error, file: mainFile, line: 1, column: 1,
                    message: "\(leftOut) further findings are not shown", excerpt: [], help: nil))
        }
        return all
    }

    private func add(
        _ severity: Diagnostic.Severity, _ message: String, _ location: SourceLocation?, _ help: String?
    ) {
        if findings.count >= Self.diagnosticsMax {
            leftOut += 1
            return
        }
        findings.append(
            Finding(
                severity: severity, location: location, message: message, help: help, order: findings.count))
    }

    private func sortKey(_ finding: Finding) -> (Int, Int, Int) {
        (finding.location?.file ?? 0, finding.location?.range.start ?? -1, finding.order)
    }

    private func diagnostic(of finding: Finding, mainFile: String) -> Diagnostic {
        var result = Diagnostic(
            severity: finding.severity, file: mainFile, line: 1, column: 1, message: finding.message,
            excerpt: [], help: finding.help)
        if let location = finding.location, sources.indices.contains(location.file) {
            let place = sourcePlace(location)
            (result.file, result.line, result.column) = (place.file, place.line, place.column)
            result.excerpt = place.excerpt
        }
        return result
    }
}

/// How far two words are apart, and which known word was probably meant: insertions, deletions, substitutions
/// and swaps of neighbours are counted (optimal string alignment), because swapped letters are the commonest
/// slip.
package enum EditDistance {
    private static let wordBytesMax = 64

    /// The number of slips that make `second` of `first`.
    package static func between(_ first: String, _ second: String) -> Int {
        let a = Array(first.utf8)
        let b = Array(second.utf8)
        if a.count > wordBytesMax || b.count > wordBytesMax { return max(a.count, b.count) }
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var best = last[j] + (a[i] == b[j] ? 0 : 1)
                best = min(best, last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    best = min(best, beforeLast[j - 1] + 1)
                }
                row.append(best)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }

    /// The nearest of `candidates`, if it is near enough to have been meant: a slip for each three letters.
    package static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        var best: (word: String, distance: Int)?
        for candidate in candidates {
            let distance = between(word.lowercased(), candidate.lowercased())
            if distance < best?.distance ?? Int.max { best = (candidate, distance) }
        }
        // One slip makes any letter of any other: a word of one letter has no likeness.
        guard let best, best.distance < max(word.utf8.count, 1),
            best.distance <= max(1, min(word.utf8.count, best.word.utf8.count) / 3)
        else { return nil }
        return best.word
    }
}
