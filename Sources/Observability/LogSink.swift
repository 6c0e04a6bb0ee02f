// Takes lines from any queue and writes them on its own, so that no request ever waits for a disk or a
// terminal. Bounded: when the writer cannot keep up, whole batches are dropped and counted, and the count is
// logged.
//
// Owned by: the log queue, for the writer; the waiting bytes have a lock.

import Dispatch
import Synchronization

/// A bounded, asynchronous writer of lines.
package final class LogSink: Sendable {
    private struct Waiting: Sendable {
        var bytes: [UInt8] = []
        var isScheduled = false
        var droppedLines = 0
    }

    private let queue: DispatchQueue
    private let waiting = Mutex(Waiting())
    private let write: @Sendable ([UInt8]) -> Void
    private let bytesMax: Int

    /// - Parameters:
    ///   - bytesMax: how much may wait.
    ///   - write: writes whole lines; may block, and is called on one queue only.
    package init(
        label: String, bytesMax: Int = 4 * 1024 * 1024, write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        queue = DispatchQueue(label: "log.\(label)")
        self.bytesMax = bytesMax
        self.write = write
    }

    /// Hands whole lines in. Never blocks; drops them when too much waits.
    package func append(_ lines: [UInt8]) {
        if lines.isEmpty { return }
        let mustSchedule = waiting.withLock { waiting in
            if waiting.bytes.count + lines.count > bytesMax {
                waiting.droppedLines += lines.count { $0 == UInt8(ascii: "\n") }
                return false
            }
            waiting.bytes += lines
            let mustSchedule = !waiting.isScheduled
            waiting.isScheduled = true
            return mustSchedule
        }
        if mustSchedule { queue.async { [self] in drain() } }
    }

    /// How many lines have been dropped so far.
    package var droppedLines: Int { waiting.withLock { $0.droppedLines } }

    /// Waits until everything handed in has been written: at the end of the process.
    package func flush() { queue.sync {} }

    private func drain() {
        let bytes = waiting.withLock { waiting in
            let bytes = waiting.bytes
            waiting.bytes = []
            waiting.isScheduled = false
            return bytes
        }
        write(bytes)
    }
}
