// `auth-gateway check`: reads a configuration and prints everything that is wrong with it. Needs no
// state and no network; of keys only those that the configuration names.

import Configuration
import Network
import Primitives
import Proxy

/// A request of `auth-gateway check`.
struct CheckRequest: Equatable {
    /// A warning is as bad as an error.
    let isStrict: Bool
    /// What is in order is not said, and neither is a warning.
    let isQuiet: Bool
    let isJSON: Bool
    /// What is read is printed where it is valid.
    let isDumping: Bool

    init(_ arguments: Arguments) throws(UsageError) {
        isDumping = arguments.has("--dump")
        if isDumping, arguments.isJSON { throw arguments.problem("'check' takes --dump or --json") }
        isStrict = arguments.has("--strict")
        isQuiet = arguments.has("-q")
        isJSON = arguments.isJSON
    }
}

/// Checks a configuration file.
enum CheckCommand {
    static func run(_ request: CheckRequest, path: String) -> ExitCode {
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        var findings = loaded.diagnostics.map { Finding($0) }
        if let configuration = loaded.configuration { findings += Self.findings(in: configuration, path) }
        findings += loaded.filesWithSecrets.filter(Files.isReadableByAll).map {
            Finding(
                .warning, "a secret stands in \($0), which everybody on this machine can read", file: $0,
                hint: "chmod o-r \($0), or write it as env:NAME or file:PATH")
        }
        let errors = findings.count { $0.severity == .error }
        let warnings = findings.count - errors
        let isValid = errors == 0 && (warnings == 0 || !request.isStrict)
        if request.isJSON {
            Console.print(json(findings, isValid: isValid, errors: errors, warnings: warnings))
            return isValid ? .success : .configuration
        }
        for finding in findings where !request.isQuiet || request.isStrict || finding.severity == .error {
            Console.error(finding.rendered)
        }
        if isValid {
            let count = loaded.configuration?.expectations.count ?? 0
            let kept = count == 0 ? "" : ", and does what it says itself: \(counted(count, "expectation"))"
            if request.isDumping {
                Console.print(ConfigurationLoader.effectiveText(path: path, files: SystemFiles()))
            } else if !request.isQuiet {
                Console.print("\(path): the configuration is valid\(kept)")
            }
            return .success
        }
        let parts = [(errors, "error"), (request.isStrict ? warnings : 0, "warning")].filter { $0.0 > 0 }
        Console.error("\(path): \(parts.map { counted($0.0, $0.1) }.joined(separator: ", "))")
        return .configuration
    }

    /// What is wrong with a configuration that is well-formed.
    private static func findings(in configuration: GatewayConfiguration, _ path: String) -> [Finding] {
        var findings = PolicyFindings.find(in: configuration, now: Clock.wall).map { Finding($0) }
        findings += pastExchanges(of: configuration, at: Clock.wall).map {
            Finding(.warning, $0, file: path)
        }
        findings += GatewayTLS.remarks(on: configuration, at: Clock.wall).map {
            Finding($0.isError ? .error : .warning, $0.text, file: path)
        }
        let problem =
            IssuerTarget.problem(of: configuration) ?? ExchangeTarget.problem(of: configuration)
            ?? OwnKeys.problem(in: configuration.accessToken)
        if let problem { findings.append(Finding(.error, problem, file: path)) }
        return findings
    }

    /// What is exchanged no more, though whoever reads the configuration may think that it is.
    private static func pastExchanges(of configuration: GatewayConfiguration, at now: WallTime) -> [String] {
        configuration.refreshToken.exchanges.filter { $0.until * 1_000 <= now.milliseconds }.map {
            let last = CivilTime(WallTime(seconds: $0.until - 1)).rfc3339.prefix(10)
            return "\($0.place): nothing is exchanged here since the end of \(last): take this block out"
        }
    }

    /// The configuration that a command works by; nil where it is not valid, which has been said then.
    static func configuration(at path: String) -> GatewayConfiguration? {
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        if let configuration = loaded.configuration { return configuration }
        for diagnostic in loaded.diagnostics { Console.error(diagnostic.rendered) }
        Console.error(summary(loaded, path))
        return nil
    }

    static func summary(_ loaded: LoadedConfiguration, _ path: String) -> String {
        "\(path): \(counted(loaded.diagnostics.count { $0.severity == .error }, "error"))"
    }

    private static func counted(_ count: Int, _ thing: String) -> String {
        "\(count) \(thing)\(count == 1 ? "" : "s")"
    }

    private static func json(
        _ findings: [Finding], isValid: Bool, errors: Int, warnings: Int
    ) -> String {
        var writer = JSONWriter(reserving: 1024)
        writer.beginObject()
        writer.boolean("valid", isValid)
        writer.number("errors", Int64(errors))
        writer.number("warnings", Int64(warnings))
        writer.beginArray("findings")
        for finding in findings { finding.write(to: &writer) }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// Something to say of a configuration.
private struct Finding {
    let severity: Diagnostic.Severity
    let rendered: String
    private let file: String
    /// Line and column; nil where it is about a file as a whole.
    private let place: (line: Int, column: Int)?
    private let message: String
    private let hint: String?

    init(_ diagnostic: Diagnostic) {
        severity = diagnostic.severity
        rendered = diagnostic.rendered
        file = diagnostic.file
        place = (diagnostic.line, diagnostic.column)
        message = diagnostic.message
        hint = diagnostic.help
    }

    init(_ severity: Diagnostic.Severity, _ message: String, file: String, hint: String? = nil) {
        self.severity = severity
        rendered = "\(severity.rawValue): \(message)" + (hint.map { "\n  = help: \($0)" } ?? "")
        self.file = file
        place = nil
        self.message = message
        self.hint = hint
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.string("file", file)
        if let place {
            writer.number("line", Int64(place.line))
            writer.number("column", Int64(place.column))
        }
        writer.string("severity", severity.rawValue)
        writer.string("message", message)
        if let hint { writer.string("hint", hint) }
        writer.endObject()
    }
}

/// The file system and environment, as the configuration loader wants them.
struct SystemFiles: ConfigurationFiles {
    func read(_ path: String) -> Result<[UInt8], ConfigurationFileProblem> {
        do throws(SystemError) {
            return .success(try Files.read(path))
        } catch {
            return .failure(ConfigurationFileProblem(reason: error.reason))
        }
    }

    func paths(matching glob: String) -> [String] { Files.paths(matching: glob) }

    func environmentValue(_ name: String) -> String? { Files.environment(name) }
}
