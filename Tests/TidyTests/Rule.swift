// What a rule of style is: a check of one Swift file, and samples that show it refuses what it is against and
// lets pass the nearest thing that it is not against.

import Testing

/// A rule, with its own test. `TidyTests` holds the tree to it, and it to its samples.
struct Rule: Sendable, CustomTestStringConvertible {
    /// A file that does not exist.
    struct Sample: Sendable {
        let path: String
        let text: String

        init(_ path: String, _ text: String) {
            self.path = path
            self.text = text
        }

        /// Where no fence allows anything.
        init(_ text: String) { self.init("Sources/Proxy/Sample.swift", text) }
    }

    /// A sentence, as it stands in the report.
    let name: String
    let refused: [Sample]
    let accepted: [Sample]
    let check: @Sendable (SourceFile) -> [Violation]

    var testDescription: String { name }

    /// Every rule that looks at one Swift file at a time.
    static let all: [Rule] =
        LayoutRules.all + FenceRules.all + WordRules.all
}

/// A place where a rule is broken.
struct Violation: Sendable, CustomStringConvertible, CustomTestStringConvertible {
    let path: String
    /// Counts from one.
    let line: Int
    let message: String

    var description: String { "\(path):\(line): \(message)" }
    var testDescription: String { description }
}

extension [Violation] {
    /// Records them as an issue of the running test, a line each.
    func report() {
        guard !isEmpty else { return }
        Issue.record("\(count) broken:\n\(map(\.description).joined(separator: "\n"))")
    }
}
