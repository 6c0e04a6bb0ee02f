// The style of the repository, held to by a test: each rule over each file, and each rule against samples of
// its own.
//
// Owns what a rule is: a check of one Swift file, and samples that show what it refuses and the nearest thing
// that it lets pass. The rules stand in files by their subject.
//
// A rule that is broken is mended in the file that breaks it. A rule that is wrong is changed here, with its
// reason.

import Configuration
import Testing

@Suite("The tree")
struct TreeTests {
    private let repository = Repository.current

    @Test("every Swift file keeps the rule", arguments: Rule.all)
    func rules(rule: Rule) {
        repository.sources.flatMap(rule.check).report()
    }

    @Test("the tree is found: the manifest, sources, and tests")
    func isFound() {
        let paths = repository.sources.map(\.path)
        #expect(paths.contains("Package.swift"))
        #expect(paths.contains("Tests/TidyTests/TidyTests.swift"))
        #expect(paths.count { $0.hasPrefix("Sources/") } > 50)
        #expect(!paths.contains { $0.hasPrefix(".build/") })
    }

    @Test("the manifest declares what the table of targets allows")
    func manifest() throws {
        let manifest = Manifest(text: try #require(repository.text("Package.swift")))
        #expect(manifest.targets.contains { $0.name == "Proxy" && $0.dependencies.contains("HTTP") })
        #expect(manifest.targets.contains { $0.name == "TidyTests" && $0.isForTests })
        ImportDirection.check(manifest).report()
    }

    @Test("files import what their target declares, downward")
    func imports() throws {
        let manifest = Manifest(text: try #require(repository.text("Package.swift")))
        repository.sources.flatMap { ImportDirection.check($0, against: manifest) }.report()
    }

    @Test("no file tells on the machine it was written on")
    func traces() {
        repository.textFiles.flatMap { DocumentRules.workshopTraces(path: $0.path, text: $0.text) }.report()
    }

    @Test(
        "links lead to files",
        .enabled(if: Repository.current.contains("README.md"), "README.md is still missing"))
    func readmeLinks() { checkLinks("README.md") }

    @Test(
        "links of the architecture lead to files",
        .enabled(if: Repository.current.contains("ARCHITECTURE.md"), "ARCHITECTURE.md is still missing"))
    func architectureLinks() { checkLinks("ARCHITECTURE.md") }

    @Test("links of the security page lead to files, the tests that it names among them")
    func securityLinks() { checkLinks("SECURITY.md") }

    private func checkLinks(_ path: String) {
        let text = repository.text(path) ?? ""
        DocumentRules.brokenLinks(path: path, text: text, exists: repository.contains).report()
    }

    @Test(
        "gateway.conf.example has every directive that is available",
        .enabled(
            if: Repository.current.contains("gateway.conf.example"), "gateway.conf.example is still missing"))
    func example() throws {
        let names = DirectiveTable.rows.map(\.name)
        let text = try #require(repository.text("gateway.conf.example"))
        #expect(DocumentRules.missingDirectives(names, example: text) == [])
    }

    @Test(
        "ARCHITECTURE.md describes every event of the audit log, and no other",
        .enabled(if: Repository.current.contains("ARCHITECTURE.md"), "ARCHITECTURE.md is still missing"))
    func auditEvents() throws {
        let written = DocumentRules.auditEvents(repository.textFiles)
        let described = DocumentRules.describedEvents(try #require(repository.text("ARCHITECTURE.md")))
        #expect(written.contains("session_started") && written.contains("config_reloaded"))
        #expect(written.subtracting(described) == [])
        #expect(described.subtracting(written) == [])
    }

    @Test("METRICS.md describes every metric, and no other")
    func metrics() throws {
        let written = DocumentRules.metrics(repository.textFiles)
        let described = DocumentRules.describedMetrics(
            try #require(repository.text("deploy/prometheus/METRICS.md")))
        #expect(written.contains("auth_gateway_http_requests_total") && written.contains("process_open_fds"))
        #expect(written.subtracting(described) == [])
        #expect(described.subtracting(written) == [])
    }
}

@Suite("The rules themselves")
struct RuleTests {
    @Test("a rule refuses what it is against", arguments: Rule.all)
    func refused(rule: Rule) {
        #expect(!rule.refused.isEmpty)
        for sample in rule.refused {
            let violations = rule.check(SourceFile(path: sample.path, text: sample.text))
            #expect(!violations.isEmpty, "\(sample.path): \(sample.text.prefix(200))")
        }
    }

    @Test("a rule lets pass what is near to it", arguments: Rule.all)
    func accepted(rule: Rule) {
        #expect(!rule.accepted.isEmpty)
        for sample in rule.accepted {
            let violations = rule.check(SourceFile(path: sample.path, text: sample.text))
            #expect(violations.isEmpty, "\(violations): \(sample.text.prefix(200))")
        }
    }
}

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
