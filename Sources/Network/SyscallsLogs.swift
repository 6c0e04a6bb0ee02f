// System calls that only logs need: writing without waiting for ever, telling which file a descriptor is,
// and the local time zone. A part of `Syscalls`, and as unsafe. No pointer leaves it.

import Glibc
import Primitives

extension Syscalls {
    /// Writes as much of `bytes` as a descriptor takes, blocking or not.
    ///
    /// - Parameter patienceMilliseconds: how long it may take nothing, where it does not block.
    static func write(
        _ descriptor: Int32, _ bytes: Span<UInt8>, patienceMilliseconds: Int32
    ) -> (count: Int, problem: SystemError?) {
        var written = 0
        while written < bytes.count {
            let result = unsafe bytes.extracting(written...).withUnsafeBytes { rest in
                repeated {
                    let count = unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
                    return count < 0 ? -Int(errno) : count
                }
            }
            if result >= 0 {
                written += result
            } else if result != -Int(EAGAIN) {
                return (written, SystemError(code: Int32(-result), call: "write"))
            } else if !awaitRoom(descriptor, milliseconds: patienceMilliseconds) {
                return (written, SystemError(code: EAGAIN, call: "write"))
            }
        }
        return (written, nil)
    }

    /// Waits until something can be written, or is known to fail; false when the time is over before.
    static func awaitRoom(_ descriptor: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        let ready = repeated {
            let count = unsafe poll(&entry, 1, milliseconds)
            return count < 0 ? -Int(errno) : Int(count)
        }
        return ready > 0
    }

    /// Which file stands behind a descriptor; nil when none does.
    static func identity(_ descriptor: Int32) -> (device: UInt64, number: UInt64)? {
        var status = stat()
        if unsafe fstat(descriptor, &status) < 0 { return nil }
        return (UInt64(status.st_dev), UInt64(status.st_ino))
    }

    /// How far the local time is ahead of UTC at a moment.
    static func localOffsetSeconds(at time: WallTime) -> Int64 {
        var seconds = time_t(time.seconds)
        var local = unsafe tm()
        guard unsafe localtime_r(&seconds, &local) != nil else { return 0 }
        return unsafe Int64(local.tm_gmtoff)
    }
}

extension Syscalls {
    /// The last byte of a regular file; nil where there is none, or it may not be read.
    static func lastByte(of path: String) -> UInt8? {
        var status = stat()
        let result = unsafe path.withCString { unsafe stat($0, &status) }
        guard result == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0,
            let file = try? open(path, flags: O_RDONLY | O_NONBLOCK)
        else { return nil }
        var buffer = ByteBuffer(capacity: 1)
        guard lseek(file.raw, -1, SEEK_END) >= 0, (try? read(file.raw, into: &buffer)) == 1 else {
            return nil
        }
        return buffer.withReadable { $0[0] }
    }
}
