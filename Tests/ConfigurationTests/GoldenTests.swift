// Golden pairs: `Fixtures/*.case` holds a configuration, a line of hyphens, and the diagnostics that it must
// give.
//
// A line `=== NAME` in the input begins another file. `ok` stands for no diagnostics at all.

import Configuration
import Foundation
import Testing

@Suite("Golden diagnostics")
struct GoldenTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
        path: "Fixtures")

    static let names: [String] = {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return all.filter { $0.hasSuffix(".case") }.sorted()
    }()

    static let environment = [
        "PORT": "8080", "EMPTY": "", "SHORT": "fifteen-letters", "LONG": sampleSecret,
        "INJECTION": "/ { upstream api; } route /evil",
    ]

    @Test("each configuration gives exactly its diagnostics", arguments: names)
    func golden(name: String) throws {
        let text = try String(contentsOf: Self.directory.appending(path: name), encoding: .utf8)
        let halves = text.components(separatedBy: "\n----------\n")
        try #require(halves.count == 2)
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: Self.files(in: halves[0]))
        let rendered = loaded.diagnostics.map(\.rendered).joined(separator: "\n")
        #expect((rendered.isEmpty ? "ok" : rendered) == halves[1].trimmingCharacters(in: .newlines))
        let hasError = loaded.diagnostics.contains { $0.severity == .error }
        #expect((loaded.configuration == nil) == hasError)
    }

    @Test("there are golden configurations, and one of them has ten mistakes")
    func tenMistakes() throws {
        #expect(Self.names.count >= 20)
        let files = try Self.files(named: "ten-mistakes.case")
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: files)
        #expect(loaded.diagnostics.count == 10)
        #expect(Set(loaded.diagnostics.map(\.line)).count == 10)
    }

    static func files(named name: String) throws -> MemoryFiles {
        let text = try String(contentsOf: directory.appending(path: name), encoding: .utf8)
        return files(in: try #require(text.components(separatedBy: "\n----------\n").first))
    }

    static func files(in input: String) -> MemoryFiles {
        var files = MemoryFiles(environment: environment)
        var name = "gateway.conf"
        var lines: [String] = []
        for line in input.components(separatedBy: "\n") {
            if line.hasPrefix("=== ") {
                files.files[name] = Array(lines.joined(separator: "\n").utf8)
                name = String(line.dropFirst(4))
                lines = []
            } else {
                lines.append(line)
            }
        }
        files.files[name] = Array(lines.joined(separator: "\n").utf8)
        return files
    }
}
