// Signals of the process, as events on a queue.
//
// Not by Dispatch's own signal sources: on Linux they lose one now and then that comes while the process
// starts (libdispatch's main thread takes it in `sigsuspend` and raises it again, and nobody reads it there),
// and a gateway that was asked to stop would run on. A handler that writes one byte into a pipe loses none.

package import Dispatch
import Glibc
import Primitives

/// Watches signals. Owned by: whoever made it; the handler is called on the queue.
package final class Signals {
    private let pipe: FileDescriptor
    private let source: any DispatchSourceRead

    /// Takes signals from now on; of several that come at once, one of each kind at least is told.
    package init(
        _ numbers: [Int32], queue: DispatchQueue, handler: @escaping (Int32) -> Void
    ) throws(SystemError) {
        pipe = try Syscalls.signalPipe(numbers)
        let raw = pipe.raw
        source = DispatchSource.makeReadSource(fileDescriptor: raw, queue: queue)
        source.setEventHandler {
            for number in Self.read(raw) { handler(number) }
        }
        source.resume()
    }

    /// What has come and has not been handled yet, which it will be all the same. To be called on the queue,
    /// by who keeps it.
    package func waiting() -> Set<Int32> {
        let numbers = Set(Self.read(pipe.raw))
        for number in numbers { raise(number) }
        return numbers
    }

    private static func read(_ pipe: Int32) -> [Int32] {
        var buffer = ByteBuffer(capacity: 64)
        guard let count = try? Syscalls.read(pipe, into: &buffer), count > 0 else { return [] }
        return buffer.withReadable { [UInt8](copying: $0) }.map { Int32($0) }
    }
}
