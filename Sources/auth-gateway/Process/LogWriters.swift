// What the sinks of the logs write to: files and streams, and the socket of a syslog daemon.

import Network
import Observability
import Primitives

/// Writes to a file, or to one of the standard streams. Owned by: its sink.
final class FileWriter: LogWriter {
    /// nil for a stream, which cannot be opened anew.
    private let path: String?
    private var file: AppendFile
    /// The end of a line that a crash has torn: what follows begins a line of its own.
    private var mustEndLine = false

    /// A file that is appended to, made where there is none.
    init(path: String) throws(SystemError) {
        self.path = path
        mustEndLine = AppendFile.isTorn(path)
        file = try AppendFile(path: path)
    }

    init(stream: consuming AppendFile) {
        path = nil
        file = stream
    }

    func write(_ lines: Span<UInt8>) -> LogWriting {
        if mustEndLine {
            let newline: [UInt8] = [UInt8(ascii: "\n")]
            let (_, problem) = file.appendPart(newline.span, patienceMilliseconds: Self.patienceMilliseconds)
            if let problem { return LogWriting(count: 0, problem: Self.text(problem)) }
            mustEndLine = false
        }
        let (count, problem) = file.appendPart(lines, patienceMilliseconds: Self.patienceMilliseconds)
        return LogWriting(count: count, problem: problem.map(Self.text))
    }

    func reopen() -> String? {
        guard let path else { return nil }
        do throws(SystemError) {
            let isTorn = AppendFile.isTorn(path)
            file = try AppendFile(path: path)
            mustEndLine = isTorn
            return nil
        } catch {
            return error.reason
        }
    }

    private static func text(_ problem: SystemError) -> String {
        problem.isPatienceOver ? "its reader takes nothing" : problem.reason
    }

    private static let patienceMilliseconds: Int32 = 1_000
}

/// Sends each line to a syslog daemon, as one datagram. Owned by: its sink.
final class SyslogWriter: LogWriter {
    private let path: String
    private var sender: DatagramSender

    /// nil: the path is no address.
    init?(path: String) {
        guard let sender = DatagramSender(unixPath: path) else { return nil }
        self.path = path
        self.sender = sender
    }

    func write(_ lines: Span<UInt8>) -> LogWriting {
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != UInt8(ascii: "\n") { end += 1 }
            let message = lines.extracting(start..<min(end, start + Self.messageBytesMax))
            do throws(SystemError) {
                try sender.send(message, patienceMilliseconds: Self.patienceMilliseconds)
            } catch {
                // One that no daemon could ever take must not hold up the others.
                if !error.isTooLong {
                    return LogWriting(count: start, problem: "syslog at \(path): \(Self.text(error))")
                }
            }
            start = min(lines.count, end + 1)
        }
        return LogWriting(count: lines.count, problem: nil)
    }

    /// A daemon that was started anew is found with the next message.
    func reopen() -> String? { nil }

    private static func text(_ problem: SystemError) -> String {
        problem.isPatienceOver ? "the daemon takes nothing" : problem.reason
    }

    private static let patienceMilliseconds: Int32 = 1_000
    /// Longer ones are cut. Daemons cut sooner: rsyslog at 8 kB, journald at 48.
    private static let messageBytesMax = 64 * 1024
}
