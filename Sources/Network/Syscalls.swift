// Every system call of the gateway, and the one policy for errno: EINTR is repeated here, EAGAIN is a value,
// and what remains is either handed up as a `SystemError` or, where only our own mistake can cause it (EBADF,
// EFAULT), crashes.
//
// One of the few files that may be unsafe; no pointer leaves it. Addresses in C's form: `SyscallsAddresses`;
// other processes: `SyscallsProcess`; what only logs need: `SyscallsLogs`.

import CLinux
import Glibc
import Primitives

/// What a read or write came to.
package enum Transfer: Sendable, Equatable {
    case bytes(Int)
    /// Nothing now: wait for readiness.
    case wouldBlock
    /// The peer has closed its side (reads only).
    case ended
    /// The connection is broken; the positive errno value.
    case failed(Int32)
}

/// The system calls.
package enum Syscalls {
    // MARK: - Sockets

    /// Reads what has arrived into the buffer's free room, which must not be empty.
    static func receive(_ descriptor: Int32, into buffer: inout ByteBuffer) -> Transfer {
        let result = buffer.fill { room in
            unsafe room.withUnsafeMutableBytes { bytes in
                repeated { unsafe gateway_recv(descriptor, bytes.baseAddress, bytes.count) }
            }
        }
        return result == 0 ? .ended : transfer(result, "recv")
    }

    /// Sends as much of `bytes` as the socket takes.
    static func send(_ descriptor: Int32, _ bytes: Span<UInt8>) -> Transfer {
        let result = unsafe bytes.withUnsafeBytes { bytes in
            repeated { unsafe gateway_send(descriptor, bytes.baseAddress, bytes.count) }
        }
        return transfer(result, "send")
    }

    static func socket(
        family: Int32, type: __socket_type = SOCK_STREAM
    ) throws(SystemError) -> FileDescriptor {
        try FileDescriptor(check(gateway_socket(family, Int32(type.rawValue)), "socket"))
    }

    /// Starts connecting. true: connected at once; false: under way, writable when decided.
    static func connect(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) -> Bool {
        let result = unsafe address.withStorage { storage, length in
            unsafe gateway_connect(descriptor, storage, length)
        }
        if result == -EINPROGRESS || result == -EINTR { return false }
        try check(result, "connect")
        return true
    }

    static func bind(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) {
        let result = unsafe address.withStorage { storage, length in
            unsafe gateway_bind(descriptor, storage, length)
        }
        try check(result, "bind")
    }

    static func listen(_ descriptor: Int32, backlog: Int32) throws(SystemError) {
        try check(gateway_listen(descriptor, backlog), "listen")
    }

    /// The next waiting connection and its peer's address; nil when none waits.
    static func accept(_ descriptor: Int32) throws(SystemError) -> Accepted? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                repeated { unsafe Int(gateway_accept4(descriptor, address, &length)) }
            }
        }
        if result == -Int(EAGAIN) { return nil }
        // The peer gave up between its SYN and our call: nothing of ours is wrong.
        if result == -Int(ECONNABORTED) { return nil }
        return Accepted(descriptor: try check(Int32(result), "accept"), peer: SocketAddress(storage))
    }

    static func localAddress(_ descriptor: Int32) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe gateway_local_address(descriptor, address, &length)
            }
        }
        return result == 0 ? SocketAddress(storage, isOurs: true) : nil
    }

    static func setOption(_ descriptor: Int32, level: Int32, name: Int32, value: Int32) throws(SystemError) {
        try check(gateway_set_option(descriptor, level, name, value), "setsockopt")
    }

    /// Small messages leave at once: a proxy writes whole messages and never waits for more.
    static func setNoDelay(_ descriptor: Int32) {
        _ = gateway_set_option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    /// How much unsent data the kernel takes before a socket counts as full. Without it a slow reader's
    /// socket holds megabytes, and becomes writable again only when a third of them has gone: no progress for
    /// minutes.
    static func limitUnsent(_ descriptor: Int32, bytes: Int32) {
        _ = gateway_set_option(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, bytes)
    }

    /// The reason why a connect failed; 0 when it has succeeded. A positive errno value.
    static func pendingError(_ descriptor: Int32) -> Int32 { -gateway_pending_error(descriptor) }

    static func shutdownWrite(_ descriptor: Int32) { _ = gateway_shutdown_write(descriptor) }

    /// Ends a socket for every process that has it open, listening ones too.
    static func shutDown(_ descriptor: Int32) { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// SO_LINGER with a time of 0: what has not been sent is thrown away, and the peer gets RST.
    static func resetOnClose(_ descriptor: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    static func close(_ descriptor: Int32) {
        let result = Glibc.close(descriptor)
        precondition(result == 0 || errno != EBADF, "a descriptor was closed twice")
    }

    // MARK: - Files

    static func open(_ path: String, flags: Int32, mode: mode_t = 0o600) throws(SystemError) -> FileDescriptor
    {
        let result = unsafe path.withCString { name in
            repeated {
                let descriptor = unsafe Glibc.open(name, flags | O_CLOEXEC, mode)
                return Int(descriptor < 0 ? -errno : descriptor)
            }
        }
        return try FileDescriptor(check(Int32(result), "open \(path)"))
    }

    /// Reads from a file or descriptor into the buffer's free room; 0 at its end.
    static func read(_ descriptor: Int32, into buffer: inout ByteBuffer) throws(SystemError) -> Int {
        let result = buffer.fill { room in
            unsafe room.withUnsafeMutableBytes { bytes in
                repeated { unsafe gateway_read(descriptor, bytes.baseAddress, bytes.count) }
            }
        }
        if result < 0 { throw SystemError(code: Int32(-result), call: "read") }
        return result
    }

    /// Writes all of `bytes` to a blocking descriptor.
    static func writeAll(_ descriptor: Int32, _ bytes: Span<UInt8>) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let result = unsafe bytes.extracting(written...).withUnsafeBytes { rest in
                repeated {
                    let count = unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
                    return count < 0 ? -Int(errno) : count
                }
            }
            if result < 0 { throw SystemError(code: Int32(-result), call: "write") }
            written += result
        }
    }

    static func synchronise(_ descriptor: Int32) throws(SystemError) {
        if fsync(descriptor) < 0 { throw SystemError(code: errno, call: "fsync") }
    }

    static func rename(_ old: String, to new: String) throws(SystemError) {
        let result = unsafe old.withCString { from in
            unsafe new.withCString { to in unsafe Glibc.rename(from, to) }
        }
        if result < 0 { throw SystemError(code: errno, call: "rename \(new)") }
    }

    /// Removes a file; one that is not there is no error.
    static func remove(_ path: String) throws(SystemError) {
        let result = unsafe path.withCString { unsafe unlink($0) }
        if result < 0 && errno != ENOENT { throw SystemError(code: errno, call: "unlink \(path)") }
    }

    /// Gives a file that root makes to the owner of its directory, who is to read it.
    static func giveToOwner(of directory: String, _ descriptor: Int32) throws(SystemError) {
        if geteuid() != 0 { return }
        var status = stat()
        let result = unsafe directory.withCString { unsafe stat($0, &status) }
        if result < 0 { throw SystemError(code: errno, call: "stat \(directory)") }
        if status.st_uid != 0, fchown(descriptor, status.st_uid, status.st_gid) < 0 {
            throw SystemError(code: errno, call: "fchown")
        }
    }

    /// Locks a file against other processes, without waiting. False: another one has it.
    static func lock(_ descriptor: Int32, isShared: Bool) throws(SystemError) -> Bool {
        if flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 { return true }
        if errno == EWOULDBLOCK { return false }
        throw SystemError(code: errno, call: "flock")
    }

    static func setMode(_ path: String, _ mode: mode_t) throws(SystemError) {
        let result = unsafe path.withCString { unsafe fchmodat(AT_FDCWD, $0, mode, AT_SYMLINK_NOFOLLOW) }
        if result < 0 { throw SystemError(code: errno, call: "chmod \(path)") }
    }

    /// What stands at a path, links not followed; nil when nothing does.
    static func entry(at path: String) throws(SystemError) -> FileEntry? {
        var status = stat()
        let result = unsafe path.withCString { unsafe lstat($0, &status) }
        if result < 0 && errno == ENOENT { return nil }
        if result < 0 { throw SystemError(code: errno, call: "lstat \(path)") }
        return FileEntry(
            isSocket: status.st_mode & S_IFMT == S_IFSOCK, device: UInt64(status.st_dev),
            number: UInt64(status.st_ino), modified: WallTime(seconds: Int64(status.st_mtim.tv_sec)),
            isReadableByAll: status.st_mode & S_IROTH != 0)
    }

    static func makeDirectory(_ path: String, mode: mode_t) throws(SystemError) {
        let result = unsafe path.withCString { unsafe mkdir($0, mode) }
        if result < 0 && errno != EEXIST { throw SystemError(code: errno, call: "mkdir \(path)") }
    }

    /// Has signals write their number, one byte each, into a pipe.
    ///
    /// - Returns: the pipe's end to read from.
    static func signalPipe(_ signals: [Int32]) throws(SystemError) -> FileDescriptor {
        let result = unsafe signals.withUnsafeBufferPointer {
            unsafe gateway_signal_pipe($0.baseAddress, Int32($0.count))
        }
        return try FileDescriptor(check(result, "the pipe of signals"))
    }

    /// The paths that a pattern matches, sorted; empty when there are none.
    static func paths(matching pattern: String) -> [String] {
        var matches = unsafe glob_t()
        defer { unsafe globfree(&matches) }
        let result = unsafe pattern.withCString { unsafe glob($0, 0, nil, &matches) }
        guard result == 0 else { return [] }
        return unsafe (0..<Int(matches.gl_pathc)).compactMap { index in
            guard let path = unsafe matches.gl_pathv[index] else { return nil }
            return unsafe String(cString: path)
        }
    }

    static func environment(_ name: String) -> String? {
        unsafe name.withCString { key in
            guard let value = unsafe getenv(key) else { return nil }
            return unsafe String(cString: value)
        }
    }

    /// The machine's own name; empty when it has none that fits.
    static func hostName() -> String {
        // POSIX: at most 255 bytes, and the final zero.
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    // MARK: - Time, wake-ups, words

    static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0, "a clock of the system cannot be read")
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    static func microseconds() -> Int64 {
        var time = timespec()
        let result = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        precondition(result == 0, "a clock of the system cannot be read")
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    static func eventDescriptor() throws(SystemError) -> FileDescriptor {
        try FileDescriptor(check(gateway_eventfd(), "eventfd"))
    }

    static func signal(_ eventDescriptor: Int32) {
        var one: UInt64 = 1
        // EAGAIN means that the counter is full, so the other side is awake already.
        _ = unsafe Glibc.write(eventDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    static func acknowledge(_ eventDescriptor: Int32) {
        var count: UInt64 = 0
        _ = unsafe gateway_read(eventDescriptor, &count, MemoryLayout<UInt64>.size)
    }

    static func describe(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }

    // MARK: - Policy

    static func repeated(_ call: () -> Int) -> Int {
        while true {
            let result = call()
            if result != -Int(EINTR) { return result }
        }
    }

    private static func transfer(_ result: Int, _ call: StaticString) -> Transfer {
        if result >= 0 { return .bytes(result) }
        let code = Int32(-result)
        if code == EAGAIN { return .wouldBlock }
        precondition(code != EBADF && code != EFAULT, "a system call was given a bad descriptor or address")
        return .failed(code)
    }

    @discardableResult
    static func check(_ result: Int32, _ call: String) throws(SystemError) -> Int32 {
        if result < 0 { throw SystemError(code: -result, call: call) }
        return result
    }
}

/// A name in the file system: what it stands for, and which of all it is.
struct FileEntry: Equatable {
    let isSocket: Bool
    let device: UInt64
    let number: UInt64
    let modified: WallTime
    /// Whether every user of the machine may read it.
    let isReadableByAll: Bool

    /// The same thing, whatever it has come to hold.
    static func == (left: Self, right: Self) -> Bool {
        left.isSocket == right.isSocket && left.device == right.device && left.number == right.number
    }
}

/// A connection that a listener has taken in.
package struct Accepted: Sendable {
    /// The open descriptor; whoever receives this value owns it.
    package let descriptor: Int32
    package let peer: SocketAddress
}
