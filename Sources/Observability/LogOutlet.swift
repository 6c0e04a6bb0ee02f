// A log's way out: which sink takes its lines, what stands in front of each, and whose loss it is when there
// is no room. Replaced whole when the configuration changes.

package import Primitives

/// RFC 5424 §6.2.1, the severities that lines of the gateway have.
package enum LogSeverity: Int, Sendable {
    case error = 3
    case warning, notice, info, debug
}

/// What stands in front of a line, for whoever reads the destination.
package enum LogFraming: Sendable {
    case plain
    /// sd-daemon(3): `<N>`, where stderr goes to the journal.
    case journal
    case syslog(SyslogHeader)

    /// The bytes in front of a line.
    func opening(_ severity: LogSeverity, _ now: WallTime) -> [UInt8] {
        switch self {
        case .plain: []
        case .journal: Array("<\(severity.rawValue)>".utf8)
        case .syslog(let header): Array(header.text(severity, now).utf8)
        }
    }
}

/// The start of a message to syslog, as the C library writes it: RFC 3164 without a host name, and in local
/// time, since that is what a daemon on the same machine takes it for.
package struct SyslogHeader: Sendable {
    private let facility: Int
    private let tag: String
    private let localOffsetSeconds: @Sendable (WallTime) -> Int64

    /// - Parameters:
    ///   - facility: its number (RFC 5424 §6.2.1).
    ///   - tag: the name of the program, and in brackets its process.
    package init(
        facility: Int, tag: String, localOffsetSeconds: @escaping @Sendable (WallTime) -> Int64
    ) {
        self.facility = facility
        self.tag = tag
        self.localOffsetSeconds = localOffsetSeconds
    }

    func text(_ severity: LogSeverity, _ now: WallTime) -> String {
        let local = CivilTime(now.advanced(byMilliseconds: localOffsetSeconds(now) * 1000))
        return "<\(facility * 8 + severity.rawValue)>\(local.syslog) \(tag): "
    }
}

/// Where the lines of one log go.
package struct LogOutlet: Sendable {
    private let loss: LogLoss
    private let sink: LogSink
    private let framing: LogFraming
    private let bytesMax: Int

    /// - Parameter isPrecious: a log that the others must not crowd out of a sink they share.
    package init(_ loss: LogLoss, to sink: LogSink, _ framing: LogFraming, isPrecious: Bool = false) {
        self.loss = loss
        self.sink = sink
        self.framing = framing
        bytesMax = isPrecious ? Self.preciousBytesMax : Self.bytesMax
    }

    /// What is to stand in front of a line.
    func opening(_ severity: LogSeverity, _ now: WallTime) -> [UInt8] { framing.opening(severity, now) }

    /// Hands in whole lines with what stands in front of each.
    func append(_ lines: [UInt8]) {
        if !sink.append(lines, bytesMax: bytesMax) { loss.add(LogSink.lineCount(lines[...])) }
    }

    /// Waits until everything handed in has been tried.
    package func flush() { sink.flush() }

    /// How much may wait in a sink before the lines of a log are dropped.
    static let bytesMax = 4 * 1024 * 1024
    static let preciousBytesMax = 5 * 1024 * 1024
}

/// Says what is wrong with the logs: at once, and then once in a while.
package struct LogNews: Sendable {
    private struct Told: Sendable {
        var lines = 0
        var isStuck = false
        var stuckAgain = MonotonicInstant(milliseconds: .min)
        var lossAgain = MonotonicInstant(milliseconds: .min)
    }

    private var told: [String: Told] = [:]

    package init() {}

    /// What is to be said of a log now; nil for nothing.
    ///
    /// - Parameter problem: why its lines cannot be written at the moment.
    package mutating func sentence(
        _ loss: LogLoss, problem: String?, now: MonotonicInstant
    ) -> String? {
        var last = told[loss.name, default: Told()]
        let lost = loss.lines - last.lines
        let isStuck = problem != nil
        let tellsState = isStuck != last.isStuck && now >= last.stuckAgain
        let tellsLoss = lost > 0 && now >= last.lossAgain
        if !tellsState && !tellsLoss { return nil }
        let again = now.advanced(byMilliseconds: Self.pauseMilliseconds)
        if isStuck != last.isStuck { last.stuckAgain = again }
        if lost > 0 { last.lossAgain = again }
        (last.lines, last.isStuck) = (loss.lines, isStuck)
        told[loss.name] = last
        let state = problem.map { "cannot be written: \($0)" } ?? "is written"
        return "the \(loss.name) log \(state)" + (lost == 0 ? "" : "; \(lost) lines are lost")
    }

    private static let pauseMilliseconds: Int64 = 60_000
}
