// Rules about what people read: links that lead somewhere, an example configuration with every directive, and
// no file that tells on the machine it was written on.

import Foundation

/// The text of the repository that is not code.
enum DocumentRules {
    // MARK: Links

    /// The relative links in a document at the root that lead to nothing in `paths`.
    static func brokenLinks(path: String, text: String, exists: (String) -> Bool) -> [Violation] {
        var isFenced = false
        var violations: [Violation] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("```") { isFenced.toggle() }
            if isFenced { continue }
            for target in linkTargets(in: line) where !exists(target) {
                let message = "the link to '\(target)' leads nowhere"
                violations.append(Violation(path: path, line: index + 1, message: message))
            }
        }
        return violations
    }

    /// The files that `[text](path#section "title")` and `[text]: path` lead to, without links to other sites
    /// and to sections of the same file.
    static func linkTargets(in line: Substring) -> [String] {
        var targets: [Substring] = line.split(separator: "](", omittingEmptySubsequences: false).dropFirst()
            .map { $0.prefix { $0 != ")" } }
        if line.hasPrefix("["), let definition = line.split(separator: "]: ", maxSplits: 1).dropFirst().first
        {
            targets.append(definition)
        }
        return targets.compactMap { target in
            let path = target.prefix { $0 != "#" && $0 != " " }
            guard !path.isEmpty, !path.contains("://"), !path.hasPrefix("mailto:") else { return nil }
            return String(path.hasPrefix("./") ? path.dropFirst(2) : path).trimmingSlash
        }
    }

    // MARK: The example configuration

    /// The directives of `names` that no line of the example gives, not even one that is commented out.
    static func missingDirectives(_ names: [String], example: String) -> [String] {
        let separators: Set<Character> = [" ", "\t", ";", "{", "}"]
        var given: Set<Substring> = []
        for line in example.split(separator: "\n") {
            let statement = line.drop { $0 == "#" || separators.contains($0) }
            // A sentence has no semicolon or brace behind it.
            guard line.contains(";") || line.contains("{") else { continue }
            // Several statements may share a line.
            for part in statement.split(whereSeparator: { $0 == ";" || $0 == "{" }) {
                let word = part.drop { separators.contains($0) }.prefix { !separators.contains($0) }
                given.insert(word)
            }
        }
        return Set(names).filter { !given.contains(Substring($0)) }.sorted()
    }

    // MARK: The audit log

    /// The events that code can write: what `record` is given by name, and the raw values of the two lists of
    /// events.
    static func auditEvents(_ files: [Repository.TextFile]) -> Set<String> {
        var events: Set<String> = []
        for file in files where file.path.hasPrefix("Sources/") {
            let isList =
                file.path.hasSuffix("/SessionOrder.swift") || file.path.hasSuffix("/RequestAudit.swift")
            for opening in isList ? [#" = ""#] : [#"audit.record(""#] {
                for part in file.text.components(separatedBy: opening).dropFirst() {
                    events.insert(String(part.prefix { $0 != "\"" }))
                }
            }
        }
        // It goes to the service log: it is about the gateway, and nobody's session.
        return events.subtracting(["store_failed"])
    }

    /// The events that the table of ARCHITECTURE.md describes.
    static func describedEvents(_ architecture: String) -> Set<String> {
        let section = architecture.components(separatedBy: "## The audit log").dropFirst().first ?? ""
        let rows = section.components(separatedBy: "\n## ")[0].split(separator: "\n").filter {
            $0.hasPrefix("| `")
        }
        return Set(
            rows.flatMap { row in
                row.split(separator: "|")[0].split(separator: "`").map(String.init).filter {
                    $0.allSatisfy { $0.isLetter || $0 == "_" }
                }
            })
    }

    // MARK: Metrics

    /// The metrics that code writes: every name in the files of the page.
    static func metrics(_ files: [Repository.TextFile]) -> Set<String> {
        var names: Set<String> = []
        for file in files where file.path.hasPrefix("Sources/Proxy/Metrics/") {
            for opening in ["\"auth_gateway_", "\"process_"] {
                for part in file.text.components(separatedBy: opening).dropFirst() {
                    names.insert(String(opening.dropFirst()) + part.prefix { $0 != "\"" })
                }
            }
        }
        return names
    }

    /// The metrics that a table describes, in the first column.
    static func describedMetrics(_ document: String) -> Set<String> {
        let rows = document.split(separator: "\n").filter { $0.hasPrefix("| `") }
        return Set(rows.compactMap { $0.split(separator: "`").dropFirst().first.map(String.init) })
    }

    // MARK: Words of the workshop

    /// Where a file names a directory of some machine, or a tool that nobody needs to know of. In parts, so
    /// that this file passes.
    static let machinePaths = ["/wo" + "rk/", "/ho" + "me/", "/tmp/" + "build"]
    static let workshopWords = ["library/" + "search", "clau" + "de", "assis" + "tant"]

    static func workshopTraces(path: String, text: String) -> [Violation] {
        var violations: [Violation] = []
        for (index, line) in "\(path)\n\(text)".split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let lowered = line.lowercased()
            for word in workshopWords where lowered.contains(word) {
                let message = "'\(word)' is no word of the project"
                violations.append(Violation(path: path, line: index, message: message))
            }
            for directory in machinePaths where hasAbsolutePath(directory, in: line) {
                let message = "'\(directory)' is a path of one machine"
                violations.append(Violation(path: path, line: index, message: message))
            }
        }
        return violations
    }

    /// `a/b/` is no absolute path `/b/`.
    private static func hasAbsolutePath(_ directory: String, in line: Substring) -> Bool {
        let pieces = line.split(separator: directory, omittingEmptySubsequences: false)
        return pieces.dropLast().contains { before in
            guard let last = before.last else { return true }
            return !(last.isLetter || last.isNumber || "._-*".contains(last))
        }
    }
}

extension String {
    fileprivate var trimmingSlash: String { hasSuffix("/") ? String(dropLast()) : self }
}
