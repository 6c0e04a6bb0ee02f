// The repository as the rules see it: every text file in it but what .gitignore keeps out, and the Swift
// files among them, read once.
//
// Git itself is not asked: the tests also run from an unpacked archive.

import Foundation

/// The tree that these tests stand in.
struct Repository: Sendable {
    /// A file that is text: its path from the root, and what it says.
    struct TextFile: Sendable {
        let path: String
        let text: String
    }

    static let current = Repository(root: root)

    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// In the order of their paths.
    let textFiles: [TextFile]
    /// The Swift files under Sources and Tests, and the manifest.
    let sources: [SourceFile]
    /// Every file, also one that is not text.
    let paths: Set<String>
    private let directories: Set<String>

    private init(root: URL) {
        var walk = Walk(root: root)
        walk.visit("")
        paths = Set(walk.files)
        directories = Set(walk.directories)
        textFiles = walk.files.sorted().compactMap { path in
            guard let bytes = try? Data(contentsOf: root.appendingPathComponent(path)),
                let text = String(bytes: bytes, encoding: .utf8), !text.contains("\0")
            else { return nil }
            return TextFile(path: path, text: text)
        }
        sources = textFiles.filter { $0.path.hasSuffix(".swift") }
            .map { SourceFile(path: $0.path, text: $0.text) }
    }

    /// What the file at `path` says; nil if it is missing or no text.
    func text(_ path: String) -> String? { textFiles.first { $0.path == path }?.text }

    /// Whether `path` is a file or a directory of the repository.
    func contains(_ path: String) -> Bool { paths.contains(path) || directories.contains(path) }
}

/// Descends from the root.
private struct Walk {
    private let root: URL
    private let ignored: IgnoredNames
    private(set) var files: [String] = []
    private(set) var directories: [String] = []

    init(root: URL) {
        self.root = root
        let text = try? String(contentsOf: root.appendingPathComponent(".gitignore"), encoding: .utf8)
        ignored = IgnoredNames(text ?? "")
    }

    mutating func visit(_ directory: String) {
        let absolute = root.appendingPathComponent(directory).path
        for name in (try? FileManager.default.contentsOfDirectory(atPath: absolute)) ?? [] {
            let path = directory.isEmpty ? name : "\(directory)/\(name)"
            let attributes = try? FileManager.default.attributesOfItem(
                atPath: root.appendingPathComponent(path).path)
            let kind = attributes?[.type] as? FileAttributeType
            guard !ignored.contains(path, isDirectory: kind == .typeDirectory) else { continue }
            if kind == .typeDirectory {
                directories.append(path)
                visit(path)
            } else if kind == .typeRegular {
                files.append(path)
            }
        }
    }
}

/// The names of .gitignore, as far as this one uses the format: `name`, `name/`, `/path/` and `*.suffix`.
struct IgnoredNames: Sendable {
    private let patterns: [Substring]

    init(_ text: String) {
        patterns = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
    }

    func contains(_ path: String, isDirectory: Bool) -> Bool {
        let name = path.split(separator: "/").last ?? ""
        if name == ".git" { return true }
        return patterns.contains { pattern in
            if pattern.hasSuffix("/"), !isDirectory { return false }
            let bare = pattern.hasSuffix("/") ? pattern.dropLast() : pattern
            if bare.hasPrefix("/") { return bare.dropFirst() == path }
            if bare.hasPrefix("*") { return name.hasSuffix(bare.dropFirst()) }
            return bare == name
        }
    }
}
