// A stream between two processes of one machine: lines, and listening sockets that travel with them.
//
// Owned by: whoever made it; not shared between queues.

import Glibc

/// One end of a stream on a unix socket.
package final class LocalStream {
    /// What reading came to.
    package enum Received: Equatable {
        case line(String)
        /// No whole line yet.
        case nothing
        /// The other side has gone.
        case ended
    }

    private let descriptor: FileDescriptor
    private var text: [UInt8] = []
    private var passed: [FileDescriptorBox] = []

    /// Connects to the socket at a path; reading waits for as long as `seconds`.
    ///
    /// - Throws: ENOENT or ECONNREFUSED when nobody listens there.
    package init(connectingTo path: String, seconds: Int) throws(SystemError) {
        guard let address = SocketAddress(unixPath: path) else {
            throw SystemError(code: ENAMETOOLONG, call: "connect")
        }
        descriptor = try Syscalls.socket(family: AF_UNIX)
        _ = try Syscalls.connect(descriptor.raw, to: address)
        try Syscalls.makeBlocking(descriptor.raw, seconds: seconds)
    }

    /// Takes over a connection that a listener has taken in; reading never waits.
    package init(_ accepted: Accepted) { descriptor = FileDescriptor(accepted.descriptor) }

    /// The number that a source watches; it stays open as long as the stream is kept.
    package var number: Int32 { descriptor.raw }

    /// The process at the other end.
    package var peerProcess: Int32? { try? Syscalls.peerProcess(descriptor.raw) }

    /// Sends a line, and listeners with it, which go on listening here.
    package func send(_ line: String, passing listeners: [Listener] = []) throws(SystemError) {
        try Syscalls.send(
            descriptor.raw, Array("\(line)\n".utf8), descriptors: listeners.map { $0.descriptor.raw })
    }

    /// The next line.
    package func receive() throws(SystemError) -> Received {
        while true {
            if let end = text.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: text[..<end], as: UTF8.self)
                text.removeSubrange(...end)
                return .line(line)
            }
            if text.count > Self.lineBytesMax { throw SystemError(code: EMSGSIZE, call: "recv") }
            guard let more = try receiveMore() else { return .nothing }
            passed += more.descriptors.map { FileDescriptorBox(FileDescriptor($0)) }
            if more.bytes.isEmpty { return .ended }
            text += more.bytes
        }
    }

    private func receiveMore() throws(SystemError) -> (bytes: [UInt8], descriptors: [Int32])? {
        do throws(SystemError) {
            return try Syscalls.receiveDescriptors(descriptor.raw, bytesMax: 4096)
        } catch {
            // unix(7): the other side has gone, and had not read everything.
            if error.code == ECONNRESET { return ([], []) }
            throw error
        }
    }

    /// The listeners that have come so far; what is none is closed.
    ///
    /// - Parameter lent: which of them, counted from nought, are neither side's.
    package func takeListeners(lent: [Int] = []) throws(SystemError) -> [Listener] {
        var listeners: [Listener] = []
        for (number, box) in passed.enumerated() {
            if let descriptor = box.take(), Syscalls.listens(descriptor.raw) {
                listeners.append(try Listener(adopting: descriptor, isLent: lent.contains(number)))
            }
        }
        passed = []
        return listeners
    }

    private static let lineBytesMax = 1 << 20
}

/// A descriptor in an array.
private final class FileDescriptorBox {
    private var descriptor: FileDescriptor?

    init(_ descriptor: consuming FileDescriptor) { self.descriptor = consume descriptor }

    func take() -> FileDescriptor? { descriptor.take() }
}
