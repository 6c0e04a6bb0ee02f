// One shard's share of a listener: it takes in connections while the shard is awake.
//
// Owned by: its shard. The kernel wakes one shard for a connection, not all of them (EPOLLEXCLUSIVE). When
// descriptors run out, accepting pauses for a moment and the listener lives on: clients wait in the kernel's
// queue instead of being turned away.

import Primitives

/// Takes connections from a listener.
package final class Acceptor: EventTarget {
    package let listener: Listener
    private unowned let loop: EventLoop
    private let deal: (Accepted) -> Void
    private let pausing: (SystemError) -> Void

    /// - Parameters:
    ///   - deal: receives each connection and owns its descriptor.
    ///   - pausing: told when accepting pauses because the process is out of descriptors or memory.
    package init(
        _ listener: Listener, loop: EventLoop, deal: @escaping (Accepted) -> Void,
        pausing: @escaping (SystemError) -> Void
    ) {
        self.listener = listener
        self.loop = loop
        self.deal = deal
        self.pausing = pausing
    }

    /// Starts accepting.
    package func start() throws(SystemError) { try loop.add(acceptor: self) }

    /// Stops accepting for good.
    package func stop() { loop.remove(acceptor: self) }

    override package func becameReady(_ readiness: Readiness) {
        do throws(SystemError) {
            // Told again of what is left: the others on this shard, and the other shards, come in between.
            for _ in 0..<Self.batch {
                guard let accepted = try Syscalls.accept(listener.descriptor.raw) else { return }
                deal(accepted)
            }
        } catch {
            pausing(error)
            loop.remove(acceptor: self)
            loop.add(timer: self)
            loop.setDeadline(self, milliseconds: Self.pauseMilliseconds)
        }
    }

    override package func deadlinePassed() {
        loop.remove(self)
        do throws(SystemError) {
            try start()
        } catch {
            loop.add(timer: self)
            loop.setDeadline(self, milliseconds: Self.pauseMilliseconds)
        }
    }

    private static let batch = 16
    private static let pauseMilliseconds: Int64 = 100
}
