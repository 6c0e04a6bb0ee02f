// The one Sendable door into a shard: a locked list, and a wake-up that costs a system call only when the
// shard has not been woken already.
//
// The wake-up is an event descriptor in the shard's own epoll set, not a second DispatchSource: it is seen at
// once also while the shard lingers in `epoll_wait`, when a source on its busy queue would have to wait.

import Synchronization

/// Messages from other queues to one shard.
package final class Mailbox<Message: Sendable>: Sendable {
    private struct State: ~Copyable {
        var messages: [Message] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let wakeup: Wakeup

    package init(_ wakeup: Wakeup) { self.wakeup = wakeup }

    /// Puts a message in; false when the shard has closed its door.
    @discardableResult
    package func post(_ message: Message) -> Bool {
        let (accepted, wasEmpty) = state.withLock { state in
            if state.isClosed { return (false, false) }
            let wasEmpty = state.messages.isEmpty
            state.messages.append(message)
            return (true, wasEmpty)
        }
        if wasEmpty { wakeup.signal() }
        return accepted
    }

    /// Takes everything out, in the order it came. Called on the shard.
    package func takeAll() -> [Message] {
        state.withLock { state in
            let messages = state.messages
            state.messages = []
            return messages
        }
    }

    /// Refuses messages from now on.
    package func close() { state.withLock { $0.isClosed = true } }
}

/// Wakes a shard from any queue.
package final class Wakeup: Sendable {
    private let descriptor: FileDescriptor
    var raw: Int32 { descriptor.raw }

    init() throws(SystemError) { descriptor = try Syscalls.eventDescriptor() }

    func signal() { Syscalls.signal(descriptor.raw) }
    func acknowledge() { Syscalls.acknowledge(descriptor.raw) }
}
