// The direction of imports: which target may know which. ARCHITECTURE.md draws this table; here it is checked
// against what files import and against what the manifest declares, so that neither can drift from the
// picture.

/// The targets and what is below each.
enum ImportDirection {
    /// Every target under Sources, ground floor to top. A row may name what is to come.
    static let allowed: [String: Set<String>] = [
        "CLinux": [],
        "COpenSSL": [],
        "CSQLite": [],
        "Primitives": [],
        "HTTP": ["Primitives"],
        "Crypto": ["COpenSSL", "Primitives"],
        "SQLite": ["CSQLite", "Primitives"],
        "JOSE": ["Crypto", "Primitives"],
        "TLS": ["COpenSSL", "Primitives"],
        "Network": ["CLinux", "TLS", "Primitives"],
        "Observability": ["Primitives"],
        "Sessions": ["SQLite", "JOSE", "Crypto", "Observability", "Primitives"],
        "Configuration": ["Primitives"],
        "Proxy": [
            "HTTP", "Network", "TLS", "JOSE", "Crypto", "Sessions", "Configuration", "Observability",
            "Primitives",
        ],
        "auth-gateway": [
            "Proxy", "Configuration", "Sessions", "JOSE", "Crypto", "TLS", "Network", "Observability",
            "Primitives",
        ],
        "demo-api": ["Network", "HTTP", "Primitives"],
    ]

    /// What comes with the compiler. Who may import Foundation, Dispatch and locks, the fences say.
    private static let toolchain: Set = [
        "Swift", "Glibc", "Dispatch", "Synchronization", "Foundation", "FoundationEssentials", "Testing",
        "PackageDescription",
    ]

    /// Where the manifest declares more than the table allows, or a target that the table does not know.
    static func check(_ manifest: Manifest) -> [Violation] {
        manifest.targets.flatMap { target -> [Violation] in
            func violation(_ message: String) -> Violation {
                Violation(path: "Package.swift", line: target.line, message: message)
            }
            guard !target.isForTests else { return [] }
            guard let below = allowed[target.name] else {
                return [violation("'\(target.name)' is not in the table of the targets")]
            }
            return target.dependencies.filter { !below.contains($0) }.map {
                violation("'\(target.name)' is not above '\($0)'")
            }
        }
    }

    /// Where a file imports a module that its target does not declare.
    static func check(_ file: SourceFile, against manifest: Manifest) -> [Violation] {
        guard let name = file.target else { return [] }
        guard let target = manifest.targets.first(where: { $0.name == name }) else {
            return [file.violation(1, "'\(name)' is no target of the manifest")]
        }
        return file.imports.filter { !toolchain.contains($0.module) }.compactMap { module, line in
            if target.isForTests {
                // What a test needs, the manifest says; and the test says nothing that is not in it.
                guard !target.dependencies.contains(module) else { return nil }
                return file.violation(line, "'\(name)' does not declare '\(module)'")
            }
            guard let below = allowed[name], below.contains(module) else {
                return file.violation(line, "'\(name)' is not above '\(module)'")
            }
            guard target.dependencies.contains(module) else {
                return file.violation(line, "'\(name)' does not declare '\(module)'")
            }
            return nil
        }
    }
}

/// The targets that Package.swift declares, read off its text: to ask SwiftPM would need its lock on the
/// build.
struct Manifest: Sendable {
    struct Target: Sendable {
        let name: String
        let dependencies: Set<String>
        let isForTests: Bool
        let line: Int
    }

    let targets: [Target]

    init(text: String) {
        let file = SourceFile(path: "Package.swift", text: text)
        targets = file.words.compactMap { Self.target(at: $0, in: file) }
    }

    /// The functions that declare a target; the first three are the manifest's own.
    private static let declarers: Set = [
        "layer", "program", "tests", "target", "executableTarget", "testTarget", "systemLibrary",
    ]

    private static func target(at word: Word, in file: SourceFile) -> Target? {
        guard declarers.contains(word.text), word.after == UInt8(ascii: "(") else { return nil }
        let call = argumentRange(from: word.range.upperBound, in: file.code)
        let arguments = String(decoding: file.uncommented[call], as: UTF8.self)
        // In the definitions of those functions the name is a parameter, and no string.
        let head = arguments.prefix { $0 != "," }
        guard let name = strings(in: head).first else { return nil }
        return Target(
            name: name, dependencies: Set(dependencies(in: arguments)),
            isForTests: word.text == "tests" || word.text == "testTarget" || arguments.contains("\"Tests/"),
            line: word.line)
    }

    /// What stands between the parentheses of a call.
    private static func argumentRange(from start: Int, in code: [UInt8]) -> Range<Int> {
        var depth = 0
        for position in start..<code.count {
            if code[position] == UInt8(ascii: "(") { depth += 1 }
            if code[position] == UInt8(ascii: ")") { depth -= 1 }
            if depth == 0, position > start { return start..<position }
        }
        return start..<code.count
    }

    private static func dependencies(in arguments: String) -> [String] {
        for label in ["on:", "of:", "dependencies:"] {
            let pieces = arguments.split(separator: label, maxSplits: 1)
            guard pieces.count == 2, let list = pieces[1].split(separator: "[", maxSplits: 1).last else {
                continue
            }
            return strings(in: list.prefix { $0 != "]" })
        }
        return []
    }

    private static func strings(in text: some StringProtocol) -> [String] {
        let pieces = text.split(separator: "\"", omittingEmptySubsequences: false)
        return pieces.indices.filter { $0 % 2 == 1 }.map { String(pieces[$0]) }
    }
}
