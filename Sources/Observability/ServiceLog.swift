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

    fileprivate var severity: LogSeverity {
        switch self {
        case .error: .error
        case .warning: .warning
        case .info: .info
        case .debug: .debug
        }
    }
}

/// The log of the process: `error` in the configuration.
package final class ServiceLog: Sendable {
    private let way: LogSwitch
    private let clock: @Sendable () -> WallTime

    package init(_ outlet: LogOutlet, level: LogLevel, clock: @escaping @Sendable () -> WallTime) {
        way = LogSwitch(outlet, level)
        self.clock = clock
    }

    /// Has lines from now on go elsewhere.
    package func change(to outlet: LogOutlet, level: LogLevel) { way.change(to: outlet, level) }

    package func error(_ message: String) { write(.error, message) }
    package func warning(_ message: String) { write(.warning, message) }
    package func info(_ message: String) { write(.info, message) }
    package func debug(_ message: @autoclosure () -> String) {
        if way.level >= .debug { write(.debug, message()) }
    }

    private func write(_ level: LogLevel, _ message: String) {
        guard level <= way.level, let outlet = way.outlet else { return }
        // A message may quote what came from outside: control bytes must not start a line of their own.
        let safe = message.unicodeScalars.map { $0.isControl ? "?" : String($0) }.joined()
        let now = clock()
        let line = Array("\(CivilTime(now).rfc3339) \(level.word) \(safe)\n".utf8)
        outlet.append(outlet.opening(level.severity, now) + line)
    }
}

/// The audit log: what happened to sessions and keys, and why.
package final class AuditLog: Sendable {
    private let way: LogSwitch
    private let clock: @Sendable () -> WallTime

    /// - Parameter outlet: nil writes nothing.
    package init(_ outlet: LogOutlet?, clock: @escaping @Sendable () -> WallTime) {
        way = LogSwitch(outlet)
        self.clock = clock
    }

    /// Has events from now on go elsewhere, or nowhere.
    package func change(to outlet: LogOutlet?) { way.change(to: outlet) }

    /// Writes one event. Members without a value are left out.
    package func record(_ event: String, _ members: [(name: String, value: String?)]) {
        guard let outlet = way.outlet else { return }
        let now = clock()
        var line = JSONWriter()
        line.beginObject()
        line.string("@timestamp", CivilTime(now).rfc3339)
        line.string("event.action", event)
        for member in members {
            if let value = member.value { line.string(member.name, value) }
        }
        line.endObject()
        let severity = Self.warnings.contains(event) ? LogSeverity.warning : .notice
        outlet.append(outlet.opening(severity, now) + line.bytes + [UInt8(ascii: "\n")])
    }

    /// What somebody should look at.
    private static let warnings: Set = [
        "refresh_token_reused", "refresh_token_misplaced", "login_refused", "store_behind", "key_withdrawn",
        "config_reload_refused",
    ]
}
