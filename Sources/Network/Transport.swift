// The bytes of one connection. Plain TCP for now; TLS is to be the second case behind the same verbs, so nobody above
// this file asks which of the two it is.

package import Primitives

/// One connection's byte stream.
package struct Transport: ~Copyable {
    let descriptor: FileDescriptor

    /// Takes over a connected (or connecting) socket.
    package init(_ descriptor: consuming FileDescriptor) {
        Syscalls.setNoDelay(descriptor.raw)
        self.descriptor = descriptor
    }

    /// Starts a connection to `address`. The connection is usable once the descriptor is writable and
    /// `connectionError` is nil.
    package static func connecting(to address: SocketAddress) throws(SystemError) -> Transport {
        let socket = try Syscalls.socket(family: address.addressFamily)
        _ = try Syscalls.connect(socket.raw, to: address)
        return Transport(socket)
    }

    /// Reads what has arrived into the buffer's free room, which must not be empty.
    package func receive(into buffer: inout ByteBuffer) -> Transfer {
        Syscalls.receive(descriptor.raw, into: &buffer)
    }

    /// Sends as much as the connection takes now.
    package func send(_ bytes: Span<UInt8>) -> Transfer { Syscalls.send(descriptor.raw, bytes) }

    /// Why connecting failed; nil when the connection stands.
    package var connectionError: SystemError? {
        let code = Syscalls.pendingError(descriptor.raw)
        return code == 0 ? nil : SystemError(code: code, call: "connect")
    }

    /// Tells the peer that nothing more will come, while its own bytes are still read.
    package func finishSending() { Syscalls.shutdownWrite(descriptor.raw) }
}
