// Messages to a daemon that listens on a datagram socket in the file system, as syslog does. One that has
// gone, or was started anew, is found again with the next message.

import Glibc
import Primitives

/// Sends datagrams to one socket in the file system. Owned by: whoever made it.
package struct DatagramSender: ~Copyable {
    private let address: SocketAddress
    private var socket: FileDescriptor?

    /// nil: the path is no address.
    package init?(unixPath path: String) {
        guard let address = SocketAddress(unixPath: path) else { return nil }
        self.address = address
    }

    /// Sends one datagram.
    ///
    /// - Parameter patienceMilliseconds: how long the daemon may take nothing.
    package mutating func send(
        _ message: Span<UInt8>, patienceMilliseconds: Int32
    ) throws(SystemError) {
        let wasConnected = socket != nil
        do throws(SystemError) {
            try attempt(message, patienceMilliseconds)
        } catch {
            // The daemon that was there is gone, and another one may have taken its place.
            if !wasConnected || error.code == EAGAIN || error.code == EMSGSIZE { throw error }
            try attempt(message, patienceMilliseconds)
        }
    }

    private mutating func attempt(
        _ message: Span<UInt8>, _ patienceMilliseconds: Int32
    ) throws(SystemError) {
        let raw = try connected()
        while true {
            switch Syscalls.send(raw, message) {
            case .bytes, .ended: return
            case .wouldBlock:
                if Syscalls.awaitRoom(raw, milliseconds: patienceMilliseconds) { continue }
                throw SystemError(code: EAGAIN, call: "send")
            case .failed(let code):
                if code != EMSGSIZE { socket = nil }
                throw SystemError(code: code, call: "send")
            }
        }
    }

    private mutating func connected() throws(SystemError) -> Int32 {
        if let raw = socket?.raw { return raw }
        let made = try Syscalls.socket(family: AF_UNIX, type: SOCK_DGRAM)
        let raw = made.raw
        _ = try Syscalls.connect(raw, to: address)
        socket = consume made
        return raw
    }
}

extension SystemError {
    /// Nothing was taken in the time that there was.
    package var isPatienceOver: Bool { code == EAGAIN }
    /// A message is larger than a datagram may be.
    package var isTooLong: Bool { code == EMSGSIZE }
}
