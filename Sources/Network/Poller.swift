// The epoll set of one shard. Its own descriptor is watched by a single DispatchSource, so Dispatch decides when the
// shard runs and epoll tells it everything that is ready at once (ARCHITECTURE 1: one source per socket costs twice
// as much).
//
// Owned by: one shard. One of the few files that may be unsafe: the event buffer is C's.

import CLinux
import Glibc

/// What a descriptor is ready for, or is watched for.
public struct Readiness: OptionSet, Sendable {
    /// The bits of epoll.
    public let rawValue: UInt32

    /// The readiness with these bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Bytes have arrived, or the peer has closed its side.
    public static let readable = Readiness(rawValue: EPOLLIN.rawValue)
    /// Bytes can be sent, or connecting has been decided.
    public static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
    /// Both directions are closed, or the connection is broken. Always watched.
    public static let broken = Readiness(rawValue: EPOLLHUP.rawValue | EPOLLERR.rawValue)
}

/// An epoll set and the events of its last wait.
@safe
final class Poller {
    let descriptor: FileDescriptor
    private let events: UnsafeMutablePointer<epoll_event>

    init() throws(SystemError) {
        let raw = gateway_epoll_create()
        if raw < 0 { throw SystemError(code: -raw, call: "epoll_create1") }
        descriptor = FileDescriptor(raw)
        unsafe events = .allocate(capacity: Self.capacity)
    }

    deinit { unsafe events.deallocate() }

    /// Watches a descriptor; level-triggered.
    func add(_ target: Int32, _ interest: Readiness, data: UInt64) throws(SystemError) {
        let result = gateway_epoll_control(descriptor.raw, EPOLL_CTL_ADD, target, interest.rawValue, data)
        if result < 0 { throw SystemError(code: -result, call: "epoll_ctl") }
    }

    /// Changes what a descriptor is watched for.
    func modify(_ target: Int32, _ interest: Readiness, data: UInt64) {
        let result = gateway_epoll_control(descriptor.raw, EPOLL_CTL_MOD, target, interest.rawValue, data)
        precondition(result == 0, "a descriptor that is not watched was changed")
    }

    /// Stops watching a descriptor, before it is closed.
    func remove(_ target: Int32) {
        _ = gateway_epoll_control(descriptor.raw, EPOLL_CTL_DEL, target, 0, 0)
    }

    /// Waits for events and calls `body` for each.
    ///
    /// - Returns: how many there were.
    func wait(milliseconds: Int32, _ body: (UInt64, Readiness) -> Void) -> Int {
        let count = unsafe gateway_epoll_wait(descriptor.raw, events, Int32(Self.capacity), milliseconds)
        if count == -EINTR { return 0 }
        precondition(count >= 0, "the epoll set of a shard cannot be waited for")
        for index in 0..<Int(count) {
            let event = unsafe events + index
            unsafe body(gateway_epoll_data(event), Readiness(rawValue: gateway_epoll_events(event)))
        }
        return Int(count)
    }

    private static let capacity = 256
}
