// The bytes of one connection. Plain TCP for now; TLS is to be the second case behind the same verbs, so
// nobody above this file asks which of the two it is.

package import Primitives

/// One connection's byte stream, and whether a call on it can get anywhere: readiness is told once, so it is
/// kept here until a call comes up short.
package struct Transport: ~Copyable {
    let descriptor: FileDescriptor
    /// Whether receiving may find something.
    package private(set) var mayReceive = false
    /// Whether sending may get rid of something.
    package private(set) var maySend = false
    /// The peer has closed its side: a short read is not the last one.
    private var isEnding = false

    /// Takes over a connected (or connecting) socket.
    package init(_ descriptor: consuming FileDescriptor) {
        Syscalls.setNoDelay(descriptor.raw)
        self.descriptor = descriptor
    }

    /// Starts a connection to `address`. It stands once it is writable and `connectionError` is nil.
    package static func connecting(to address: SocketAddress) throws(SystemError) -> Transport {
        let socket = try Syscalls.socket(family: address.addressFamily)
        _ = try Syscalls.connect(socket.raw, to: address)
        return Transport(socket)
    }

    /// Keeps at most that much unsent data in the kernel, so that a slow peer shows its progress in small
    /// steps.
    package func limitUnsent(bytes: Int32) { Syscalls.limitUnsent(descriptor.raw, bytes: bytes) }

    /// Takes note of what the loop has told.
    package mutating func note(_ readiness: Readiness) {
        if readiness.contains(.writable) { maySend = true }
        if readiness.contains(.readable) { mayReceive = true }
        if !readiness.isDisjoint(with: [.ending, .broken]) {
            mayReceive = true
            isEnding = true
        }
    }

    /// Reads what has arrived into the buffer's free room, which must not be empty.
    package mutating func receive(into buffer: inout ByteBuffer) -> Transfer {
        let room = buffer.fillCount
        let result = Syscalls.receive(descriptor.raw, into: &buffer)
        switch result {
        // epoll(7): a stream that gave less than was asked for is drained, unless its end is waiting behind.
        case .bytes(let count): mayReceive = isEnding || count >= room
        case .wouldBlock, .ended, .failed: mayReceive = false
        }
        return result
    }

    /// Sends as much of the buffer as the connection takes now, and takes it out of the buffer.
    package mutating func send(from buffer: inout ByteBuffer) -> Transfer {
        let result = buffer.withReadable { Syscalls.send(descriptor.raw, $0) }
        switch result {
        case .bytes(let count):
            maySend = count >= buffer.count
            buffer.consume(count)
        case .wouldBlock, .ended, .failed: maySend = false
        }
        return result
    }

    /// Sends as many of `bytes` as the connection takes now.
    ///
    /// - Returns: how many it has taken. A broken connection takes none, and says so at the next
    ///   `send(from:)`.
    package mutating func send(_ bytes: Span<UInt8>) -> Int {
        if !maySend { return 0 }
        switch Syscalls.send(descriptor.raw, bytes) {
        case .bytes(let count):
            maySend = count >= bytes.count
            return count
        case .wouldBlock:
            maySend = false
            return 0
        case .ended, .failed: return 0
        }
    }

    /// Why connecting failed; nil when the connection stands.
    package var connectionError: SystemError? {
        let code = Syscalls.pendingError(descriptor.raw)
        return code == 0 ? nil : SystemError(code: code, call: "connect")
    }

    /// Tells the peer that nothing more will come, while its own bytes are still read.
    package func finishSending() { Syscalls.shutdownWrite(descriptor.raw) }
}
