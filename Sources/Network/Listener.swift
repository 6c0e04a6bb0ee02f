// A listening socket. Owned by: the main queue, on which a DispatchSource tells that connections wait.
//
// When descriptors run out, accepting pauses for a moment and the listener lives on: clients wait in the
// kernel's queue instead of being turned away.

package import Dispatch
import Glibc
import Primitives

/// Takes in connections and deals them out.
package final class Listener {
    private let descriptor: FileDescriptor
    private let source: any DispatchSourceRead
    private let timer: any DispatchSourceTimer
    private var isStarted = false
    private var isPaused = false
    /// The address that is really bound: the port when 0 was asked for.
    package let address: SocketAddress

    /// The file of a unix socket, to be removed in the end.
    private let file: SocketFile?

    /// Binds and listens; nothing is accepted before `start`.
    package init(on address: SocketAddress, queue: DispatchQueue) throws(SystemError) {
        let socket = try Syscalls.socket(family: address.addressFamily)
        if address.family == .unix {
            file = try SocketFile(binding: socket.raw, to: address)
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
        timer = DispatchSource.makeTimerSource(queue: queue)
        source = DispatchSource.makeReadSource(fileDescriptor: socket.raw, queue: queue)
        descriptor = socket
    }

    deinit {
        // Dispatch crashes when a source is let go that never ran. Cancelled first, it runs without looking.
        if isStarted { return }
        file?.remove()
        for unused: any DispatchSourceProtocol in [source, timer] {
            unused.cancel()
            unused.resume()
        }
    }

    /// Starts accepting.
    ///
    /// - Parameters:
    ///   - deal: receives each connection and owns its descriptor.
    ///   - pausing: told when accepting pauses because the process is out of descriptors or memory.
    package func start(deal: @escaping (Accepted) -> Void, pausing: @escaping (SystemError) -> Void) {
        source.setEventHandler { [unowned self] in
            do throws(SystemError) {
                for _ in 0..<Self.batch {
                    guard let accepted = try Syscalls.accept(descriptor.raw) else { return }
                    deal(accepted)
                }
            } catch {
                pausing(error)
                pause()
            }
        }
        // The descriptor must outlive the source that watches it, and that ends only after its cancellation.
        source.setCancelHandler { withExtendedLifetime(self) {} }
        timer.setEventHandler { [unowned self] in goOn() }
        // Armed once at the start: Dispatch takes a descriptor for its first timer, and when accepting pauses
        // there is none to be had.
        timer.schedule(deadline: .now() + .milliseconds(Self.pauseMilliseconds))
        isStarted = true
        timer.resume()
        source.resume()
    }

    /// Stops accepting for good; the port is free once the listener is gone.
    package func stop() {
        goOn()
        file?.remove()
        timer.cancel()
        source.cancel()
    }

    private func pause() {
        isPaused = true
        source.suspend()
        timer.schedule(deadline: .now() + .milliseconds(Self.pauseMilliseconds))
    }

    private func goOn() {
        if !isPaused { return }
        isPaused = false
        source.resume()
    }

    private static let backlog: Int32 = 4096
    /// Connections per event: others share the queue.
    private static let batch = 64
    private static let pauseMilliseconds = 100
}

/// The file that a unix listener stands at.
private struct SocketFile {
    private let path: String
    private let entry: FileEntry?

    /// Binds a socket to a path that is free, or where only a socket stands that nobody listens on any more.
    init(binding descriptor: Int32, to address: SocketAddress) throws(SystemError) {
        path = address.path
        if let found = try Syscalls.entry(at: path) {
            if !found.isSocket { throw SystemError(code: ENOTSOCK, call: "bind") }
            if try Self.isLive(address) { throw SystemError(code: EADDRINUSE, call: "bind") }
            try Syscalls.remove(path)
        }
        try Syscalls.bind(descriptor, to: address)
        // Nobody can connect before the socket listens, so these rights are the first ones that count.
        try Syscalls.setMode(path, 0o660)
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
