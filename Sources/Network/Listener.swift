// A listening socket, from which every shard takes connections (`Acceptor`): whoever is awake takes the next,
// without a thread in between that would have to be woken first.
//
// Has no state but the socket, so the shards share it. It is closed with the last of them that lets it go.

import Glibc
import Primitives

/// Connections wait here.
package final class Listener: Sendable {
    let descriptor: FileDescriptor
    /// The address that is really bound: the port when 0 was asked for.
    package let address: SocketAddress
    /// It belongs to who supervises the process and keeps it when the process ends, with its file.
    package let isLent: Bool
    /// The file of a unix socket, to be removed in the end.
    private let file: SocketFile?

    /// Binds and listens.
    ///
    /// - Parameters:
    ///   - takesPlace: the file of a unix socket is made anew even if somebody listens there.
    ///   - mode: the rights of the file of a unix socket.
    package init(
        on address: SocketAddress, takesPlace: Bool = false, mode: UInt32 = 0o660
    ) throws(SystemError) {
        isLent = false
        let socket = try Syscalls.socket(family: address.addressFamily)
        if address.family == .unix {
            file = try SocketFile(binding: socket.raw, to: address, takesPlace: takesPlace, mode: mode)
            self.address = address
        } else {
            // A restarted gateway must not wait for its predecessor's connections to be forgotten.
            try Syscalls.setOption(socket.raw, level: SOL_SOCKET, name: SO_REUSEADDR, value: 1)
            try Syscalls.bind(socket.raw, to: address)
            file = nil
            self.address = Syscalls.localAddress(socket.raw) ?? address
        }
        do throws(SystemError) {
            try Syscalls.listen(socket.raw, backlog: Self.backlog)
        } catch {
            file?.remove()
            throw error
        }
        descriptor = socket
    }

    /// Goes on with a socket that listens already, made by another process.
    ///
    init(adopting socket: consuming FileDescriptor, isLent: Bool) throws(SystemError) {
        try Syscalls.adopt(socket.raw)
        guard let address = Syscalls.localAddress(socket.raw) else {
            throw SystemError(code: ENOTSOCK, call: "getsockname")
        }
        self.address = address
        self.isLent = isLent
        file = !isLent && address.family == .unix ? try SocketFile(standingAt: address) : nil
        descriptor = socket
    }

    deinit { file?.remove() }

    /// The number that a source watches; it stays open as long as the listener is kept.
    package var number: Int32 { descriptor.raw }

    /// The next connection that waits, if any: for who takes them without a shard.
    package func accept() throws(SystemError) -> Accepted? { try Syscalls.accept(descriptor.raw) }

    /// Gives the file of a unix socket to a user, who is to remove it in the end.
    package func giveFile(to user: Privileges.User) throws(SystemError) {
        if file != nil { try Privileges.give(address.path, to: user) }
    }

    /// Has nobody connect to it any more, whichever processes have it open. One that is lent is not for this
    /// process to end.
    package func shutDown() {
        if !isLent { Syscalls.shutDown(descriptor.raw) }
    }

    /// Removes what it stands at in the file system: nobody new finds it any more.
    package func removeFile() { file?.remove() }

    private static let backlog: Int32 = 4096
}

/// The file that a unix listener stands at.
private struct SocketFile: Sendable {
    private let path: String
    private let entry: FileEntry?

    /// Binds a socket to a path that is free, or where only a socket stands that nobody listens on any more.
    init(
        binding descriptor: Int32, to address: SocketAddress, takesPlace: Bool, mode: UInt32
    ) throws(SystemError) {
        path = address.path
        if let found = try Syscalls.entry(at: path) {
            if !found.isSocket { throw SystemError(code: ENOTSOCK, call: "bind") }
            let isTaken = takesPlace ? false : try Self.isLive(address)
            if isTaken { throw SystemError(code: EADDRINUSE, call: "bind") }
            try Syscalls.remove(path)
        }
        try Syscalls.bind(descriptor, to: address)
        // Nobody can connect before the socket listens, so these rights are the first ones that count.
        try Syscalls.setMode(path, mode)
        entry = try Syscalls.entry(at: path)
    }

    /// The file of a socket that is bound already.
    init(standingAt address: SocketAddress) throws(SystemError) {
        path = address.path
        entry = try Syscalls.entry(at: path)
    }

    /// Removes the file, unless somebody else has put another one there.
    func remove() {
        guard let entry, (try? Syscalls.entry(at: path)) == entry else { return }
        try? Syscalls.remove(path)
    }

    private static func isLive(_ address: SocketAddress) throws(SystemError) -> Bool {
        let probe = try Syscalls.socket(family: AF_UNIX)
        do throws(SystemError) {
            _ = try Syscalls.connect(probe.raw, to: address)
            return true
        } catch {
            // EAGAIN: it listens, and its queue is full.
            if error.code == EAGAIN { return true }
            if error.code == ECONNREFUSED { return false }
            throw error
        }
    }
}

extension SocketAddress {
    var addressFamily: Int32 {
        switch family {
        case .v4: AF_INET
        case .v6: AF_INET6
        case .unix: AF_UNIX
        }
    }
}
