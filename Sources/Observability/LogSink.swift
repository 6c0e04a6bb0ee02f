// Takes lines from any queue and writes them on its own, so that no request ever waits for a disk, a pipe or
// a syslog daemon. Bounded: what cannot be written waits and is tried again, and what comes when too much
// waits is dropped and counted.
//
// Owned by: the sink's queue, for the writer and what it has in hand; the waiting bytes have a lock. Logs
// with one destination share one sink: two writers would cut into each other's lines where a pipe is full.

import Dispatch
import Synchronization

/// What lines are written to; called on the sink's queue, where it may block for a moment.
package protocol LogWriter: AnyObject {
    /// Writes as much as it can now, from the start; answers how many bytes that was, and why not all.
    func write(_ lines: Span<UInt8>) -> LogWriting
    /// Opens anew what may have another name by now; the reason if that is not possible, and what was open
    /// stays.
    func reopen() -> String?
}

/// What writing came to.
package struct LogWriting: Sendable {
    package var count: Int
    /// Why no more could be written; nil when all was.
    package var problem: String?

    package init(count: Int, problem: String?) {
        self.count = count
        self.problem = problem
    }
}

/// How many lines a log has lost: they came when too much waited to be written. It outlives the log's
/// destinations. Atomic.
package final class LogLoss: Sendable {
    /// The log, as the configuration names it.
    package let name: String
    private let count = Atomic(0)

    package init(name: String) { self.name = name }

    package var lines: Int { count.load(ordering: .relaxed) }

    func add(_ lines: Int) { count.add(lines, ordering: .relaxed) }
}

/// A bounded, asynchronous writer of lines.
package final class LogSink: Sendable {
    private struct Waiting: Sendable {
        var bytes: [UInt8] = []
        /// What the queue has taken and not yet written; it counts as waiting.
        var inHand = 0
        var isScheduled = false
        var problem: String?
    }

    /// What the queue works on.
    private struct Hand {
        let writer: any LogWriter
        var bytes: [UInt8] = []
        var written = 0
        /// Bytes that the writer has ever taken.
        var total = 0
    }

    private enum Outcome { case done, more, stuck }

    private let queue: DispatchQueue
    private let waiting = Mutex(Waiting())
    private let hand: Mutex<Hand>
    private let retryMilliseconds: Int

    package init(label: String, retryMilliseconds: Int = 500, writer: sending any LogWriter) {
        queue = DispatchQueue(label: "log.\(label)", qos: .default)
        self.retryMilliseconds = retryMilliseconds
        hand = Mutex(Hand(writer: writer))
    }

    /// Hands whole lines in, and never blocks. False: too much waits, and they are dropped.
    package func append(_ lines: [UInt8], bytesMax: Int) -> Bool {
        if lines.isEmpty { return true }
        var mustSchedule = false
        let hasRoom = waiting.withLock { waiting in
            if waiting.bytes.count + waiting.inHand + lines.count > bytesMax { return false }
            waiting.bytes += lines
            mustSchedule = !waiting.isScheduled
            waiting.isScheduled = true
            return true
        }
        if mustSchedule { queue.async { [self] in drain() } }
        return hasRoom
    }

    /// Why what waits cannot be written at the moment; nil when all is well.
    package var problem: String? { waiting.withLock { $0.problem } }

    /// Waits until everything handed in has been tried.
    package func flush() { queue.sync { while writeBatch() == .more {} } }

    /// Tries to write everything handed in, and calls `done`; never, where the writer stands still.
    package func finish(_ done: @escaping @Sendable () -> Void) {
        queue.async { [self] in
            while writeBatch() == .more {}
            done()
        }
    }

    /// Opens the destination anew: what was handed in before goes to the old one as far as it has begun, and
    /// no line to both.
    package func reopen(_ failed: @escaping @Sendable (String) -> Void) {
        queue.async { [self] in
            writeBacklog()
            let problem = hand.withLock { hand in
                if let problem = hand.writer.reopen() { return problem as String? }
                // A line of which only a part has found room begins anew in the new file.
                let begun = hand.bytes[..<hand.written].lastIndex(of: UInt8(ascii: "\n"))
                hand.written = begun.map { $0 + 1 } ?? 0
                return nil
            }
            if let problem { failed(problem) }
        }
    }

    /// No more lines will come, from a while ago on: what cannot be written by then is given up.
    ///
    /// - Parameter ended: told how many lines that is.
    package func retire(milliseconds: Int, ended: @escaping @Sendable (Int) -> Void) {
        queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [self] in
            while writeBatch() == .more {}
            let unwritten = hand.withLock { hand in
                defer { (hand.bytes, hand.written) = ([], 0) }
                return Self.lineCount(hand.bytes[hand.written...])
            }
            let unseen = waiting.withLock { waiting in
                defer { waiting = Waiting() }
                return Self.lineCount(waiting.bytes[...])
            }
            ended(unwritten + unseen)
        }
    }

    private func drain() {
        switch writeBatch() {
        case .done: return
        // Behind what else waits for the queue: a busy log is reopened too.
        case .more: queue.async { [self] in drain() }
        case .stuck:
            queue.asyncAfter(deadline: .now() + .milliseconds(retryMilliseconds)) { [self] in drain() }
        }
    }

    /// Writes what has been handed in by now: of a slow destination under load there is always more.
    private func writeBacklog() {
        let backlog = waiting.withLock { $0.bytes.count + $0.inHand }
        let end = hand.withLock { $0.total } + backlog
        while hand.withLock({ $0.total }) < end, writeBatch() == .more {}
    }

    /// Writes whole lines, up to a batch of them.
    private func writeBatch() -> Outcome {
        hand.withLock { hand in
            if hand.written == hand.bytes.count {
                (hand.bytes, hand.written) = (takeWaiting(), 0)
                if hand.bytes.isEmpty { return .done }
            }
            let writing = hand.writer.write(
                hand.bytes.span.extracting(hand.written..<Self.batchEnd(hand.bytes, from: hand.written)))
            hand.written += writing.count
            hand.total += writing.count
            let left = hand.bytes.count - hand.written
            waiting.withLock { ($0.inHand, $0.problem) = (left, writing.problem) }
            return writing.problem == nil ? .more : .stuck
        }
    }

    private func takeWaiting() -> [UInt8] {
        waiting.withLock { waiting in
            defer { waiting.bytes = [] }
            waiting.inHand = waiting.bytes.count
            waiting.isScheduled = !waiting.bytes.isEmpty
            return waiting.bytes
        }
    }

    /// The end of the last whole line within a batch, or of the first one if it is longer.
    private static func batchEnd(_ bytes: [UInt8], from start: Int) -> Int {
        if bytes.count - start <= batchBytesMax { return bytes.count }
        let newline = UInt8(ascii: "\n")
        if let last = bytes[start..<start + batchBytesMax].lastIndex(of: newline) { return last + 1 }
        return bytes[start...].firstIndex(of: newline).map { $0 + 1 } ?? bytes.count
    }

    static func lineCount(_ lines: ArraySlice<UInt8>) -> Int { lines.count { $0 == UInt8(ascii: "\n") } }

    /// One write(2) of a file is not one step: SIGKILL may end it between two pages. The fewer at once, the
    /// less stands half-written then.
    private static let batchBytesMax = 64 * 1024
}

/// Where a log's lines go at the moment, for a log that several queues write. Has a lock.
final class LogSwitch: Sendable {
    private let state: Mutex<(outlet: LogOutlet?, level: LogLevel)>

    init(_ outlet: LogOutlet?, _ level: LogLevel = .info) { state = Mutex((outlet, level)) }

    var outlet: LogOutlet? { state.withLock { $0.outlet } }
    var level: LogLevel { state.withLock { $0.level } }

    func change(to outlet: LogOutlet?, _ level: LogLevel = .info) { state.withLock { $0 = (outlet, level) } }
}
