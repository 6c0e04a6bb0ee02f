// One question to a server on this machine and its answer, for commands: the caller waits. The gateway itself
// never does.

import Glibc
import Primitives

/// A call that blocks.
package enum BlockingExchange {
    /// Sends `request` over a connection of its own, and reads until the server closes it.
    ///
    /// - Parameter seconds: the longest silence.
    package static func ask(
        _ address: SocketAddress, _ request: [UInt8], seconds: Int32
    ) throws(SystemError) -> [UInt8] {
        let socket = try Syscalls.socket(family: address.addressFamily)
        if try !Syscalls.connect(socket.raw, to: address) {
            try wait(socket.raw, Int16(POLLOUT), seconds)
            let problem = Syscalls.pendingError(socket.raw)
            if problem != 0 { throw SystemError(code: problem, call: "connect") }
        }
        try send(request, socket.raw, seconds)
        return try receive(socket.raw, seconds)
    }

    private static func send(_ bytes: [UInt8], _ socket: Int32, _ seconds: Int32) throws(SystemError) {
        var sent = 0
        while sent < bytes.count {
            switch Syscalls.send(socket, bytes.span.extracting(sent...)) {
            case .bytes(let count): sent += count
            case .wouldBlock: try wait(socket, Int16(POLLOUT), seconds)
            case .ended: throw SystemError(code: EPIPE, call: "send")
            case .failed(let code): throw SystemError(code: code, call: "send")
            }
        }
    }

    private static func receive(_ socket: Int32, _ seconds: Int32) throws(SystemError) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 64 * 1024)
        while buffer.count <= bytesMax {
            buffer.reserve(16 * 1024)
            switch Syscalls.receive(socket, into: &buffer) {
            case .bytes: continue
            case .wouldBlock: try wait(socket, Int16(POLLIN), seconds)
            case .ended: return buffer.withReadable { [UInt8](copying: $0) }
            case .failed(let code): throw SystemError(code: code, call: "recv")
            }
        }
        throw SystemError(code: EFBIG, call: "recv")
    }

    private static func wait(_ socket: Int32, _ events: Int16, _ seconds: Int32) throws(SystemError) {
        if try !Syscalls.wait(socket, for: events, milliseconds: seconds * 1000) {
            throw SystemError(code: ETIMEDOUT, call: "poll")
        }
    }

    private static let bytesMax = 64 * 1024 * 1024
}
