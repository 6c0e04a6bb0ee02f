// What the gateway says about itself: starting, stopping, upstreams failing. One line each, for people; and
// the audit log, one JSON object a line, for machines. Neither ever holds a token, a cookie or a secret.

package import Primitives

/// How loud a line is.
package enum LogLevel: Int, Sendable, Comparable {
    case error, warning, info, debug

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    fileprivate var word: String {
        switch self {
        case .error: "error"
        case .warning: "warning"
        case .info: "info"
        case .debug: "debug"
        }
    }
}

/// The log of the process.
package final class ServiceLog: Sendable {
    private let sink: LogSink
    private let level: LogLevel
    private let clock: @Sendable () -> WallTime

    package init(sink: LogSink, level: LogLevel, clock: @escaping @Sendable () -> WallTime) {
        self.sink = sink
        self.level = level
        self.clock = clock
    }

    package func error(_ message: String) { write(.error, message) }
    package func warning(_ message: String) { write(.warning, message) }
    package func info(_ message: String) { write(.info, message) }
    package func debug(_ message: @autoclosure () -> String) {
        if level >= .debug { write(.debug, message()) }
    }

    /// Waits until everything is written: at the end of the process.
    package func flush() { sink.flush() }

    private func write(_ level: LogLevel, _ message: String) {
        if level > self.level { return }
        // A message may quote what came from outside: control bytes must not start a line of their own.
        let safe = message.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }
            .joined()
        sink.append(Array("\(CivilTime(clock()).rfc3339) \(level.word) \(safe)\n".utf8))
    }
}

/// The audit log: what happened to sessions and keys, and why.
package final class AuditLog: Sendable {
    private let sink: LogSink?
    private let clock: @Sendable () -> WallTime

    /// - Parameter sink: nil writes nothing.
    package init(sink: LogSink?, clock: @escaping @Sendable () -> WallTime) {
        self.sink = sink
        self.clock = clock
    }

    /// Writes one event. Members without a value are left out.
    package func record(_ event: String, _ members: [(name: String, value: String?)]) {
        guard let sink else { return }
        var line = JSONWriter()
        line.beginObject()
        line.string("@timestamp", CivilTime(clock()).rfc3339)
        line.string("event.action", event)
        for member in members {
            if let value = member.value { line.string(member.name, value) }
        }
        line.endObject()
        sink.append(line.bytes + [UInt8(ascii: "\n")])
    }

    /// Waits until everything is written: at the end of the process.
    package func flush() { sink?.flush() }
}
