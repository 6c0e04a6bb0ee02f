// The standard streams of a command: data goes to stdout, messages to stderr. A service's stderr is often the
// journal, which is told how bad each line is.

import Configuration
import Network
import Observability

/// Reads from and writes to the standard streams.
enum Console {
    static func print(_ text: String) { try? AppendFile.standardOutput.append(Array("\(text)\n".utf8).span) }

    static func error(_ text: String) { tell(text, .error) }

    static func tell(_ diagnostic: Diagnostic) {
        switch diagnostic.severity {
        case .error: tell(diagnostic.rendered, .error)
        case .warning: tell(diagnostic.rendered, .warning)
        }
    }

    /// Whether stderr goes to the journal. sd-daemon(3): JOURNAL_STREAM is inherited, so that only where it
    /// names this very stream is it meant.
    static var isJournal: Bool {
        let journal = Files.environment("JOURNAL_STREAM")
        return journal != nil && journal == AppendFile.standardError.identity
    }

    private static func tell(_ text: String, _ severity: LogSeverity) {
        var text = text
        if isJournal {
            // Each line is a message of its own there.
            text = text.split(separator: "\n", omittingEmptySubsequences: false)
                .map { "<\(severity.rawValue)>\($0)" }.joined(separator: "\n")
        }
        try? AppendFile.standardError.append(Array("\(text)\n".utf8).span)
    }

    /// A line of standard input, without the blanks around it.
    static func line() -> String {
        var text = readLine() ?? ""
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
