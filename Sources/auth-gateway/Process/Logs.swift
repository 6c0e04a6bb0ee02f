// The log files and streams of the process, opened as the configuration says.

import Configuration
import Network
import Observability
import Primitives
import Sessions

/// The three logs.
struct Logs {
    let access: LogSink?
    let audit: AuditLog
    let service: ServiceLog

    init(_ configuration: LogsConfiguration) throws(StartProblem) {
        access = try Self.sink("access", configuration.access)
        audit = AuditLog(sink: try Self.sink("audit", configuration.audit), clock: { Clock.wall })
        let level: LogLevel =
            switch configuration.level {
            case .error: .error
            case .warning: .warning
            case .info: .info
            case .debug: .debug
            }
        service = ServiceLog(
            sink: Self.sink("service", AppendFile.standardError), level: level, clock: { Clock.wall })
    }

    /// Waits until everything is written.
    func flush() {
        access?.flush()
        audit.flush()
        service.flush()
    }

    private static func sink(
        _ label: String, _ destination: LogsConfiguration.Destination
    ) throws(StartProblem) -> LogSink? {
        switch destination {
        case .off: return nil
        case .stdout: return sink(label, AppendFile.standardOutput)
        case .stderr: return sink(label, AppendFile.standardError)
        case .file(let path):
            do throws(SystemError) {
                return sink(label, try AppendFile(path: path))
            } catch {
                throw StartProblem(reason: "the \(label) log \(path) cannot be opened: \(error.reason)")
            }
        }
    }

    private static func sink(_ label: String, _ file: consuming AppendFile) -> LogSink {
        let writer = LineWriter(file)
        return LogSink(label: label) { writer.write($0) }
    }
}

/// Keeps a log file open for its sink.
private final class LineWriter: Sendable {
    private let file: AppendFile

    init(_ file: consuming AppendFile) { self.file = file }

    /// A log that cannot be written must not stop the gateway.
    func write(_ lines: [UInt8]) { try? file.append(lines.span) }
}

extension AuditLog {
    /// Writes what the refresh service tells.
    func record(_ event: AuditEvent) {
        record(
            event.kind.rawValue,
            [
                ("session.id", event.sid?.text), ("user.id", event.subject), ("event.reason", event.reason),
                ("generation", event.generation.map(String.init)), ("source.ip", event.address),
            ])
    }
}
