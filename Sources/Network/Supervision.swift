// What the process tells whoever supervises it: systemd's protocol of sd_notify(3), one datagram for each
// message, on a socket that the environment names.

import Glibc

/// The supervisor of the process.
package struct Supervision {
    private let address: SocketAddress
    /// How long the supervisor waits for a sign of life, in microseconds; nil: it asks for none.
    package let watchdogMicroseconds: Int64?

    /// nil: the process was started by nobody who wants to know.
    ///
    /// - Parameter hasTakenOver: the environment may be meant for the process that this one takes over from.
    package init?(hasTakenOver: Bool) {
        guard let name = Syscalls.environment("NOTIFY_SOCKET"), let first = name.first,
            first == "/" || first == "@"
        else { return nil }
        // An `@` stands for the NUL that the name of an abstract socket begins with.
        let path = first == "@" ? [0] + name.utf8.dropFirst() : Array(name.utf8)
        guard path.count <= SocketAddress.pathBytesMax else { return nil }
        address = SocketAddress(unix: path)
        let isMeant = Syscalls.environment("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
        watchdogMicroseconds =
            isMeant || hasTakenOver ? Syscalls.environment("WATCHDOG_USEC").flatMap { Int64($0) } : nil
    }

    /// Tells it. A supervisor that cannot be reached changes nothing here.
    package func tell(_ assignments: String...) {
        try? Syscalls.sendDatagram(Array(assignments.joined(separator: "\n").utf8), to: address)
    }
}
