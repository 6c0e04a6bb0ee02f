// The three logs of the process: opened as the configuration says, changed with it, opened anew on SIGUSR1,
// and complete when the process ends.

import Configuration
import Dispatch
import Glibc
import Network
import Observability
import Primitives
import Sessions

/// The logs. Owned by: the main queue; what they hand out is anybody's.
@MainActor
final class Logs {
    /// Where lines go, as one sink serves it.
    fileprivate enum Target: Hashable {
        case standardOutput, standardError
        case file(String)
        case syslog(String)

        init?(_ destination: LogsConfiguration.Destination) {
            switch destination {
            case .off: return nil
            case .stdout: self = .standardOutput
            // Two sinks would cut into each other's lines.
            case .stderr: self = Logs.streamsAreOne ? .standardOutput : .standardError
            case .file(let path): self = .file(path)
            case .syslog(let syslog): self = .syslog(syslog.path)
            }
        }
    }

    /// What a configuration asks for, opened and not yet in use.
    struct Opened {
        fileprivate var sinks: [Target: LogSink] = [:]
        fileprivate var audit: LogOutlet?
        fileprivate var error: LogOutlet
        fileprivate var level: LogLevel
        fileprivate var used: [(loss: LogLoss, sink: LogSink)] = []
        /// What each shard writes to; nil for no access log.
        fileprivate(set) var access: LogOutlet?
    }

    let audit: AuditLog
    let service: ServiceLog
    /// What each log has lost since the process began.
    let losses = ["access", "audit", "error"].map { LogLoss(name: $0) }
    private var opened: Opened
    private var retired: [LogSink] = []
    private var news = LogNews()

    init(_ configuration: LogsConfiguration) throws(StartProblem) {
        opened = try Opened(configuration, losses, known: [:])
        audit = AuditLog(opened.audit, clock: { Clock.wall })
        service = ServiceLog(opened.error, level: opened.level, clock: { Clock.wall })
    }

    /// What the shards write to.
    var access: LogOutlet? { opened.access }

    /// Opens what another configuration asks for and is not open yet.
    func open(_ configuration: LogsConfiguration) throws(StartProblem) -> Opened {
        try Opened(configuration, losses, known: opened.sinks)
    }

    /// Has the logs go where they are to go from now on; the shards are told by others.
    func change(to new: Opened) {
        let old = opened
        opened = new
        audit.change(to: new.audit)
        service.change(to: new.error, level: new.level)
        for (target, sink) in old.sinks where new.sinks[target] == nil {
            retired.append(sink)
            let name = old.used.first { $0.sink === sink }?.loss.name ?? ""
            sink.retire(milliseconds: Self.retirementMilliseconds) { [self, service] lines in
                if lines > 0 {
                    service.error("the \(name) log of before could not be written: \(lines) lines are lost")
                }
                // Its file is closed with it.
                DispatchQueue.main.async {
                    MainActor.assumeIsolated { self.retired.removeAll { $0 === sink } }
                }
            }
        }
    }

    /// Opens every file anew: another program has given it another name (logrotate(8)).
    func reopen() {
        for case (.file(let path), let sink) in opened.sinks {
            sink.reopen { [service] reason in
                service.error("the log \(path) cannot be opened anew, the old one stays open: \(reason)")
            }
        }
        service.info("the log files are opened anew")
    }

    /// Says in the error log what the logs have lost, and why.
    func tellLosses() {
        for (loss, sink) in opened.used {
            if let sentence = news.sentence(loss, problem: sink.problem, now: Clock.monotonic) {
                service.error(sentence)
            }
        }
    }

    /// Waits until everything is written, but not for ever: a reader that has stopped must not keep the
    /// process from its end.
    func finish() {
        let group = DispatchGroup()
        for sink in opened.sinks.values + retired {
            group.enter()
            sink.finish { group.leave() }
        }
        _ = group.wait(timeout: .now() + .milliseconds(Self.finishMilliseconds))
    }

    /// Whether stdout and stderr lead to one file, pipe or terminal.
    fileprivate nonisolated static let streamsAreOne: Bool = {
        guard let error = AppendFile.standardError.identity else { return false }
        return AppendFile.standardOutput.identity == error
    }()

    private static let retirementMilliseconds = 10_000
    private static let finishMilliseconds = 2_000
}

extension Logs.Opened {
    fileprivate init(
        _ configuration: LogsConfiguration, _ losses: [LogLoss], known: [Logs.Target: LogSink]
    ) throws(StartProblem) {
        var sinks: [Logs.Target: LogSink] = [:]
        var used: [(loss: LogLoss, sink: LogSink)] = []
        func outlet(
            _ loss: LogLoss, _ destination: LogsConfiguration.Destination, isPrecious: Bool
        ) throws(StartProblem) -> LogOutlet? {
            guard let target = Logs.Target(destination) else { return nil }
            let sink: LogSink
            if let open = sinks[target] ?? known[target] {
                sink = open
            } else {
                sink = try Self.sink(loss.name, target)
            }
            sinks[target] = sink
            used.append((loss, sink))
            let framing = Self.framing(destination, isError: loss.name == "error")
            return LogOutlet(loss, to: sink, framing, isPrecious: isPrecious)
        }
        let access = try outlet(losses[0], configuration.access, isPrecious: false)
        let audit = try outlet(losses[1], configuration.audit, isPrecious: true)
        guard let error = try outlet(losses[2], configuration.error, isPrecious: true) else {
            throw StartProblem(reason: "the error log cannot be off")
        }
        let level: LogLevel =
            switch configuration.level {
            case .error: .error
            case .warning: .warning
            case .info: .info
            case .debug: .debug
            }
        self.init(sinks: sinks, audit: audit, error: error, level: level, used: used, access: access)
    }

    private static func sink(_ name: String, _ target: Logs.Target) throws(StartProblem) -> LogSink {
        switch target {
        case .standardOutput:
            return LogSink(label: "stdout", writer: FileWriter(stream: .standardOutput))
        case .standardError: return LogSink(label: "stderr", writer: FileWriter(stream: .standardError))
        case .file(let path):
            do throws(SystemError) {
                return LogSink(label: name, writer: try FileWriter(path: path))
            } catch {
                throw StartProblem(reason: "the \(name) log \(path) cannot be opened: \(error.reason)")
            }
        case .syslog(let path):
            guard let writer = SyslogWriter(path: path) else {
                throw StartProblem(reason: "the \(name) log: '\(path)' is no path of a socket")
            }
            return LogSink(label: "syslog", writer: writer)
        }
    }

    private static func framing(
        _ destination: LogsConfiguration.Destination, isError: Bool
    ) -> LogFraming {
        switch destination {
        case .syslog(let syslog):
            return .syslog(
                SyslogHeader(
                    facility: syslog.facility.code, tag: "\(syslog.tag)[\(getpid())]",
                    localOffsetSeconds: { Clock.localOffsetSeconds(at: $0) }))
        case .stderr where isError: return Console.isJournal ? .journal : .plain
        default: return .plain
        }
    }
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
