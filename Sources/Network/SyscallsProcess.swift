// What a process says to others of its machine: descriptors that it passes on, messages to who supervises it,
// processes that it starts. The third part of `Syscalls`, and as unsafe. No pointer leaves it.

import CLinux
import Glibc
import Primitives

extension Syscalls {
    /// How many entries a directory has.
    static func countEntries(of path: String) -> Int? {
        guard let directory = unsafe path.withCString({ unsafe opendir($0) }) else { return nil }
        defer { unsafe closedir(directory) }
        var count = 0
        while unsafe readdir(directory) != nil { count += 1 }
        // `.` and `..`.
        return count - 2
    }

    // MARK: - Descriptors that come from elsewhere

    /// Sends bytes with descriptors; these stay open here.
    static func send(
        _ socket: Int32, _ bytes: [UInt8], descriptors: [Int32]
    ) throws(SystemError) {
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe descriptors.withUnsafeBufferPointer { numbers in
                repeated {
                    unsafe gateway_send_descriptors(
                        socket, bytes.baseAddress, bytes.count, numbers.baseAddress, Int32(numbers.count))
                }
            }
        }
        try check(Int32(result), "sendmsg")
    }

    /// Receives bytes with the descriptors that come with them, which belong to the caller; nothing is the
    /// end of the other side, nil that nothing has come yet.
    static func receiveDescriptors(
        _ socket: Int32, bytesMax: Int
    ) throws(SystemError) -> (bytes: [UInt8], descriptors: [Int32])? {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        var numbers = [Int32](repeating: -1, count: Int(GATEWAY_DESCRIPTORS_MAX))
        var count: Int32 = 0
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe numbers.withUnsafeMutableBufferPointer { numbers in
                repeated {
                    unsafe gateway_receive_descriptors(
                        socket, bytes.baseAddress, bytes.count, numbers.baseAddress, &count)
                }
            }
        }
        if result == -Int(EAGAIN) { return nil }
        try check(Int32(result), "recvmsg")
        return (Array(bytes.prefix(result)), Array(numbers.prefix(Int(count))))
    }

    /// Whether a number is that of a stream socket which listens.
    static func listens(_ descriptor: Int32) -> Bool { gateway_listens(descriptor) == 1 }

    /// Makes a descriptor that came from elsewhere like those that are opened here.
    static func adopt(_ descriptor: Int32) throws(SystemError) {
        let status = fcntl(descriptor, F_GETFL)
        if status < 0 || fcntl(descriptor, F_SETFL, status | O_NONBLOCK) < 0
            || fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0
        {
            throw SystemError(code: errno, call: "fcntl")
        }
    }

    /// Has calls on a socket wait, those that read no longer than `seconds`.
    static func makeBlocking(_ socket: Int32, seconds: Int) throws(SystemError) {
        let status = fcntl(socket, F_GETFL)
        if status < 0 || fcntl(socket, F_SETFL, status & ~O_NONBLOCK) < 0 {
            throw SystemError(code: errno, call: "fcntl")
        }
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let length = socklen_t(MemoryLayout<timeval>.size)
        if unsafe setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, length) < 0 {
            throw SystemError(code: errno, call: "SO_RCVTIMEO")
        }
    }

    /// The process at the other end of a unix socket.
    static func peerProcess(_ socket: Int32) throws(SystemError) -> Int32 {
        try check(gateway_peer_process(socket), "SO_PEERCRED")
    }

    // MARK: - Messages

    /// Sends one message to a datagram socket of this machine.
    static func sendDatagram(_ bytes: [UInt8], to address: SocketAddress) throws(SystemError) {
        let socket = try FileDescriptor(
            check(gateway_socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue)), "socket"))
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe address.withStorage { storage, length in
                Int32(
                    repeated {
                        unsafe gateway_send_datagram(
                            socket.raw, bytes.baseAddress, bytes.count, storage, length)
                    })
            }
        }
        try check(result, "sendto")
    }

    // MARK: - Who the process is

    /// The numbers of a user; nil when nobody is called so.
    static func user(named name: String) -> (user: uid_t, group: gid_t)? {
        unsafe name.withCString { name in
            guard let entry = unsafe getpwnam(name) else { return nil }
            return unsafe (entry.pointee.pw_uid, entry.pointee.pw_gid)
        }
    }

    /// The number of a group; nil when none is called so.
    static func group(named name: String) -> gid_t? {
        unsafe name.withCString { unsafe getgrnam($0)?.pointee.gr_gid }
    }

    /// Has the whole process be another user, for good: group and further groups first, since nobody but root
    /// can change them.
    static func become(_ user: uid_t, _ group: gid_t, named name: String) throws(SystemError) {
        if unsafe name.withCString({ unsafe initgroups($0, group) }) < 0 {
            throw SystemError(code: errno, call: "initgroups")
        }
        if setgid(group) < 0 { throw SystemError(code: errno, call: "setgid") }
        if setuid(user) < 0 { throw SystemError(code: errno, call: "setuid") }
        // What cannot be undone has been done.
        precondition(user == 0 || setuid(0) < 0, "the rights of root are still there")
    }

    /// Gives a file to a user. A link that somebody has put in its place leads nowhere.
    static func give(_ path: String, to user: uid_t, _ group: gid_t) throws(SystemError) {
        if unsafe path.withCString({ unsafe lchown($0, user, group) }) < 0 {
            throw SystemError(code: errno, call: "chown \(path)")
        }
    }

    /// Has the kernel write no image of this process' memory, with all its keys, when it crashes.
    static func refuseCoreDumps() throws(SystemError) {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        if unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) < 0 {
            throw SystemError(code: errno, call: "setrlimit")
        }
    }

    // MARK: - Processes

    /// Starts a program, with the environment of this process and of its descriptors the standard three.
    ///
    /// - Returns: its number.
    static func start(_ arguments: [String]) throws(SystemError) -> Int32 {
        var process: pid_t = 0
        var pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe pointers.forEach { unsafe free($0) } }
        let result = unsafe posix_spawnp(&process, arguments[0], nil, nil, &pointers, environ)
        if result != 0 { throw SystemError(code: result, call: "posix_spawn \(arguments[0])") }
        return process
    }

    /// A process started here that has ended, and how; nil when there is none.
    static func endedProcess() -> (process: Int32, status: Int32)? {
        var status: Int32 = 0
        let process = unsafe waitpid(-1, &status, WNOHANG)
        return process > 0 ? (process, status) : nil
    }
}
