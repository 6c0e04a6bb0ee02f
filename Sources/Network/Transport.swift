// The bytes of one connection, plain or by TLS behind the same verbs: nobody above asks which of the two it
// is, but for the deadline of a handshake and what is known of the peer afterwards. `TransportTLS` has the
// other half.

internal import Glibc
package import Primitives
package import TLS

/// One connection's byte stream, and whether a call on it can get anywhere: readiness is told once, so it is
/// kept here until a call comes up short.
package struct Transport: ~Copyable {
    let descriptor: FileDescriptor
    /// Whether receiving may find something.
    package internal(set) var mayReceive = false
    /// Whether sending may get rid of something.
    package internal(set) var maySend = false
    /// The peer has closed its side: a short read is not the last one.
    var isEnding = false
    /// What makes the bytes of the socket out of ours; nil for a plain connection.
    package internal(set) var tls: TLSSession?
    /// Of the socket under TLS, as `mayReceive` and `maySend` are of a plain one.
    var socket = SocketState()

    /// Takes over a connected (or connecting) socket, and has what goes over it go through `tls`.
    package init(_ descriptor: consuming FileDescriptor, tls: TLSSession? = nil) {
        Syscalls.setNoDelay(descriptor.raw)
        self.descriptor = descriptor
        self.tls = tls
    }

    /// Starts a connection to `address`. It stands once it is writable and `connectionError` is nil; with TLS
    /// its handshake goes on from there, until `isEstablished`.
    package static func connecting(
        to address: SocketAddress, tls: TLSSession? = nil
    ) throws(SystemError) -> Transport {
        let socket = try Syscalls.socket(family: address.addressFamily)
        _ = try Syscalls.connect(socket.raw, to: address)
        return Transport(socket, tls: tls)
    }

    /// Keeps at most that much unsent data in the kernel, so that a slow peer shows its progress in small
    /// steps.
    package func limitUnsent(bytes: Int32) { Syscalls.limitUnsent(descriptor.raw, bytes: bytes) }

    /// Takes note of what the loop has told.
    package mutating func note(_ readiness: Readiness) {
        if let tls { return note(readiness, tls) }
        if readiness.contains(.writable) { maySend = true }
        if readiness.contains(.readable) { mayReceive = true }
        if !readiness.isDisjoint(with: [.ending, .broken]) {
            mayReceive = true
            isEnding = true
        }
    }

    /// Reads what has arrived into the buffer's free room, which must not be empty.
    package mutating func receive(into buffer: inout ByteBuffer) -> Transfer {
        if let tls { return receive(into: &buffer, tls) }
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
        if let tls {
            let result = buffer.withReadable { send($0, tls) }
            if case .bytes(let count) = result { buffer.consume(count) }
            return result
        }
        let result = buffer.withReadable { Syscalls.send(descriptor.raw, $0) }
        switch result {
        case .bytes(let count):
            maySend = count >= buffer.count
            buffer.consume(count)
        case .wouldBlock, .ended, .failed: maySend = false
        }
        return result
    }

    /// Sends as many of `bytes` as the connection takes now. What it does not take is to be offered again
    /// before anything else: TLS may have encrypted the first byte of it.
    ///
    /// - Returns: how many it has taken. A broken connection takes none, and says so at the next
    ///   `send(from:)`.
    package mutating func send(_ bytes: Span<UInt8>) -> Int {
        if !maySend { return 0 }
        if let tls {
            if case .bytes(let count) = send(bytes, tls) { return count }
            return 0
        }
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

    /// Why connecting failed; nil when the connection stands. With TLS it may stand before its handshake is
    /// done: see `isEstablished`.
    package var connectionError: SystemError? {
        if tlsError != nil { return SystemError(code: EPROTO, call: "TLS handshake") }
        let code = Syscalls.pendingError(descriptor.raw)
        return code == 0 ? nil : SystemError(code: code, call: "connect")
    }

    /// Has the connection end with a reset when it is closed: where only its end tells that a message is
    /// complete, a half must not look like a whole.
    package func resetOnClose() { Syscalls.resetOnClose(descriptor.raw) }

    /// Tells the peer that nothing more will come, while its own bytes are still read.
    package mutating func finishSending() {
        if let tls { return finishSending(tls) }
        Syscalls.shutdownWrite(descriptor.raw)
    }
}
