// The epoll set of one shard. Its own descriptor is watched by a single DispatchSource, so Dispatch decides
// when the shard runs and epoll tells it everything that is ready at once (ARCHITECTURE 1: one source per
// socket costs twice as much).
//
// Owned by: one shard. One of the few files that may be unsafe: the event buffer is C's.

import CLinux
import Glibc

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable {
    /// The bits of epoll.
    public let rawValue: UInt32

    /// The readiness with these bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Bytes have arrived, or the peer has closed its side.
    public static let readable = Readiness(rawValue: EPOLLIN.rawValue)
    /// Bytes can be sent, or connecting has been decided.
    public static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
    /// The peer has closed its side: reading goes on until it says so.
    public static let ending = Readiness(rawValue: EPOLLRDHUP.rawValue)
    /// Both directions are closed, or the connection is broken.
    public static let broken = Readiness(rawValue: EPOLLHUP.rawValue | EPOLLERR.rawValue)
    /// The connection is broken, and what has not been read yet is no more than a part.
    public static let failed = Readiness(rawValue: EPOLLERR.rawValue)
}

/// An epoll set and the events of its last wait.
@safe
final class Poller {
    let descriptor: FileDescriptor
    private let events: UnsafeMutablePointer<epoll_event>
    private var count = 0

    init() throws(SystemError) {
        let raw = gateway_epoll_create()
        if raw < 0 { throw SystemError(code: -raw, call: "epoll_create1") }
        descriptor = FileDescriptor(raw)
        unsafe events = .allocate(capacity: Self.capacity)
    }

    deinit { unsafe events.deallocate() }

    /// Watches a connection for everything, edge-triggered: a change is told once, and whoever is told
    /// remembers it until a call comes up short. Level-triggered, the kernel looks at each connection twice
    /// per event and each pause of a direction costs a system call.
    func add(connection: Int32, data: UInt64) throws(SystemError) {
        let events = Readiness([.readable, .writable, .ending]).rawValue | EPOLLET.rawValue
        try add(connection, events, data)
    }

    /// Watches a listener that other sets watch as well: of those that wait, one is told of a connection.
    /// Told again as long as any is left.
    func add(listener: Int32, data: UInt64) throws(SystemError) {
        try add(listener, Readiness.readable.rawValue | EPOLLEXCLUSIVE.rawValue, data)
    }

    /// Watches a wake-up, until it is acknowledged.
    func add(wakeup: Int32, data: UInt64) throws(SystemError) {
        try add(wakeup, Readiness.readable.rawValue, data)
    }

    private func add(_ target: Int32, _ events: UInt32, _ data: UInt64) throws(SystemError) {
        let result = gateway_epoll_control(descriptor.raw, EPOLL_CTL_ADD, target, events, data)
        if result < 0 { throw SystemError(code: -result, call: "epoll_ctl") }
    }

    /// Stops watching a descriptor that stays open.
    func remove(_ target: Int32) {
        _ = gateway_epoll_control(descriptor.raw, EPOLL_CTL_DEL, target, 0, 0)
    }

    /// Waits for events.
    ///
    /// - Returns: how many there are to be looked at.
    func wait(milliseconds: Int32) -> Int {
        let result = unsafe gateway_epoll_wait(descriptor.raw, events, Int32(Self.capacity), milliseconds)
        count = result == -EINTR ? 0 : Int(result)
        precondition(count >= 0, "the epoll set of a shard cannot be waited for")
        return count
    }

    /// An event of the last wait: whose, and what.
    func event(_ index: Int) -> (data: UInt64, readiness: Readiness) {
        precondition(index < count, "there were fewer events")
        let event = unsafe events + index
        return unsafe (gateway_epoll_data(event), Readiness(rawValue: gateway_epoll_events(event)))
    }

    private static let capacity = 256
}
