// From a path to a configuration or to what is wrong with it: reads files, follows includes, has the tree
// validated.
//
// All contact with the world goes through `ConfigurationFiles`, so a load is a pure function of what that
// answers. Bounded in every direction: bytes of a file, number of files, depth of includes. Never fails, only
// reports.

import Primitives

/// What a load needs of the world.
package protocol ConfigurationFiles {
    /// The whole content of a file.
    func read(_ path: String) -> Result<[UInt8], ConfigurationFileProblem>
    /// The paths that match a glob.
    func paths(matching glob: String) -> [String]
    func environmentValue(_ name: String) -> String?
}

/// Why a file could not be read, in words: `No such file or directory`.
package struct ConfigurationFileProblem: Error, Sendable, Equatable {
    package var reason: String

    package init(reason: String) { self.reason = reason }
}

/// The outcome of a load.
package struct LoadedConfiguration: Sendable, Equatable {
    /// nil if there was any error.
    package var configuration: GatewayConfiguration?
    /// Where the gateway can be reached that runs by an earlier version of this, though there are errors now.
    package var reach: GatewayReach
    /// Errors and warnings, in the order of their places.
    package var diagnostics: [Diagnostic]
    /// The files that a secret stands in as text.
    package var filesWithSecrets: [String]
}

/// Where a running gateway can be reached.
package struct GatewayReach: Sendable, Equatable {
    package var stateDirectory: String
    package var control: ControlConfiguration?
}

/// The entry point of this layer.
package enum ConfigurationLoader {
    /// Loads the configuration at `path` and everything that it includes.
    package static func load(path: String, files: any ConfigurationFiles) -> LoadedConfiguration {
        let report = DiagnosticReport()
        let reader = SourceReader(files: files, report: report)
        let statements = reader.statements(ofMainFile: path)
        let validator = Validator(files: files, report: report, reader: reader)
        let configuration = validator.configuration(of: statements)
        return LoadedConfiguration(
            configuration: report.hasErrors ? nil : configuration,
            reach: GatewayReach(
                stateDirectory: configuration.stateDirectory, control: configuration.control),
            diagnostics: report.diagnostics(mainFile: path), filesWithSecrets: report.filesWithSecrets)
    }
}

extension ConfigurationLoader {
    /// A configuration in one piece, as it is read; only of one that is valid.
    package static func effectiveText(path: String, files: any ConfigurationFiles) -> String {
        let report = DiagnosticReport()
        let statements = SourceReader(files: files, report: report).statements(ofMainFile: path)
        return EffectiveText.of(statements, report)
    }
}

/// Reads the files of one load.
package final class SourceReader {
    private static let fileBytesMax = 1 << 20
    private static let filesMax = 256
    private static let totalBytesMax = 8 << 20
    private static let includeDepthMax = 8

    private let files: any ConfigurationFiles
    private let report: DiagnosticReport
    /// By index of the file.
    private var paths: [String] = []
    private var totalBytes = 0

    init(files: any ConfigurationFiles, report: DiagnosticReport) {
        self.files = files
        self.report = report
    }

    func statements(ofMainFile path: String) -> [Statement] {
        statements(of: path, includedAt: nil, within: [])
    }

    /// A path as the file at `location` means it: relative to the directory of that file.
    func path(_ path: String, relativeTo location: SourceLocation) -> String {
        guard !path.hasPrefix("/"), paths.indices.contains(location.file) else { return path }
        let including = paths[location.file]
        guard let slash = including.lastIndex(of: "/") else { return path }
        return String(including[...slash]) + path
    }

    private func statements(
        of path: String, includedAt location: SourceLocation?, within chain: [String]
    ) -> [Statement] {
        let shown = report.shownPath(path, at: location)
        guard paths.count < Self.filesMax else {
            fail("too many files are included", at: location, help: "at most \(Self.filesMax)")
            return []
        }
        switch files.read(path) {
        case .failure(let problem):
            fail("\(shown) cannot be read: \(problem.reason)", at: location, help: nil)
            return []
        case .success(let bytes):
            totalBytes += bytes.count
            guard bytes.count <= Self.fileBytesMax, totalBytes <= Self.totalBytesMax else {
                fail(
                    "\(shown) is too large for a configuration", at: location,
                    help: "at most 1m a file, 8m in all")
                return []
            }
            let file = report.add(SourceText(name: path, bytes: bytes))
            paths.append(path)
            guard isText(bytes, file: file) else { return [] }
            var parser = Parser(bytes: bytes, file: file, report: report, environment: files.environmentValue)
            return resolved(parser.statements(), within: chain + [normalized(path)])
        }
    }

    /// `statements` with every `include` replaced by what it includes, at any level.
    private func resolved(_ statements: [Statement], within chain: [String]) -> [Statement] {
        var result: [Statement] = []
        for var statement in statements {
            if statement.name == "include" {
                result += included(by: statement, within: chain)
            } else {
                statement.body = statement.body.map { resolved($0, within: chain) }
                result.append(statement)
            }
        }
        return result
    }

    private func included(by statement: Statement, within chain: [String]) -> [Statement] {
        guard !statement.isBroken else {
            report.markIncomplete()
            return []
        }
        guard statement.arguments.count == 1, statement.body == nil, !statement.arguments[0].text.isEmpty
        else {
            fail(
                "'include' takes one file or glob", at: statement.nameLocation, help: "include conf.d/*.conf;"
            )
            return []
        }
        let argument = statement.arguments[0]
        let glob = path(argument.text, relativeTo: argument.location)
        let isGlob = glob.contains { "*?[".contains($0) }
        var result: [Statement] = []
        for path in isGlob ? files.paths(matching: glob).sorted() : [glob] {
            if chain.contains(normalized(path)) {
                fail(
                    "\(report.shownPath(path, at: argument.location)) includes itself", at: argument.location,
                    help: "the chain is \(chain.joined(separator: " → "))")
            } else if chain.count >= Self.includeDepthMax {
                fail(
                    "includes are nested too deeply", at: argument.location,
                    help: "at most \(Self.includeDepthMax) levels")
            } else {
                result += statements(of: path, includedAt: argument.location, within: chain)
            }
        }
        return result
    }

    private func fail(_ message: String, at location: SourceLocation?, help: String?) {
        report.markIncomplete()
        report.error(message, at: location, help: help)
    }

    /// Whether the bytes are UTF-8 without control characters; otherwise reported, once a file.
    private func isText(_ bytes: [UInt8], file: Int) -> Bool {
        var wrong = bytes.firstIndex { ($0 < 0x20 && !(9...13).contains($0)) || $0 == 0x7F }
        var message = "a control character stands here"
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            if error.byteOffsets.lowerBound < wrong ?? Int.max {
                wrong = error.byteOffsets.lowerBound
                message = "this is not UTF-8 text"
            }
        }
        guard let wrong else { return true }
        let location = SourceLocation(file: file, range: ByteRange(wrong, wrong + 1))
        fail(message, at: location, help: "a configuration is UTF-8 text; the rest of this file was not read")
        return false
    }

    /// `path` without `.` and `..` segments, as far as its text tells.
    private func normalized(_ path: String) -> String {
        var segments: [Substring] = []
        for segment in path.split(separator: "/") where segment != "." {
            if segment == "..", let last = segments.last, last != ".." {
                segments.removeLast()
            } else {
                segments.append(segment)
            }
        }
        return (path.hasPrefix("/") ? "/" : "") + segments.joined(separator: "/")
    }
}

extension DiagnosticReport {
    /// A path as messages show it: as written where it is written, because the rest may come from the
    /// environment.
    fileprivate func shownPath(_ path: String, at location: SourceLocation?) -> String {
        location.map(quoted) ?? "'\(path)'"
    }
}
